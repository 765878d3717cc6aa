"""A thread waits for what the reactor has been asked to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from txchannels.errors import LayerError, LayerUnavailable
from txchannels.layers.redis.operations import FULL, error_of
from txchannels.layers.redis.outbox import Unanswered

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from txchannels.layers.interfaces import Send
    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.link import Link

__all__ = ["Answers", "AwaitedSends", "Crossing"]

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

    def wait(self, seconds: float = 0.0) -> list[Any]:
        """What each has come to, in the order of `expect`; it may take *seconds* more."""
        with self._lock:
            self._is_awaited = self._left > 0
        if self._is_awaited:
            self._complete.acquire(timeout=ANSWER_SECONDS + seconds)
        return self.outcomes


class AwaitedSends:
    """The sends of one call that go to Redis: in order, and again while there is no room.

    Args:
        hub: The hub that they leave.
        until: When what has found no room is given up.
        clock: The time in seconds.
    """

    def __init__(self, hub: JoinedHub, until: float, clock: Callable[[], float]) -> None:
        self._hub = hub
        self._until = until
        self._clock = clock
        self._answers = Answers()
        self._sent: list[Send] = []
        self.failed: list[tuple[Send, LayerError]] = []

    def send(self, send: Send) -> None:
        """Submit *send*, which is answered later."""
        _, channel, message = send
        try:
            link = self._hub.link_for(channel)
            operation = self._hub.writer.message(channel, message, link.time)
        except LayerError as error:
            self._ended(send, error)
            return
        done = self._answers.expect()
        self._sent.append(send)
        try:
            # A line of its own: what others send to the channel need not wait for this. What
            # has one reader keeps one order.
            line = channel if "?" in channel else f"{channel} {id(self)}"
            link.submit(operation, partial(self._answered, done), line)
        except LayerUnavailable as error:
            done(error)

    def _answered(self, done: Callable[[Any], None], outcome: int | LayerError) -> bool:
        """Returns: whether it is to go again. Thread: the reactor's."""
        if outcome == FULL and self._clock() < self._until:
            return True
        done(outcome)
        return False

    def wait(self) -> list[tuple[Send, LayerError]]:
        """Wait for the answers. Returns: what failed."""
        outcomes = self._answers.wait(max(0.0, self._until - self._clock()))
        for send, outcome in zip(self._sent, outcomes, strict=True):
            self._ended(send, outcome)
        return self.failed

    def _ended(self, send: Send, outcome: int | LayerError) -> None:
        error = outcome if isinstance(outcome, LayerError) else error_of(outcome, send[1])
        self._hub.book(send[1], outcome if error is None or outcome == FULL else error)
        if error is not None:
            self.failed.append((send, error))


class Crossing:
    """Calls in the reactor's thread, for which another waits.

    Args:
        call_from_thread: Runs a callable in the reactor's thread.
    """

    def __init__(self, call_from_thread: Callable[[Callable[[], None]], object]) -> None:
        self._call_from_thread = call_from_thread

    def ask(self, link: Link, call: Callable[[], Deferred[Any]]) -> Any:
        """What *call*, of *link*, comes to.

        Raises: LayerUnavailable.
        """
        answers = Answers()
        done = answers.expect()

        def ask() -> None:
            if link.is_up:
                call().addCallbacks(done, lambda failure: done(failure.value))
            else:
                done(LayerUnavailable(f"{link.name} is unavailable"))

        self._call_from_thread(ask)
        [outcome] = answers.wait()
        if isinstance(outcome, LayerError):
            raise outcome
        if isinstance(outcome, Exception):
            raise LayerUnavailable(f"{link.name}: {outcome}") from outcome
        return outcome

    def call(self, call: Callable[[], Any]) -> Any:
        """What *call* returns."""
        answers = Answers()
        done = answers.expect()

        def run() -> None:
            done(call())

        self._call_from_thread(run)
        [outcome] = answers.wait()
        return None if isinstance(outcome, LayerError) else outcome
