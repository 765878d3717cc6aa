"""When a worker is started again: how long one waits, and how many deaths are too many.

Source: OTP's supervisors, "maximum restart intensity".
"""

from __future__ import annotations

import random
from collections import deque

__all__ = ["CEILING_SECONDS", "Backoff", "Intensity", "jittered"]

FIRST_SECONDS = 0.1
CEILING_SECONDS = 30.0

#: At most so much of a time is taken off, so that not all come at once.
JITTER = 0.25


def jittered(seconds: float, part: float = JITTER) -> float:
    """*seconds*, or less, by *part* of them at most."""
    return seconds * random.uniform(1.0 - part, 1.0)  # noqa: S311 - no secret


class Backoff:
    """How long to wait before something that fails is tried again; it doubles each time.

    Args:
        first: Seconds after the first failure; 0 is at once.
        second: The least after the second.
        ceiling: The most it ever is.
    """

    def __init__(
        self, *, first: float = 0.0, second: float = FIRST_SECONDS, ceiling: float = CEILING_SECONDS
    ) -> None:
        self._first = first
        self._second = second
        self._ceiling = ceiling
        self._next = first

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        seconds = self._next
        self._next = min(self._ceiling, max(2.0 * seconds, self._second))
        return jittered(seconds)

    def reset(self) -> None:
        """It has worked."""
        self._next = self._first


class Intensity:
    """How often workers died of late without having been of use.

    Args:
        most: As many are borne, within *seconds*.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.seconds = seconds
        self._deaths: deque[float] = deque(maxlen=most + 1)
        self._most = most

    def died(self, now: float) -> None:
        """One more has, at that time."""
        self._deaths.append(now)

    def is_exceeded(self, now: float) -> bool:
        """Whether more have died than are borne."""
        return len(self._deaths) > self._most and now - self._deaths[0] <= self.seconds

    def forgive(self, until: float) -> None:
        """Those up to then do not count: what was started since is of use."""
        while self._deaths and self._deaths[0] <= until:
            self._deaths.popleft()

    def clear(self) -> None:
        """None counts any more."""
        self._deaths.clear()
