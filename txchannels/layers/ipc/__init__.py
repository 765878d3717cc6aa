"""The layer of one host: a daemon's hub, served on a Unix socket to other processes."""

from txchannels.layers.ipc.layer import IPCLayer

__all__ = ["IPCLayer"]
