"""How long the consumers take, the same on every server."""

BLOCK_SECONDS = 0.2
SLOW_SECONDS = 0.01
GROUP = "fan"
