"""A thread waits for what the reactor has been asked to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from txchannels.errors import LayerError, LayerUnavailable
from txchannels.layers.redis.operations import FULL, Operation, error_of
from txchannels.layers.redis.outbox import Unanswered

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Send
    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.link import Link

__all__ = ["Answers", "AwaitedSends"]

RETRY_SECONDS = 0.02

#: A guard: the link answers before, or says that the server is lost.
ANSWER_SECONDS = 10.0


class Answers:
    """What some operations have come to; a thread waits for all of them."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []
        self._left = 0
        self._lock = Lock()
        self._complete = Lock()  # a bare lock costs a tenth of an Event
        self._complete.acquire()
        self._is_awaited = False

    def expect(self) -> Callable[[Any], None]:
        """Wait for one more; returns what is to be told of it. Thread: the one that waits."""
        with self._lock:
            at = len(self.outcomes)
            self.outcomes.append(Unanswered("The reactor does not answer"))
            self._left += 1
        return partial(self._put, at)

    def _put(self, at: int, outcome: Any) -> None:
        with self._lock:
            self.outcomes[at] = outcome
            self._left -= 1
            is_complete = self._is_awaited and not self._left
        if is_complete:
            self._complete.release()

    def wait(self) -> list[Any]:
        """What each has come to, in the order of `expect`."""
        with self._lock:
            self._is_awaited = self._left > 0
        if self._is_awaited:
            self._complete.acquire(timeout=ANSWER_SECONDS)
        return self.outcomes


class AwaitedSends:
    """The sends of one call that go to Redis, each made into an operation once."""

    def __init__(self, hub: JoinedHub) -> None:
        self._hub = hub
        self._answers = Answers()
        self._sent: list[tuple[Send, Link, Operation]] = []
        self.failed: list[tuple[Send, LayerError]] = []

    def send(self, send: Send) -> None:
        """Submit *send*, which is answered later."""
        _, channel, message = send
        try:
            link = self._hub.link_for(channel)
            self._submit(send, link, self._hub.writer.message(channel, message, link.time))
        except LayerError as error:
            self._failed(send, error)

    def _submit(self, send: Send, link: Link, operation: Operation) -> None:
        done = self._answers.expect()
        self._sent.append((send, link, operation))
        try:
            link.submit(operation, done)
        except LayerUnavailable as error:
            done(error)

    def _failed(self, send: Send, error: LayerError) -> None:
        self._hub.book(send[1], error)
        self.failed.append((send, error))

    def wait(self, until: float, clock: Callable[[], float]) -> list[tuple[Send, LayerError]]:
        """Wait for the answers, and try again what found no room. Returns: what failed."""
        while self._sent:
            sent, self._sent = self._sent, []
            outcomes, self._answers = self._answers.wait(), Answers()
            is_late = clock() >= until
            full = []
            for one, outcome in zip(sent, outcomes, strict=True):
                if outcome == FULL and not is_late:
                    full.append(one)
                else:
                    self._ended(one[0], outcome)
            if full:
                Event().wait(RETRY_SECONDS)
            for one in full:
                self._submit(*one)
        return self.failed

    def _ended(self, send: Send, outcome: int | LayerError) -> None:
        error = outcome if isinstance(outcome, LayerError) else error_of(outcome, send[1])
        self._hub.book(send[1], outcome if error is None or outcome == FULL else error)
        if error is not None:
            self.failed.append((send, error))
