"""``twistd channels-worker``: where its plugin finds it, as each command names a module."""

from __future__ import annotations

from txchannels.tap import WorkerOptions as Options
from txchannels.tap import makeService

__all__ = ["Options", "makeService"]
