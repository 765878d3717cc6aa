"""What txchannels costs, next to its peers, on this machine: `bench/README.md`."""
