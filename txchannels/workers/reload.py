"""A new generation of workers: all of them get ready, or none of them begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from txchannels.workers.worker import State, Worker

if TYPE_CHECKING:
    from txchannels.workers.fleet import Fleet

__all__ = ["Attempt", "Outcome", "Queue"]


@dataclass(frozen=True)
class Outcome:
    """How a reload went.

    Attributes:
        ok: Whether the new generation works now.
        generation: The number of the new one.
        reason: Why not, for people.
        state: What there is then, for people: the one before goes on, if it runs.
    """

    ok: bool
    generation: int
    reason: str = ""
    state: str = ""


class Attempt:
    """A generation that starts. The `Owner` of its workers.

    Args:
        fleet: Starts them.
        generation: Its number.
        count: How many there are to be.
        succeeded: Called with this attempt when all are ready.
        failed: Called with a reason when one cannot be; all others are being killed.

    Attributes:
        workers: In the order of their numbers.
        facts: What the first that was ready has told.
        started_at: The clock's time.
    """

    def __init__(
        self,
        fleet: Fleet,
        generation: int,
        count: int,
        succeeded: Callable[[Attempt], None],
        failed: Callable[[Attempt, str], None],
    ) -> None:
        self.generation = generation
        self.facts: Mapping[str, Any] | None = None
        self.started_at = fleet.clock.seconds()
        self._succeeded = succeeded
        self._failed = failed
        self.workers = [fleet.launch(number, generation, self) for number in range(1, count + 1)]

    def ready(self, worker: Worker, facts: Mapping[str, Any]) -> None:
        """See `Owner`."""
        if self.facts is None:
            self.facts = facts
        if all(one.state is State.READY for one in self.workers):
            self._succeeded(self)

    def gone(self, worker: Worker, reason: str) -> None:
        """See `Owner`."""
        self.abandon()
        self._failed(self, f"worker {worker.number} of generation {self.generation}: {reason}")

    def abandon(self) -> None:
        """End all of it: nobody has begun anything."""
        for worker in self.workers:
            worker.retire(None)


class Queue:
    """Who waits for a reload: one runs at a time, and one more for all who ask during it.

    Args:
        begin: Begins one; `finish` is called when it has ended.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._running: list[Deferred[Outcome]] | None = None
        self._next: list[Deferred[Outcome]] = []

    def ask(self) -> Deferred[Outcome]:
        """Fires with the outcome of a reload that has begun since."""
        waiter: Deferred[Outcome] = Deferred()
        if self._running is None:
            self._running = [waiter]
            self._begin()
        else:
            self._next.append(waiter)
        return waiter

    def finish(self, outcome: Outcome) -> None:
        """The running one has ended so; the next begins before anybody is told."""
        waiters, self._running = self._running or [], None
        if self._next:
            self._running, self._next = self._next, []
            self._begin()
        for waiter in waiters:
            waiter.callback(outcome)

    def close(self, outcome: Outcome) -> None:
        """Nobody need wait any more."""
        waiters = [*(self._running or []), *self._next]
        self._running, self._next = None, []
        for waiter in waiters:
            waiter.callback(outcome)
