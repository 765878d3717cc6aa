"""Sends what a link was asked, in batches: one call of one script each, in the order of asking.

What had been sent when the server was lost, and not answered, stays unknown; what had not been
sent is refused. What may be done twice is asked for again when the server is back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis.losses import Losses
from txchannels.layers.redis.operations import FAILED, Operation, Script, failure_of, write
from txchannels.layers.redis.outbox import Asked, Done, Outbox, Unanswered

if TYPE_CHECKING:
    from txchannels.layers.redis.link import Link

__all__ = ["OPERATIONS", "Batches"]

log = Logger()

OPERATIONS = Script("operations")

MAX_BATCHES_IN_FLIGHT = 2

#: How soon what found no room is tried again.
RETRY_SECONDS = 0.02

#: Operations that may be done again: what a lost answer leaves unknown is asked for anew.
_REPEATABLE = frozenset("lpr")
MAX_AGAIN = 100_000
LEAVE_GROUP = "l"

#: The codes of errors with which a server refuses a script before it has written anything.
_NOT_DONE = frozenset(
    {
        *("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH"),
        *("NOPERM", "NOREPLICAS", "NOSCRIPT", "OOM", "READONLY"),
    }
)


class Batches:
    """See the module.

    Args:
        link: Where they are sent.
        reactor: The reactor.

    Attributes:
        outbox: What was asked, and not answered.

    Thread: the reactor's, unless a method says otherwise.
    """

    def __init__(self, link: Link, reactor: Any) -> None:
        self.outbox = Outbox()
        self._link = link
        self._reactor = reactor
        self._in_flight = 0
        self._again: dict[Operation, None] = {}
        self._spoiled = Losses(reactor.seconds)

    @property
    def is_idle(self) -> bool:
        """Whether all is answered."""
        return self.outbox.is_idle and not self._in_flight

    def submit(self, operation: Operation, done: Done | None, line: str | None) -> None:
        """See `Link.submit`. Thread: any."""
        try:
            is_new = self.outbox.put(operation, done, line)
        except LayerUnavailable as error:
            if operation[0] == LEAVE_GROUP:
                self._repeat(operation)
            reason = error if self.outbox.is_open else f"unavailable: {self._link.reason}"
            raise LayerUnavailable(f"{self._link.name} is {reason}") from None
        if is_new:
            self._link.call_from_thread(self.flush)

    def let_in(self, registrations: Iterable[Operation]) -> None:
        """Take operations from now on, after *registrations*. With the hub's lock held."""
        again, self._again = self._again, {}
        self.outbox.open([*again, *registrations])

    def shut(self) -> list[Asked]:
        """Take nothing any more. Returns: what was not sent, to be refused."""
        unsent = self.outbox.shut()
        for asked in unsent:
            self._repeat(asked.operation)
        return unsent

    def refuse(self, unsent: Iterable[Asked]) -> None:
        """Tell those who asked for it that it is not done."""
        error = LayerUnavailable(f"{self._link.name} is unavailable: {self._link.reason}")
        for asked in unsent:
            if asked.done is not None:
                asked.done(error)

    # Sending

    def flush_all(self) -> None:
        """Send all that waits now, however much is on its way."""
        self.flush(len(self.outbox))

    def flush(self, at_once: int = 0) -> None:
        """Send what waits, in batches; *at_once* of it however much is on its way."""
        until = len(self.outbox) - at_once
        while self._link.is_connected and (
            self._in_flight < MAX_BATCHES_IN_FLIGHT or len(self.outbox) > until
        ):
            batch = self.outbox.take()
            if not batch:
                return
            self._in_flight += 1
            arguments = write(self._link.prefix, [asked.operation for asked in batch])
            answered = self._link.run(OPERATIONS, *arguments)
            answered.addCallbacks(
                self._answered, self._failed, callbackArgs=(batch,), errbackArgs=(batch,)
            )

    def _answered(self, reply: list[int], batch: list[Asked]) -> None:
        self._in_flight -= 1
        self._link.heard(reply[0])
        verdicts: list[Any] = reply[1:]
        if FAILED in verdicts:
            verdicts = self._explained(verdicts, batch)
        again = [
            asked
            for asked, verdict in zip(batch, verdicts, strict=True)
            if asked.done is not None and asked.done(verdict)
        ]
        self._settle(batch, again)
        if len(self.outbox):
            self.flush()

    def _explained(self, verdicts: list[int], batch: list[Asked]) -> list[int | LayerUnavailable]:
        """*verdicts*, with an error for each operation that has failed; some are logged."""
        explained: list[int | LayerUnavailable] = list(verdicts)
        for at, verdict in enumerate(verdicts):
            if verdict == FAILED:
                explained[at] = error = failure_of(batch[at].operation)
                if self._spoiled.note():
                    log.error(
                        "{link}: {reason} ({count} so far)",
                        link=self._link.name,
                        reason=error,
                        count=self._spoiled.count,
                    )
        return explained

    def _failed(self, failure: Any, batch: list[Asked]) -> None:
        """The server has refused a whole batch, or was lost before it answered."""
        link = self._link
        self._in_flight -= 1
        for asked in batch:
            self._repeat(asked.operation)
        lost = failure.check(LayerUnavailable) is not None
        reason = str(failure.value).removeprefix(f"{link.name}: ")
        is_undone = not lost and reason.partition(" ")[0] in _NOT_DONE
        error = (LayerUnavailable if is_undone else Unanswered)(f"{link.name}: {reason}")
        for asked in batch:
            if asked.done is not None:
                asked.done(error)
        if not lost and link.is_connected:
            self._settle(batch, [])
            # A server that takes no writes any more may have become a replica.
            link.lose(f"it refuses a batch: {reason}")

    def _repeat(self, operation: Operation) -> None:
        """Ask again, when the server is back, for what may be asked twice."""
        if operation[0] in _REPEATABLE:
            self._again[operation] = None
            if len(self._again) > MAX_AGAIN:
                self._again.pop(next(iter(self._again)), None)

    def _settle(self, batch: list[Asked], again: list[Asked]) -> None:
        held = self.outbox.settle(batch, again)
        if held:
            self._reactor.callLater(RETRY_SECONDS, self._release, held)

    def _release(self, lines: set[str]) -> None:
        self.outbox.release(lines)
        self.flush()
