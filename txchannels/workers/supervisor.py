"""Keeps so many worker processes at work: starts, restarts, replaces and reloads them.

The policy alone: it knows neither processes nor sockets, but `Spawn`, and a clock. Rules:

- One that dies is started again: at once the first time, then after waits that double. One that
  was of use (it has done a message, or lived for 10 s) is started again at once always.
- Too many quick deaths, or no worker that can start at all, condemn the code. That is said once,
  loudly. With no worker left the fleet is *broken*; then one at a time is tried, every 30 s,
  until one is ready. While that has not worked, the others are tried one at a time, too, after
  their waits. A worker that works ends it, whatever others do, and so does a reload.
- Who dies in the middle of a message while messages are done by others condemns nothing: it may
  be that one message, and anybody could send it. Nor is it waited for long if no worker is left.
- A reload begins a new generation when all of it is ready, and only then lets the old one go;
  otherwise the old one goes on, or goes on starting. What is started for the old one meanwhile,
  or after a reload that has failed, imports the site as it is then: a process cannot import
  former code.
- In development (``--reload``), what cannot start is not tried again before it is edited.
- A worker that has done enough is replaced, one at a time; one that is stuck is killed.

Source: OTP's supervisors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from txchannels.workers.fleet import Fleet
from txchannels.workers.health import Health
from txchannels.workers.recycling import Recycling
from txchannels.workers.reload import Attempt, Outcome, Queue
from txchannels.workers.restarts import CEILING_SECONDS, jittered
from txchannels.workers.slot import Slot

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from txchannels.settings import ProcessSettings
    from txchannels.workers.interfaces import Spawn
    from txchannels.workers.worker import Worker

__all__ = ["Outcome", "Supervisor"]

log = Logger()

SWEEP_SECONDS = 2.0

#: With no worker left, it waits no longer for one whose code is not suspected.
UNSUSPECTED_SECONDS = 1.0

#: How much of a reason the status line shows.
REASON_LETTERS = 100


def _nobody_asks(value: object) -> None:
    """A change that concerns nobody."""


def _call(callback: Callable[[Any], None], value: Any) -> None:
    """Tell others; what they raise must not stop the supervisor half-way."""
    try:
        callback(value)
    except Exception:
        log.failure("A change of the workers could not be told")


class Supervisor:
    """See the module.

    Args:
        clock: The reactor.
        spawn: Starts a process.
        settings: How many, and their limits.
        drain_timeout_seconds: How long one that is replaced may take to finish what it runs.
        broken_changed: Called whenever `is_broken` changes, with it.
        facts_changed: Called with the facts of a generation, before it begins.

    Attributes:
        generation: The one that runs, or that is tried to; the first is 1.
        restarts: How many workers were started in place of one that died.

    Thread: the reactor's.
    """

    def __init__(
        self,
        clock: IReactorTime,
        spawn: Spawn,
        settings: ProcessSettings,
        *,
        drain_timeout_seconds: float,
        broken_changed: Callable[[bool], None] = _nobody_asks,
        facts_changed: Callable[[Mapping[str, Any]], None] = _nobody_asks,
    ) -> None:
        self.generation = 0
        self.restarts = 0
        self._clock = clock
        self._drain_seconds = drain_timeout_seconds
        self._facts_changed = partial(_call, facts_changed)
        self._fleet = Fleet(clock, spawn, settings)
        count = settings.count or 1
        self._slots = [Slot(number, self._fleet, self) for number in range(1, count + 1)]
        self._follows_edits = settings.reload
        self._health = Health(
            clock, self._slots, partial(_call, broken_changed), self._follows_edits
        )
        self._recycling = Recycling(self._fleet, self._slots, self._replace)
        self._reloads = Queue(self._begin_reload)
        self._attempt: Attempt | None = None
        self._was_broken = False  # before the attempt
        self._last_generation = 0
        self._facts_of = 0  # the generation whose facts were told
        self._failure = ""  # of the last reload
        self._is_stopping = False
        self._sweep = LoopingCall(self._look)
        self._sweep.clock = clock

    # Start and stop

    def start(self) -> None:
        """Start the first generation; each of it begins when it is ready."""
        if self._is_stopping:
            return
        self.generation = self._last_generation = 1
        for slot in self._slots:
            slot.start(self.generation)
        self._sweep.start(SWEEP_SECONDS, now=False)

    def stop(self) -> Deferred[None]:
        """Start nothing more, and let all finish what they run; fires when all have ended.

        The caller bounds the time: see `kill_all`.
        """
        if not self._is_stopping:
            self._is_stopping = True
            if self._sweep.running:
                self._sweep.stop()
            self._recycling.cancel()
            if self._attempt is not None:
                self._attempt.abandon()
            for slot in self._slots:
                if (worker := slot.clear()) is not None:
                    worker.retire(None)
            self._reloads.close(self._stopped())
        return self._fleet.emptied()

    def use(self, settings: ProcessSettings) -> None:
        """Hold workers to these limits from now on. How many there are stays."""
        self._fleet.settings = settings

    def kill_all(self) -> None:
        """End all processes now; what each of them runs is logged."""
        self._fleet.kill_all()

    # What the operator sees

    @property
    def processes(self) -> tuple[Worker, ...]:
        """All that have not ended, by generation and number."""
        return tuple(sorted(self._fleet.workers, key=lambda one: (one.generation, one.number)))

    @property
    def is_broken(self) -> bool:
        """Whether the code is condemned and no worker is left."""
        return self._health.is_broken

    @property
    def lost(self) -> int:
        """How many messages ended with their workers."""
        return self._fleet.lost

    @property
    def recycled(self) -> int:
        """How many workers were replaced because they had done enough."""
        return self._recycling.count

    def status(self) -> str:
        """One line for people."""
        serving = self._health.serving
        workers = "worker" if serving == 1 else "workers"
        others = "".join(f", {count} {what}" for what, count in self._fleet.others().items())
        text = f"{serving} {workers} of generation {self.generation}{others}"
        if self._is_stopping:
            return f"stopping: {text}"
        if self._attempt is not None:
            text += f"; reloading: generation {self._attempt.generation}"
        elif self._failure:
            text += f"; the last reload failed: {self._failure.splitlines()[0][:REASON_LETTERS]}"
        if self.is_broken:
            text += "; the site's code is broken: answering 503"
        elif self._health.is_condemned:
            text += "; the site's code is broken: new workers die"
        return text

    # Restarts

    def slot_ready(self, slot: Slot, facts: Mapping[str, Any]) -> None:
        """See `Policy`."""
        assert slot.worker is not None
        if self._facts_of != self.generation:
            self._tell_facts(facts)
        slot.worker.begin()
        self._fill()
        self._health.tell()

    def _fill(self) -> None:
        """Have workers started for the places that none is started for."""
        idle = [slot for slot in self._slots if slot.is_idle]
        if not self._health.is_condemned:
            for slot in idle:
                self._restart(slot)
        elif idle and not any(slot.is_awaited for slot in self._slots):
            idle[0].start_in(idle[0].backoff.next(), self._restart)

    def slot_gone(self, slot: Slot, worker: Worker) -> None:
        """See `Policy`."""
        is_suspect = self._health.died(slot, worker)
        replacement = self._recycling.claim(slot)
        if replacement is not None:
            self.restarts += 1
            slot.give(replacement)
        else:
            self._retry(slot, is_suspect=is_suspect)
        self._health.tell()

    def _retry(self, slot: Slot, *, is_suspect: bool = True) -> None:
        """Have a worker started for *slot*, when it is time.

        Of a broken fleet one slot alone tries: the code is the same for all.

        Args:
            is_suspect: Whether the code is; if it is not, it need not wait long where all
                others do.
        """
        if self._follows_edits and slot.failed_starts:
            return
        if not self.is_broken:
            seconds = slot.backoff.next()
            if not is_suspect and not self._health.serving:
                seconds = min(seconds, UNSUSPECTED_SECONDS)
            slot.start_in(seconds, self._restart)
        elif all(other.is_idle for other in self._slots):
            slot.start_in(jittered(CEILING_SECONDS), self._restart)

    def _restart(self, slot: Slot) -> None:
        self.restarts += 1
        slot.start(self.generation)

    def _tell_facts(self, facts: Mapping[str, Any]) -> None:
        self._facts_of = self.generation
        self._facts_changed(facts)

    # Replacements

    def _look(self) -> None:
        """Look for workers that are stuck, of use, or due. Must not end: it is the watch."""
        try:
            for slot in self._slots:
                if slot.worker is not None:
                    slot.worker.replace_if_stuck()
            self._health.look()
            if self._attempt is None and not self._health.is_condemned:
                if not self._follows_edits:
                    self._fill()
                self._recycling.consider()
        except Exception:
            log.failure("The workers could not be looked at")

    def _replace(self, slot: Slot, worker: Worker) -> Worker | None:
        former = slot.give(worker)
        worker.begin()
        if former is not None:
            former.retire(self._drain_seconds)
        return former

    # Reloads

    def reload(self) -> Deferred[Outcome]:
        """Start a new generation, and let the old one go when all of the new one is ready.

        Who asks during a reload gets the outcome of one more, which begins when that has ended.

        Returns: A Deferred of how it went.
        """
        if self._is_stopping:
            return succeed(self._stopped())
        return self._reloads.ask()

    def _begin_reload(self) -> None:
        self._recycling.cancel()
        self._last_generation += 1
        self._was_broken = self.is_broken
        if self.is_broken or not (self._facts_of or any(slot.worker for slot in self._slots)):
            self._clear()
        log.info(
            "Reload: {count} workers of generation {generation} are started",
            count=len(self._slots),
            generation=self._last_generation,
        )
        self._attempt = Attempt(
            self._fleet, self._last_generation, len(self._slots), self._switch, self._go_on
        )

    def _clear(self) -> None:
        """No worker runs or may soon: nothing of this generation is worth keeping."""
        self.generation = self._last_generation
        for slot in self._slots:
            if (worker := slot.clear()) is not None:
                worker.retire(self._drain_seconds)
        self._health.pardon()
        self._health.tell()

    def _switch(self, attempt: Attempt) -> None:
        """The new generation is ready, as a whole."""
        self._attempt = None
        self._failure = ""
        self.generation = attempt.generation
        self._tell_facts(attempt.facts or {})
        pairs = zip(self._slots, attempt.workers, strict=True)
        former = [slot.give(worker) for slot, worker in pairs]
        for worker in attempt.workers:
            worker.begin()
        for old in former:
            if old is not None:
                old.retire(self._drain_seconds)
        self._health.pardon()
        self._health.tell()
        log.info(
            "Reload: generation {generation} runs, after {seconds:.1f} s",
            generation=attempt.generation,
            seconds=self._clock.seconds() - attempt.started_at,
        )
        self._reloads.finish(Outcome(True, attempt.generation))

    def _go_on(self, attempt: Attempt, reason: str) -> None:
        """The new generation cannot start."""
        self._attempt = None
        self._failure = reason
        state = self._what_is_left()
        log.error("Reload failed: {reason}. {state}", reason=reason, state=state)
        if self._was_broken:
            self._health.condemn()
        for slot in self._slots:
            if slot.is_idle and not self._follows_edits:
                self._retry(slot)
        self._health.tell()
        self._reloads.finish(Outcome(False, attempt.generation, reason, state))

    def _what_is_left(self) -> str:
        if self._health.serving:
            return f"Generation {self.generation} goes on"
        if any(slot.worker for slot in self._slots):
            return f"Generation {self.generation} is still starting"
        return "No worker runs"

    def _stopped(self) -> Outcome:
        reason = "the workers are being stopped"
        return Outcome(False, self._last_generation, reason, "The daemon ends")
