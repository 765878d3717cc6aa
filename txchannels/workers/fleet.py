"""All worker processes that there are, whatever they are at."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from txchannels.workers.worker import Owner, State, Worker

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from txchannels.settings import ProcessSettings
    from txchannels.workers.interfaces import Spawn

__all__ = ["Fleet"]

log = Logger()


class Fleet:
    """Starts worker processes, and knows them until they have ended.

    Args:
        clock: The reactor.
        spawn: Starts a process.
        settings: Their limits.

    Attributes:
        workers: Those that have not ended.
        lost: How many messages ended with their workers.
    """

    def __init__(self, clock: IReactorTime, spawn: Spawn, settings: ProcessSettings) -> None:
        self.clock = clock
        self.spawn = spawn
        self.settings = settings
        self.workers: set[Worker] = set()
        self.lost = 0
        self._waiting: list[Deferred[None]] = []

    def launch(self, number: int, generation: int, owner: Owner) -> Worker:
        """Start one, for *owner*."""
        worker = Worker(self, number, generation, owner)
        self.workers.add(worker)
        worker.spawn()
        return worker

    def left(self, worker: Worker, lost: int) -> None:
        """It has ended."""
        self.lost += lost
        self.workers.discard(worker)
        if not self.workers:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(None)

    def others(self) -> dict[str, int]:
        """How many do something else than run messages, by what that is."""
        found = Counter(worker.state for worker in self.workers)
        found[State.STARTING] += found.pop(State.READY, 0)
        shown = (State.STARTING, State.DRAINING, State.ENDING)
        return {state.value: found[state] for state in shown if found[state]}

    def emptied(self) -> Deferred[None]:
        """Fires when none is left."""
        if not self.workers:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        return waiter

    def kill_all(self) -> None:
        """End all of them now."""
        for worker in list(self.workers):
            if running := worker.describe_running():
                log.error("{worker} is killed, and runs {running}", worker=worker, running=running)
            worker.kill()
