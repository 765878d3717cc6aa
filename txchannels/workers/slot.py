"""One place for a worker: who has it, or when the next is started for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

from txchannels.workers.restarts import Backoff
from txchannels.workers.worker import State, Worker

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from txchannels.workers.fleet import Fleet

__all__ = ["Policy", "Slot"]

log = Logger()


class Policy(Protocol):
    """Who decides what becomes of a place."""

    def slot_ready(self, slot: Slot, facts: Mapping[str, Any]) -> None:
        """Its worker may begin."""

    def slot_gone(self, slot: Slot, worker: Worker) -> None:
        """Its worker could not start, or has died: it has none."""


class Slot:
    """See the module. An `Owner` of its worker.

    Attributes:
        number: From 1 on.
        worker: Who has it now.
        failed_starts: How many of its workers in a row could not start.
        backoff: How long it waits for the next.
    """

    def __init__(self, number: int, fleet: Fleet, policy: Policy) -> None:
        self.number = number
        self.worker: Worker | None = None
        self.failed_starts = 0
        self.backoff = Backoff()
        self._fleet = fleet
        self._policy = policy
        self._timer: IDelayedCall | None = None

    @property
    def is_serving(self) -> bool:
        """Whether its worker runs messages."""
        return self.worker is not None and self.worker.state is State.BEGUN

    @property
    def is_idle(self) -> bool:
        """Whether it has no worker and will not have one."""
        return self.worker is None and self._timer is None

    @property
    def is_awaited(self) -> bool:
        """Whether a worker of it starts, or will."""
        return not self.is_serving and not self.is_idle

    def start(self, generation: int) -> None:
        """Start a worker for it."""
        self.worker = self._fleet.launch(self.number, generation, self)

    def start_in(self, seconds: float, start: Callable[[Slot], None]) -> None:
        """Have *start* called then, to start a worker for it."""
        when = f"in {seconds:.1f} s" if seconds else "at once"
        log.info("Worker {number} is started again {when}", number=self.number, when=when)
        self._timer = self._fleet.clock.callLater(seconds, self._due, start)

    def _due(self, start: Callable[[Slot], None]) -> None:
        self._timer = None
        start(self)

    def give(self, worker: Worker) -> Worker | None:
        """Let *worker* have it, whether that is ready or starts; returns who had it before."""
        former = self.clear()
        self.worker = worker
        worker.owner = self
        return former

    def clear(self) -> Worker | None:
        """Nobody is to have it, nor to be started for it; returns who had it."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        former, self.worker = self.worker, None
        if former is not None:
            former.owner = None
        return former

    def pardon(self) -> None:
        """Its workers are of use, or their code is new: forget how often they died."""
        self.backoff.reset()
        self.failed_starts = 0

    def ready(self, worker: Worker, facts: Mapping[str, Any]) -> None:
        """See `Owner`."""
        self.failed_starts = 0
        self._policy.slot_ready(self, facts)

    def gone(self, worker: Worker, reason: str) -> None:
        """See `Owner`."""
        self.worker = None
        if worker.begun_at is None:
            self.failed_starts += 1
        self._policy.slot_gone(self, worker)
