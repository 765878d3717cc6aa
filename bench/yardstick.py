"""How fast the machine is just now: a fixed piece of work, timed.

A core of a shared machine runs at half its speed while its neighbour on the host is busy, and
neither load average nor steal time show it. So times that are held against a bound in
microseconds come from the rounds in which this yardstick was shortest, whatever they were.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence

__all__ = ["Yardstick"]

_STEPS = 12_000
_REPEATS = 5


class Yardstick:
    """Times the same work on each of *cores*.

    Attributes:
        best: The shortest that it has ever been, in seconds.
    """

    def __init__(self, cores: Sequence[int]) -> None:
        self._cores = cores
        self.best = float("inf")

    def measure(self) -> float:
        """Seconds of wall time for the work, the mean of the cores."""
        allowed = os.sched_getaffinity(0)
        found = []
        try:
            for core in self._cores:
                os.sched_setaffinity(0, {core})
                found.append(statistics.median(_work() for _ in range(_REPEATS)))
        finally:
            os.sched_setaffinity(0, allowed)
        seconds = statistics.mean(found)
        self.best = min(self.best, seconds)
        return seconds


def _work() -> float:
    """What servers in Python mostly do: small objects, into a table and out of it."""
    began = time.perf_counter()
    table: dict[int, tuple[int, str]] = {}
    for step in range(_STEPS):
        table[step & 255] = step, str(step)
    return time.perf_counter() - began
