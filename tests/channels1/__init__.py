"""What Channels 1 promised, row by row, and what its consumers could break."""
