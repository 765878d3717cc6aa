"""How long a call may go on waiting: one deadline for all that it asks of any server.

It holds for what the thread does inside ``with``; outside, each wait has its own bound.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["left", "share", "within"]

#: What is always waited: a socket takes 0 for "not at all", and an answer may be here already.
LEAST_SECONDS = 0.001

_until: ContextVar[float] = ContextVar("_until", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Wait no longer than *seconds* from now, and not beyond the deadline that there is."""
    token = _until.set(min(_until.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _until.reset(token)


@contextmanager
def share(parts: int) -> Iterator[None]:
    """Leave time for *parts* - 1 more things to be waited for as long."""
    with within((_until.get() - time.monotonic()) / parts):
        yield


def left(most: float) -> float:
    """The seconds that may be waited now; no more than *most*."""
    return max(LEAST_SECONDS, min(most, _until.get() - time.monotonic()))
