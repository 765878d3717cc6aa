"""How busy this machine is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["busy_percent"]

_STAT = Path("/proc/stat")


def _look() -> tuple[int, int]:
    """The processors' ticks since the start of the machine: all, and the idle ones."""
    if not _STAT.exists():
        return 0, 0
    ticks = [int(one) for one in _STAT.read_text().partition("\n")[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


_last = _look()


def busy_percent() -> float:
    """How much of the processors' time was not idle since the last look, from 0 to 100."""
    global _last  # noqa: PLW0603 - one look a second, in one thread
    if not _STAT.exists():
        return min(100.0, os.getloadavg()[0] / (os.cpu_count() or 1) * 100)
    now = _look()
    total, idle = now[0] - _last[0], now[1] - _last[1]
    _last = now
    return 100.0 * (total - idle) / total if total else 0.0
