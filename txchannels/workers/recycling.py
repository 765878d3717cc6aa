"""Workers that have done enough are replaced: one at a time, the new one before the old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.workers.restarts import Backoff
from txchannels.workers.worker import LIMIT_JITTER, State, Worker

if TYPE_CHECKING:
    from txchannels.workers.fleet import Fleet
    from txchannels.workers.slot import Slot

__all__ = ["Recycling"]

log = Logger()

#: A replacement that cannot start is tried again after so long at first, and at last.
FIRST_SECONDS = 5.0
CEILING_SECONDS = 300.0


class Recycling:
    """See the module. The `Owner` of a replacement until it is ready.

    Args:
        fleet: Starts it.
        slots: Whose workers are looked at.
        replace: Called with a place and the worker that is ready for it.

    Attributes:
        count: How many were replaced.
    """

    def __init__(
        self, fleet: Fleet, slots: Sequence[Slot], replace: Callable[[Slot, Worker], Worker | None]
    ) -> None:
        self.count = 0
        self._fleet = fleet
        self._slots = slots
        self._replace = replace
        self._backoff = Backoff(first=FIRST_SECONDS, ceiling=CEILING_SECONDS)
        self._not_before = 0.0
        self._slot: Slot | None = None
        self._replacement: Worker | None = None
        self._former: Worker | None = None
        self._warned_of = 0  # the generation

    def consider(self) -> None:
        """Replace the oldest worker that is due, if none is being replaced."""
        is_busy = self._replacement is not None or (
            self._former is not None and self._former.state is not State.ENDED
        )
        if is_busy or self._fleet.clock.seconds() < self._not_before:
            return
        serving = [slot for slot in self._slots if slot.is_serving]
        for slot in sorted(serving, key=_age):
            if slot.worker is not None and (reason := self._due(slot.worker)):
                log.info("{worker} is replaced: {reason}", worker=slot.worker, reason=reason)
                self._slot = slot
                generation = slot.worker.generation
                self._replacement = self._fleet.launch(slot.number, generation, self)
                return

    def _due(self, worker: Worker) -> str:
        """Why *worker* is to be replaced; empty if it is not."""
        limits, process = self._fleet.settings, worker.process
        assert process is not None
        assert worker.begun_at is not None
        age = self._fleet.clock.seconds() - worker.begun_at
        if limits.max_messages and process.done >= limits.max_messages * worker.jitter:
            return f"it has done {process.done} messages"
        if limits.max_age_seconds and age >= limits.max_age_seconds * worker.jitter:
            return f"it is {age:.0f} s old"
        if limits.max_rss_bytes and not self._is_large_at_first(worker):
            rss = process.rss()
            if rss >= limits.max_rss_bytes * worker.jitter:
                return f"it takes {rss} bytes of memory"
        return ""

    def _is_large_at_first(self, worker: Worker) -> bool:
        """Whether *worker* took as much as is allowed when it began: its successor will, too."""
        limit = self._fleet.settings.max_rss_bytes
        if worker.rss_at_first < limit * (1.0 - LIMIT_JITTER):
            return False
        if self._warned_of != worker.generation:
            self._warned_of = worker.generation
            log.warn(
                "--max-rss {limit} bytes is too little: {worker} took {rss} when it began. It is "
                "not replaced for its size; allow more than the site needs at its start",
                limit=limit,
                worker=worker,
                rss=worker.rss_at_first,
            )
        return True

    def claim(self, slot: Slot) -> Worker | None:
        """The replacement that starts for *slot*, whose worker has died: no more ours."""
        if slot is not self._slot:
            return None
        worker, self._slot, self._replacement = self._replacement, None, None
        return worker

    def cancel(self) -> None:
        """Give up what is being started; who was to be replaced goes on."""
        worker, self._slot, self._replacement = self._replacement, None, None
        if worker is not None:
            worker.retire(None)

    def ready(self, worker: Worker, facts: Mapping[str, Any]) -> None:
        """See `Owner`."""
        slot = self._slot
        assert slot is not None
        self._slot = self._replacement = None
        self._backoff.reset()
        self.count += 1
        self._former = self._replace(slot, worker)

    def gone(self, worker: Worker, reason: str) -> None:
        """See `Owner`."""
        self._slot = self._replacement = None
        seconds = self._backoff.next()
        self._not_before = self._fleet.clock.seconds() + seconds
        log.error(
            "The worker that was to be replaced goes on; tried again in {seconds:.0f} s",
            seconds=seconds,
        )


def _age(slot: Slot) -> float:
    """Sorts the oldest first."""
    return (slot.worker and slot.worker.begun_at) or 0.0
