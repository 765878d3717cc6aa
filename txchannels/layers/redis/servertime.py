"""The time of the Redis server, on this machine: deadlines are compared in it alone."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["ServerTime"]


class ServerTime:
    """The server's time in milliseconds since the epoch, as far as it is known.

    Until the server has told it, it is that of this machine. Thread: any.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offset = time.time_ns() / 1e6 - clock() * 1000

    def seen(self, milliseconds: int) -> None:
        """Note that it is *milliseconds* there now."""
        self._offset = milliseconds - self._clock() * 1000

    def now(self) -> int:
        """The time now."""
        return int(self._offset + self._clock() * 1000)
