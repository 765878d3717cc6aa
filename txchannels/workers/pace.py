"""How long one thread may hold the interpreter while others wait for it.

Python hands the interpreter on after a switch interval, 5 ms by itself. For messages
that are done in less, a long interval is best: threads work in long turns. Beside code
that computes for long, it is bad: the reactor lets the interpreter go at every system
call, and waits a whole interval for it each time. So the interval follows the load.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["Pace"]

LONG_SECONDS = 0.005

#: Worker threads compute if they have used so much of the time, and so much a message.
COMPUTING_SHARE = 0.3
COMPUTING_SECONDS = 0.002


class Pace:
    """Sets the switch interval from what the worker threads have done lately.

    Args:
        short_seconds: The interval beside code that computes for long.
        done: How many messages have been handled so far.
        set_interval: Sets it.
        process_time: CPU seconds of the process.
        thread_time: CPU seconds of the thread that calls `tick`.
        clock: The time in seconds.

    Thread: one and the same for all calls; what it uses itself does not count.
    """

    def __init__(
        self,
        short_seconds: float,
        done: Callable[[], int],
        *,
        set_interval: Callable[[float], None] = sys.setswitchinterval,
        process_time: Callable[[], float] = time.process_time,
        thread_time: Callable[[], float] = time.thread_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._short_seconds = min(short_seconds, LONG_SECONDS)
        self._done = done
        self._set_interval = set_interval
        self._process_time = process_time
        self._thread_time = thread_time
        self._clock = clock
        self._is_short = False
        self._last = self._read()
        set_interval(LONG_SECONDS)

    def tick(self) -> None:
        """Look at what happened since the last call; called some times a second."""
        now, used, done = self._read()
        last_now, last_used, last_done = self._last
        self._last = now, used, done
        used -= last_used
        is_computing = used > COMPUTING_SHARE * (now - last_now) and used > COMPUTING_SECONDS * (
            done - last_done
        )
        if is_computing != self._is_short:
            self._is_short = is_computing
            self._set_interval(self._short_seconds if is_computing else LONG_SECONDS)

    def _read(self) -> tuple[float, float, int]:
        """The time, the CPU seconds of all other threads, and the messages done."""
        return self._clock(), self._process_time() - self._thread_time(), self._done()
