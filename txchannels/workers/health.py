"""Whether the site's code works, by how its workers fare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.logger import Logger

from txchannels.workers.restarts import CEILING_SECONDS, Intensity

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from txchannels.workers.slot import Slot
    from txchannels.workers.worker import Worker

__all__ = ["Health"]

log = Logger()

#: More quick deaths than that, or than two a worker, in so many seconds condemn the code.
QUICK_DEATHS = 5
QUICK_SECONDS = 60.0

#: A death in the middle of a message says nothing of the code if a worker has done one in so many
#: seconds: that one message may be to blame, and whoever sends it must not have all refused.
WORKED_SECONDS = 300.0

#: So do so many starts in a row that failed, of every worker.
FAILED_STARTS = 3


class Health:
    """See the module. Condemned code is broken as soon as no worker is left that runs messages.

    Args:
        clock: The reactor.
        slots: Whose workers are looked at.
        broken_changed: Called whenever `is_broken` has changed, with it.
        follows_edits: Whether what cannot start is tried again when it is edited, not before.
    """

    def __init__(
        self,
        clock: IReactorTime,
        slots: Sequence[Slot],
        broken_changed: Callable[[bool], None],
        follows_edits: bool = False,
    ) -> None:
        self._failed_starts = 1 if follows_edits else FAILED_STARTS
        self._again = (
            "Tried again when it is edited"
            if follows_edits
            else f"Tried again every {CEILING_SECONDS:.0f} s; reload when it is mended"
        )
        self._clock = clock
        self._slots = slots
        self._broken_changed = broken_changed
        self._intensity = Intensity(max(QUICK_DEATHS, 2 * len(slots)), QUICK_SECONDS)
        self._condemned_at: float | None = None
        self._worked_at: float | None = None  # when a worker last did a message
        self._was_broken = False

    @property
    def serving(self) -> int:
        """How many workers run messages."""
        return sum(slot.is_serving for slot in self._slots)

    @property
    def is_condemned(self) -> bool:
        """Whether workers that are started die."""
        return self._condemned_at is not None

    @property
    def is_broken(self) -> bool:
        """Whether none is left, besides."""
        return self._condemned_at is not None and not self.serving

    def died(self, slot: Slot, worker: Worker) -> bool:
        """The worker of *slot* has died, or could not start.

        Returns: Whether the code may be at fault, rather than one message.
        """
        self.look()
        self._note_work(worker)
        if worker.has_proven():
            self._prove(slot, worker)
            return False
        now = self._clock.seconds()
        if worker.lost and self._worked_at is not None and now - self._worked_at <= WORKED_SECONDS:
            return False
        self._intensity.died(now)
        if self._condemned_at is None and (
            self._intensity.is_exceeded(now)
            or all(one.failed_starts >= self._failed_starts for one in self._slots)
        ):
            self.condemn()
            serving = self.serving
            log.critical(
                "THE SITE'S CODE IS BROKEN: workers die as soon as they are started. {state}. "
                "{again}",
                state=f"The {serving} that run go on" if serving else "Requests are answered 503",
                again=self._again,
            )
        return True

    def look(self) -> None:
        """Look which workers are of use: the code that they have imported works."""
        for slot in self._slots:
            if slot.worker is not None:
                self._note_work(slot.worker)
                if slot.worker.has_proven():
                    self._prove(slot, slot.worker)

    def _note_work(self, worker: Worker) -> None:
        if worker.process is not None and worker.process.done:
            self._worked_at = max(self._worked_at or 0.0, worker.process.last_done)

    def _prove(self, slot: Slot, worker: Worker) -> None:
        slot.pardon()
        self._intensity.forgive(worker.started_at)
        if self._condemned_at is not None and worker.started_at >= self._condemned_at:
            self._condemned_at = None
            log.info("{worker} works: the site's code is in order again", worker=worker)

    def condemn(self) -> None:
        """What is started dies."""
        self._condemned_at = self._clock.seconds()

    def pardon(self) -> None:
        """The code is new: forget how the former fared."""
        self._condemned_at = self._worked_at = None
        self._intensity.clear()
        for slot in self._slots:
            slot.pardon()

    def tell(self) -> None:
        """Tell whom it concerns if `is_broken` has changed."""
        is_broken = self.is_broken
        if is_broken == self._was_broken:
            return
        self._was_broken = is_broken
        if is_broken:
            log.warn("No worker is left: requests are answered 503 until one is ready")
        elif self.serving:
            log.info("A worker is ready: the site is served again")
        self._broken_changed(is_broken)
