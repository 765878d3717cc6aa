"""Whether one thread runs the messages, one after another, or as many as there is work for.

Messages that compute a little and never wait are run fastest by one thread: Python runs one
at a time anyway, and several would take the interpreter from each other at every system
call. Messages that wait, for a database say, need a thread each. Nobody tells which they
are: under load one thread is tried, and as soon as something waits behind a message that
waits, there are many again, for a while that grows each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

__all__ = ["LOOK_SECONDS", "WATCH_SECONDS", "Concurrency", "runnable_seconds"]

#: How often the load is looked at.
LOOK_SECONDS = 0.1

#: How often, while one thread runs all, it is looked whether that one waits.
WATCH_SECONDS = 0.005

#: A message for which others wait so long is one that waits, or computes for long.
STALL_SECONDS = 0.01

#: Fewer messages than this from one look to the next are no load: threads cost nothing then.
FEW = 30

#: If all threads together run less of the time than this, while there always is work, the one
#: that has it waits for something.
RUNNING_SHARE = 0.6

_TASKS = Path("/proc/self/task")

#: How long one thread is not tried again, at first and at most.
MIN_SPREAD_SECONDS = 1.0
MAX_SPREAD_SECONDS = 16.0


def runnable_seconds() -> dict[str, float]:
    """How long each thread of this process has run or waited for a processor, as far as is known.

    Source: Linux, Documentation/scheduler/sched-stats.rst: nanoseconds run, and waited to run.
    """
    seconds = {}
    for task in _TASKS.iterdir() if _TASKS.is_dir() else ():
        try:
            ran, waited, _ = (task / "schedstat").read_bytes().split()
        except (OSError, ValueError):
            continue
        seconds[task.name] = (int(ran) + int(waited)) / 1e9
    return seconds


class Pool(Protocol):
    """What is told to run messages so, and tells how it goes."""

    @property
    def is_serial(self) -> bool: ...

    @is_serial.setter
    def is_serial(self, is_serial: bool) -> None: ...

    @property
    def has_ready(self) -> bool: ...

    @property
    def begun(self) -> int: ...


class Concurrency:
    """See the module.

    Args:
        pool: The threads.
        clock: The time in seconds.
        process_seconds: CPU seconds of the process.
        runnable_seconds: See the function.

    Thread: one and the same for all calls.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Callable[[], float] = time.monotonic,
        process_seconds: Callable[[], float] = time.process_time,
        runnable_seconds: Callable[[], Mapping[str, float]] = runnable_seconds,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._process_seconds = process_seconds
        self._runnable_seconds = runnable_seconds
        self._spread_seconds = MIN_SPREAD_SECONDS
        self._serial_from = 0.0
        self._serial_since = 0.0
        self._begun = 0
        self._begun_at = 0.0
        self._watches = self._waits = 0
        self._looked_at = clock()
        self._looked_begun = 0
        self._used = 0.0
        self._ran: Mapping[str, float] = {}

    def look(self) -> float:
        """Look at what happened since the last call. Returns: when to call again, in seconds."""
        now = self._clock()
        if self._pool.is_serial:
            self._watch(now)
        if now - self._looked_at >= LOOK_SECONDS * 0.9:
            self._judge(now)
        return WATCH_SECONDS if self._pool.is_serial else LOOK_SECONDS

    def _watch(self, now: float) -> None:
        is_ready, begun = self._pool.has_ready, self._pool.begun
        self._watches += 1
        self._waits += is_ready
        if not is_ready or begun != self._begun:
            self._begun, self._begun_at = begun, now
        elif now - self._begun_at >= STALL_SECONDS:
            self._spread(now)

    def _judge(self, now: float) -> None:
        pool, begun = self._pool, self._pool.begun
        seconds, self._looked_at = now - self._looked_at, now
        count, self._looked_begun = begun - self._looked_begun, begun
        is_load = count * LOOK_SECONDS >= FEW * seconds
        if not pool.is_serial:
            if is_load and now >= self._serial_from:
                self._try_one(now)
        elif not is_load:
            pool.is_serial = False
        elif self._waits_for_something(seconds):
            self._spread(now)
        elif now - self._serial_since >= self._spread_seconds:
            self._spread_seconds = MIN_SPREAD_SECONDS
        self._watches = self._waits = 0

    def _waits_for_something(self, seconds: float) -> bool:
        """Whether the thread that runs all messages does not run, though it might."""
        before, self._used = self._used, self._process_seconds()
        had_work = self._waits * 2 > self._watches
        if not had_work or self._used - before >= RUNNING_SHARE * seconds:
            self._ran = {}
            return False
        # It is so, or there were not processors enough: only the kernel knows, and that is dear.
        had, self._ran = self._ran, self._runnable_seconds()
        ran = sum(ran - had.get(one, ran) for one, ran in self._ran.items())
        return bool(had) and ran < RUNNING_SHARE * seconds

    def _try_one(self, now: float) -> None:
        self._pool.is_serial = True
        self._serial_since = now
        self._begun_at = now
        self._used = self._process_seconds()
        self._ran = {}

    def _spread(self, now: float) -> None:
        self._pool.is_serial = False
        self._serial_from = now + self._spread_seconds
        self._spread_seconds = min(2 * self._spread_seconds, MAX_SPREAD_SECONDS)
