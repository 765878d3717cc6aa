"""A hub's link to one Redis server: one connection for commands, one that waits for messages.

What threads ask for is sent in batches, one script call a batch, in the order in which
they asked. When the server is lost, what had been sent and not answered stays unknown, what
had not been sent is refused, and the link is made anew as soon as the server answers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis.operations import Operation, Script, write
from txchannels.layers.redis.outbox import Asked, Done, Outbox, Unanswered
from txchannels.layers.redis.reader import Reader
from txchannels.layers.redis.servertime import ServerTime

if TYPE_CHECKING:
    from txchannels.layers.queues import Subscription
    from txchannels.layers.redis.connection import Connection

__all__ = ["FLUSH", "MEMBERS", "STATISTICS", "Link", "LinkOwner", "Server"]

log = Logger()

OPERATIONS = Script("operations")
LEASE = Script("lease")
LEAVE = Script("leave")
MEMBERS = Script("members")
FLUSH = Script("flush")
STATISTICS = Script("statistics")

COMMAND_SECONDS = 2.0
CONNECT_SECONDS = 1.5
LEASE_SECONDS = 10.0
RENEW_SECONDS = 1.0
FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 0.5

#: How long a stop waits for what is being taken, and for what is to be sent.
TAKE_SECONDS = 2.0
SEND_SECONDS = 30.0
STOP_TICK_SECONDS = 0.01

#: How often memberships are registered anew; Redis keeps them for two days.
REGISTER_SECONDS = 6 * 3600.0

MAX_BATCHES_IN_FLIGHT = 2

#: How soon what found no room is tried again.
RETRY_SECONDS = 0.02

#: Operations that may be done again: what a lost answer leaves unknown is asked for anew.
_REPEATABLE = frozenset("lpr")
MAX_AGAIN = 100_000
LEAVE_GROUP = "l"


@dataclass(frozen=True)
class Server:
    """How a server is reached.

    Attributes:
        name: What people know it by; no secret is in it.
        connect: Makes a connection within some seconds.
        find_master: Where the sentinels, if there are any, say that it is.
    """

    name: str
    connect: Callable[[float], Deferred[Connection]]
    find_master: Callable[[float], Deferred[tuple[str, int] | None]] | None = None


class LinkOwner(Protocol):
    """What a link asks of the hub it belongs to. Thread: the reactor's."""

    def addresses(self) -> list[str]: ...

    def reads(self) -> str: ...

    def open(self, link: Link) -> None: ...

    def demanding(self, link: Link) -> list[Subscription]: ...

    def took(self, link: Link, key: bytes, elements: Sequence[bytes]) -> None: ...

    def give_back(self) -> None: ...

    def saw_others(self, link: Link, reads: Sequence[str]) -> None: ...

    def came_up(self, link: Link, since: float | None) -> None: ...

    def went_down(self, link: Link) -> None: ...


class Link:
    """See the module.

    Args:
        reactor: The reactor.
        server: How the server is reached.
        prefix: The start of every key.
        owner: The hub.
        call_from_thread: Runs a callable in the reactor's thread.

    Attributes:
        time: The server's time.
        outbox: What it was asked, and not answered.

    Thread: the reactor's, unless a method says otherwise.
    """

    def __init__(
        self,
        reactor: Any,
        server: Server,
        *,
        prefix: str,
        owner: LinkOwner,
        call_from_thread: Callable[[Callable[[], None]], object],
    ) -> None:
        self.time = ServerTime()
        self.outbox = Outbox()
        self.name = server.name
        self.prefix = prefix
        self.owner = owner
        self.call_from_thread = call_from_thread
        self._reactor = reactor
        self._server = server
        self._in_flight = 0
        self._again: dict[Operation, None] = {}
        self._reason = "not connected yet"
        self._last_answer: float | None = None
        self._last_lease: float | None = None
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._retry: Any = None
        self._connecting: Deferred[Any] | None = None
        self._is_stopped = False
        self._registered = 0.0
        self._commands: Connection | None = None
        self.reader = Reader(self)
        self._renewal = LoopingCall(self.renew)
        self._renewal.clock = reactor

    # Asking for something

    @property
    def is_up(self) -> bool:
        """Whether operations are taken. Thread: any."""
        return self.outbox.is_open

    def submit(
        self, operation: Operation, done: Done | None = None, line: str | None = None
    ) -> None:
        """Have *operation* done, in the order of its *line*. Thread: any.

        Raises: LayerUnavailable: It will not be done, and *done* not called.
        """
        try:
            is_new = self.outbox.put(operation, done, line)
        except LayerUnavailable as error:
            if operation[0] == LEAVE_GROUP:
                self._repeat(operation)
            reason = error if self.is_up else f"unavailable: {self._reason}"
            raise LayerUnavailable(f"{self.name} is {reason}") from None
        if is_new:
            self.call_from_thread(self._flush)

    def call(self, *arguments: Any) -> Deferred[Any]:
        """One command of its own; fails with LayerUnavailable."""
        assert self._commands is not None
        return self._commands.call(*arguments, timeout=COMMAND_SECONDS)

    def run(self, script: Script, *arguments: Any) -> Deferred[Any]:
        """One call of a script; its text is sent if the server has forgotten it."""
        called = self.call("EVALSHA", script.digest, 0, *arguments)
        return called.addErrback(self._send_text, script, arguments)

    def finish(self) -> Deferred[Any]:
        """Fires when all that was submitted before is done."""
        self._flush(len(self.outbox))
        return self.call("PING")

    def run_after(self, script: Script, *arguments: Any) -> Deferred[Any]:
        """One call of a script on this layer's keys, after all that was submitted before."""
        self._flush(len(self.outbox))
        return self.run(script, self.prefix, *arguments)

    def _send_text(self, failure: Any, script: Script, arguments: Sequence[Any]) -> Any:
        if "NOSCRIPT" not in str(failure.value) or self._commands is None:
            return failure
        return self.call("EVAL", script.body, 0, *arguments)

    def _flush(self, at_once: int = 0) -> None:
        """Send what waits, in batches; *at_once* of it however much is on its way."""
        until = len(self.outbox) - at_once
        while self._commands is not None and (
            self._in_flight < MAX_BATCHES_IN_FLIGHT or len(self.outbox) > until
        ):
            batch = self.outbox.take()
            if not batch:
                return
            self._in_flight += 1
            arguments = write(self.prefix, [asked.operation for asked in batch])
            answered = self.run(OPERATIONS, *arguments)
            answered.addCallbacks(
                self._answered, self._failed, callbackArgs=(batch,), errbackArgs=(batch,)
            )

    def _answered(self, reply: list[int], batch: list[Asked]) -> None:
        self._in_flight -= 1
        self._heard(reply[0])
        again = [
            asked
            for asked, verdict in zip(batch, reply[1:], strict=True)
            if asked.done is not None and asked.done(verdict)
        ]
        self._settle(batch, again)
        if len(self.outbox):
            self._flush()

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
        self._flush()

    def _failed(self, failure: Any, batch: list[Asked]) -> None:
        """The server has refused a whole batch, or was lost before it answered."""
        self._in_flight -= 1
        for asked in batch:
            self._repeat(asked.operation)
        lost = failure.check(LayerUnavailable) is not None
        if not lost:
            log.error("{link} refused: {reason}", link=self.name, reason=failure.value)
        reason = str(failure.value).removeprefix(f"{self.name}: ")
        error = (Unanswered if lost else LayerUnavailable)(f"{self.name}: {reason}")
        for asked in batch:
            if asked.done is not None:
                asked.done(error)
        if not lost and self._commands is not None:
            self._settle(batch, [])
            # A server that takes no writes any more may have become a replica.
            self.lose(str(failure.value))

    def _heard(self, milliseconds: int) -> None:
        self.time.seen(milliseconds)
        self._last_answer = _wall_clock()

    # Its life

    def start(self) -> None:
        """Connect, and again whenever the connection is lost."""
        self._connecting = self._open()
        self._connecting.addErrback(self._not_opened)

    @inlineCallbacks
    def _open(self) -> Any:
        commands = blocking = None
        try:
            commands = yield self._server.connect(CONNECT_SECONDS)
            blocking = yield self._server.connect(CONNECT_SECONDS)
            for script in (OPERATIONS, LEASE, MEMBERS):
                yield commands.call("SCRIPT", "LOAD", script.body, timeout=COMMAND_SECONDS)
            identity = yield blocking.call("CLIENT", "ID", timeout=COMMAND_SECONDS)
            self._commands = commands
            yield self._lease()
        except BaseException:
            self._commands = None
            for connection in (commands, blocking):
                if connection is not None:
                    connection.close()
            raise
        if not (commands.is_open and blocking.is_open):
            self._commands = None
            commands.close()
            blocking.close()
            raise LayerUnavailable(f"{self.name}: the connection was lost at once")
        for connection in (commands, blocking):
            connection.on_lost = self._connection_lost
        self._opened(blocking, identity)

    def _opened(self, blocking: Connection, identity: int) -> None:
        since, self._connecting = self._last_answer, None
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._reason = ""
        self.owner.open(self)
        log.info("{link} is connected", link=self.name)
        self._heard(self.time.now())
        self._last_lease = self._last_answer
        self._flush()
        self.reader.start(blocking, identity)
        self._renewal.start(RENEW_SECONDS, now=False)
        self.owner.came_up(self, since)

    def let_in(self, registrations: Iterable[Operation]) -> None:
        """Take operations from now on, after *registrations*. With the hub's lock held."""
        again, self._again = self._again, {}
        self.outbox.open([*again, *registrations])

    def _not_opened(self, failure: Any) -> None:
        self._connecting = None
        if self._is_stopped:
            return
        reason = str(failure.value).removeprefix(f"{self.name}: ")
        if reason != self._reason:
            say = log.error if failure.check(ConfigurationError) else log.warn
            say("{link}: {reason}; trying again", link=self.name, reason=reason)
        self._reason = reason
        self._retry_later()

    def _retry_later(self) -> None:
        delay = self._retry_seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)
        self._retry = self._reactor.callLater(delay, self.start)

    def _connection_lost(self, reason: Exception) -> None:
        self.lose(str(reason).removeprefix(f"{self.name}: "))

    def lose(self, reason: str) -> None:
        """Drop both connections, refuse what waits, and begin anew."""
        if self._commands is None or self._is_stopped:
            return
        log.warn("{link} is lost: {reason}", link=self.name, reason=reason)
        self._reason = reason
        unsent = self.outbox.shut()
        for asked in unsent:
            self._repeat(asked.operation)
        self._close()
        self._refuse(unsent)
        self.owner.went_down(self)
        self._retry_later()

    def _refuse(self, unsent: Iterable[Asked]) -> None:
        error = LayerUnavailable(f"{self.name} is unavailable: {self._reason}")
        for asked in unsent:
            if asked.done is not None:
                asked.done(error)

    def _close(self) -> None:
        commands, self._commands = self._commands, None
        if self._renewal.running:
            self._renewal.stop()
        self.reader.stop()
        if commands is not None:
            commands.on_lost = None
            commands.close()

    @inlineCallbacks
    def stop(self) -> Any:
        """Send what waits, end the lease, and disconnect."""
        self._is_stopped = True
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._commands is not None:
            yield self._wait_until(lambda: not self.reader.is_working, TAKE_SECONDS)
            self.owner.give_back()
            self._flush(len(self.outbox))
            yield self._wait_until(
                lambda: self.outbox.is_idle and not self._in_flight, SEND_SECONDS
            )
        if self._commands is not None:
            hub, *others = self.owner.addresses()
            try:
                yield self.run(LEAVE, self.prefix, hub, hub, *others)
            except Exception as error:
                log.debug("{link} was not told of the end: {error}", link=self.name, error=error)
        self._reason = "the daemon is stopping"
        unsent = self.outbox.shut()
        self._close()
        self._refuse(unsent)

    @inlineCallbacks
    def _wait_until(self, is_done: Callable[[], bool], seconds: float) -> Any:
        """Wait for so long; what is not done by then is given up with the connection."""
        until = self._reactor.seconds() + seconds
        while self._commands is not None and not is_done() and self._reactor.seconds() < until:
            yield deferLater(self._reactor, STOP_TICK_SECONDS)

    # The lease

    def renew(self) -> Any:
        """Renew the lease, now."""
        if self._commands is None:
            return None
        if self._server.find_master is not None:
            self._server.find_master(COMMAND_SECONDS).addCallback(
                self._master_found, self._commands
            )
        renewed = self._lease()
        renewed.addCallback(self._renewed, self._last_lease)
        renewed.addErrback(partial(_report, self))
        return renewed

    def _master_found(self, master: tuple[str, int] | None, asked: Connection | None) -> None:
        """A master that was replaced takes writes for a while, and loses them."""
        commands = self._commands
        if commands is None or commands is not asked or master in (None, commands.address):
            return
        self.lose("the sentinels name another master")

    def _lease(self) -> Deferred[int]:
        hub, *others = self.owner.addresses()
        leased = self.run(
            LEASE, self.prefix, int(LEASE_SECONDS * 1000), hub, self.owner.reads(), *others
        )
        return leased.addCallback(self._leased)

    def _leased(self, reply: list[Any]) -> int:
        self.time.seen(reply[0])
        self.owner.saw_others(self, [one.decode() for one in reply[2]])
        return int(reply[1])

    def _renewed(self, lapsed: int, since: float | None) -> None:
        """The server has lost our lease without losing us: it was emptied, or we slept."""
        self._last_answer = self._last_lease = _wall_clock()
        if lapsed:
            log.warn("{link} has forgotten this hub; registering again", link=self.name)
        elif self._reactor.seconds() - self._registered < REGISTER_SECONDS:
            return
        self._register()
        if lapsed:
            self.owner.came_up(self, since)

    def _register(self) -> None:
        """Register all that the hub holds, and let operations follow."""
        self._registered = self._reactor.seconds()
        self.owner.open(self)
        self._flush()


def _report(link: Link, failure: Any) -> None:
    if failure.check(LayerUnavailable) is None:
        log.failure("{link}: the lease was not renewed", failure=failure, link=link.name)


def _wall_clock() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
