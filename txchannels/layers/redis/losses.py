"""Losses that nobody can be told of but the log: all are counted, and some said."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Losses"]

#: What is lost is said once in so many seconds.
REPORT_SECONDS = 10.0


class Losses:
    """Counts what is lost of one kind.

    Args:
        clock: The time in seconds; only differences count.

    Attributes:
        count: How much was lost until now.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.count = 0
        self._clock = clock
        self._reported = -REPORT_SECONDS

    def note(self) -> bool:
        """Count one more. Returns: whether it is time to say how many there were."""
        self.count += 1
        now = self._clock()
        if now - self._reported < REPORT_SECONDS:
            return False
        self._reported = now
        return True
