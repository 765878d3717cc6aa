"""One worker process from its start to its end, with the timeouts it is given for each step.

What takes its place is its owner's business. That it ends is ours: one that was told to
go, or that cannot start, is killed when it is not gone in time.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from txchannels.workers.fleet import Fleet
    from txchannels.workers.interfaces import WorkerProcess

__all__ = ["LIMIT_JITTER", "TERMINATED", "Owner", "State", "Worker"]

log = Logger()

#: From the order to write its stacks to the kill.
DUMP_SECONDS = 1.0

#: How long one that cannot start may take to exit by itself.
EXIT_SECONDS = 5.0

#: One that has lived for so long after it was ready has proven that the code works.
PROVEN_SECONDS = 10.0

#: How much earlier than at its limit one may be replaced, so that not all are at once.
LIMIT_JITTER = 0.1

#: How one exits that was told to go by SIGTERM, not by the daemon: as a shell says it.
TERMINATED = 128 + signal.SIGTERM
_TERMINATED = (f"exit code {TERMINATED:d}", "killed by SIGTERM")


class State(Enum):
    """How far a worker process has come."""

    STARTING = "starting"
    READY = "ready"
    BEGUN = "begun"  # it runs messages
    DRAINING = "draining"
    ENDING = "ending"  # it cannot start, or is killed
    ENDED = "ended"


class Owner(Protocol):
    """Who counts on a worker."""

    def ready(self, worker: Worker, facts: Mapping[str, Any]) -> None:
        """It may begin."""

    def gone(self, worker: Worker, reason: str) -> None:
        """It cannot start, or has died; nobody's any more."""


class Worker:
    """One worker process. It is told the events of its process (`WorkerEvents`).

    Attributes:
        owner: Who counts on it; None once it was told to go.
        started_at, begun_at: The clock's times.
        is_stuck: Whether it is killed for that.
        lost: How many messages it had begun when it ended.
        rss_at_first: Bytes of memory that it took when it began.
        jitter: What its limits are multiplied with.
    """

    def __init__(self, fleet: Fleet, number: int, generation: int, owner: Owner) -> None:
        self.number = number
        self.generation = generation
        self.owner: Owner | None = owner
        self.state = State.STARTING
        self.process: WorkerProcess | None = None
        self.started_at = fleet.clock.seconds()
        self.begun_at: float | None = None
        self.is_stuck = False
        self.lost = 0
        self.rss_at_first = 0
        self.jitter = random.uniform(1.0 - LIMIT_JITTER, 1.0)  # noqa: S311 - no secret
        self._fleet = fleet
        self._full_since: float | None = None
        self._timer: IDelayedCall | None = None

    def __str__(self) -> str:
        pid = f" (pid {self.process.pid})" if self.process else ""
        return f"Worker {self.number} of generation {self.generation}{pid}"

    # What it is told

    def spawn(self) -> None:
        """Start the process; that this failed is told later, as any other failure."""
        try:
            self.process = self._fleet.spawn(self.number, self.generation, self)
        except OSError as error:
            self._after(0.0, self._refused, str(error))
            return
        log.info("{worker} is starting", worker=self)
        self._after(self._fleet.settings.start_timeout_seconds, self._late)

    def begin(self) -> None:
        """It is ready, and runs messages from now on."""
        assert self.process is not None
        self.state = State.BEGUN
        self.begun_at = self._fleet.clock.seconds()
        self.rss_at_first = self.process.rss()
        self.process.begin()

    def retire(self, drain_seconds: float | None) -> None:
        """It is to go: when it has finished what it runs, or at once if it has begun nothing.

        Args:
            drain_seconds: How long it may take; None: the caller looks after that.
        """
        if self.state in (State.STARTING, State.READY):
            log.info("{worker} is no longer needed: it is killed before it begins", worker=self)
            self.kill()
        self.owner = None
        if self.state is State.BEGUN:
            assert self.process is not None
            self.state = State.DRAINING
            if drain_seconds is not None:
                self._after(drain_seconds, self._overdue)
            self.process.drain()

    def kill(self) -> None:
        """End it now."""
        self.owner = None
        self._cancel()
        if self.state is State.ENDED:
            return
        self.state = State.ENDING
        if self.process is None:
            self._leave(0)
        else:
            self.process.kill()

    def replace_if_stuck(self) -> None:
        """Kill it if it has come to a stand; its owner learns of that from its end."""
        now, process = self._fleet.clock.seconds(), self.process
        limit = self._fleet.settings.stuck_timeout_seconds
        if self.state is not State.BEGUN or process is None or not limit:
            return
        if not process.is_full:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now
        if self._full_since is not None and now - max(self._full_since, process.last_done) >= limit:
            self._give_up_stuck(f"no thread is free, and no message was done for {limit:g} s")
        elif now - process.last_heard >= limit:
            self._give_up_stuck(f"it shows no life for {limit:g} s")

    # What it tells

    def has_proven(self) -> bool:
        """Whether it was of use: the code works."""
        if self.begun_at is None or self.process is None:
            return False
        lived = self._fleet.clock.seconds() - self.begun_at
        return self.is_stuck or self.process.done > 0 or lived >= PROVEN_SECONDS

    def describe_running(self) -> str:
        """What it runs, in one line."""
        return "; ".join(self.process.describe_running()) if self.process else ""

    # What its process tells

    def ready(self, process: WorkerProcess, facts: Mapping[str, Any]) -> None:
        """See `WorkerEvents`."""
        if self.state is State.STARTING:
            self._cancel()
            self.state = State.READY
            seconds = self._fleet.clock.seconds() - self.started_at
            log.info("{worker} is ready, after {seconds:.1f} s", worker=self, seconds=seconds)
            if self.owner is not None:
                self.owner.ready(self, facts)

    def failed(self, process: WorkerProcess, reason: str) -> None:
        """See `WorkerEvents`."""
        if self.state in (State.STARTING, State.READY):
            self._cannot_start(reason, EXIT_SECONDS)

    def ended(self, process: WorkerProcess, how: str, lost: int) -> None:
        """See `WorkerEvents`."""
        if self.state is State.ENDED:
            return
        self.lost = lost
        due = "was ready" if self.state is State.STARTING else "began"
        if self.state in (State.DRAINING, State.ENDING):
            tell, did = (log.error, "has died: ") if lost else (log.info, "has ended: ")
        elif how in _TERMINATED:
            tell, did, how = log.warn, "has been ", "ended by SIGTERM from outside"
        else:
            tell, did = log.error, "has died: "
            if how.startswith("exit code"):
                how = f"it exited by itself, {how}"
        tell("{worker} {did}{how}; {lost} messages lost", worker=self, did=did, how=how, lost=lost)
        owner = self.owner
        self._leave(lost)
        if owner is not None:
            owner.gone(self, how if self.begun_at else f"died before it {due}: {how}")

    # Its timeouts

    def _refused(self, reason: str) -> None:
        self._cannot_start(f"no process: {reason}", None)
        self._leave(0)

    def _late(self) -> None:
        assert self.process is not None
        self.process.dump()
        limit = self._fleet.settings.start_timeout_seconds
        self._cannot_start(f"not ready within {limit:g} s", DUMP_SECONDS)

    def _cannot_start(self, reason: str, kill_seconds: float | None) -> None:
        log.error("{worker} cannot start: {reason}", worker=self, reason=reason)
        owner, self.owner = self.owner, None
        self.state = State.ENDING
        self._cancel()
        if kill_seconds is not None:
            self._after(kill_seconds, self.kill)
        if owner is not None:
            owner.gone(self, reason)

    def _overdue(self) -> None:
        log.error("{worker} has not finished in time: it is killed", worker=self)
        self._dump_and_kill()

    def _give_up_stuck(self, reason: str) -> None:
        self.is_stuck = True
        log.error("{worker} is stuck, and killed: {reason}", worker=self, reason=reason)
        self._dump_and_kill()

    def _dump_and_kill(self) -> None:
        assert self.process is not None
        for message in self.process.describe_running():
            log.error("{worker} runs {message}", worker=self, message=message)
        self.state = State.ENDING
        self.process.dump()
        self._after(DUMP_SECONDS, self.process.kill)

    def _after(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        """Have *call* called then, in place of what was to be called."""
        self._cancel()
        self._timer = self._fleet.clock.callLater(seconds, call, *arguments)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _leave(self, lost: int) -> None:
        self._cancel()
        if self.state is not State.ENDED:
            self.state = State.ENDED
            self._fleet.left(self, lost)
