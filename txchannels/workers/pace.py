"""How long one thread may hold the interpreter while others wait for it.

Python hands the interpreter on after a switch interval, 5 ms by itself. For messages
that are done in less, a long interval is best: threads work in long turns. Beside code
that computes for long, it is bad: the reactor lets the interpreter go at every system
call, and waits a whole interval for it each time. So the interval follows the load, and
with it the kernel's time slice: a waiting thread must run to ask for the interpreter.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from txchannels.workers.timeslice import wish_timeslice

__all__ = ["Machine", "Pace"]

LONG_SECONDS = 0.005

#: So much of the time must have gone into messages that take longer than a tick, or into
#: all messages, with so much for each of them.
COMPUTING_SHARE = 0.3
COMPUTING_SECONDS = 0.002


def thread_seconds(thread: int) -> float:
    """CPU seconds that a thread has used; 0 if it has ended."""
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(thread))
    except OSError:
        return 0.0


@dataclass(frozen=True)
class Machine:
    """What the machine tells of time and takes as orders.

    Attributes:
        clock: The time in seconds.
        process_seconds: CPU seconds of the process.
        own_seconds: CPU seconds of the thread that asks.
        thread_seconds: CPU seconds of a thread, by its identifier.
        set_interval: Sets the switch interval.
        wish_timeslice: Asks the kernel for slices of that length; 0 is its own.
    """

    clock: Callable[[], float] = time.monotonic
    process_seconds: Callable[[], float] = time.process_time
    own_seconds: Callable[[], float] = time.thread_time
    thread_seconds: Callable[[int], float] = thread_seconds
    set_interval: Callable[[float], None] = sys.setswitchinterval
    wish_timeslice: Callable[[float], None] = wish_timeslice


class Pace:
    """Sets the switch interval from what the worker threads have done lately.

    Args:
        short_seconds: The interval beside code that computes for long.
        done: How many messages have been handled so far.
        turns: What the threads run now: (thread's identifier, number of its message).
        machine: Its clocks, and what is set on it.

    Thread: one and the same for all calls; what it uses itself does not count.
    """

    def __init__(
        self,
        short_seconds: float,
        done: Callable[[], int],
        turns: Callable[[], Iterable[tuple[int, int]]],
        machine: Machine | None = None,
    ) -> None:
        self._short_seconds = min(short_seconds, LONG_SECONDS)
        self._done = done
        self._turns = turns
        self._machine = machine or Machine()
        self._used: dict[tuple[int, int], float] = {}
        self._is_short = False
        self._last = self._read()
        self._machine.set_interval(LONG_SECONDS)

    def tick(self) -> None:
        """Look at what happened since the last call; called some times a second."""
        now, used, done = self._read()
        last_now, last_used, last_done = self._last
        self._last = now, used, done
        used -= last_used
        share = COMPUTING_SHARE * (now - last_now)
        is_computing = self._used_by_long_messages() > share or (
            used > share and used > COMPUTING_SECONDS * (done - last_done)
        )
        if is_computing != self._is_short:
            self._is_short = is_computing
            self._machine.set_interval(self._short_seconds if is_computing else LONG_SECONDS)
            self._machine.wish_timeslice(self._short_seconds if is_computing else 0.0)

    def _used_by_long_messages(self) -> float:
        """CPU seconds since the last call of the messages that have run since then."""
        before = self._used
        self._used = {turn: self._machine.thread_seconds(turn[0]) for turn in self._turns()}
        return sum(used - before[turn] for turn, used in self._used.items() if turn in before)

    def _read(self) -> tuple[float, float, int]:
        """The time, the CPU seconds of all other threads, and the messages done."""
        machine = self._machine
        return machine.clock(), machine.process_seconds() - machine.own_seconds(), self._done()
