"""A hub's link to one Redis server: one connection for commands, one that waits for messages.

When the server is lost, the link is made anew as soon as the server answers; until then
everything that is asked of it is refused.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.logger import Logger

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis.batches import OPERATIONS, Batches
from txchannels.layers.redis.lease import LEASE, Lease, wall_clock
from txchannels.layers.redis.operations import Operation, Script
from txchannels.layers.redis.reader import Reader
from txchannels.layers.redis.servertime import ServerTime
from txchannels.layers.redis.waits import Waits

if TYPE_CHECKING:
    from txchannels.layers.redis.connection import Connection
    from txchannels.layers.redis.ends import LinkOwner, Server
    from txchannels.layers.redis.outbox import Done

__all__ = ["MEMBERS", "Link"]

log = Logger()

MEMBERS = Script("members")

COMMAND_SECONDS = 2.0
CONNECT_SECONDS = 1.5
FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 0.5

#: A link that has lasted so long is tried again at once when it is lost.
STEADY_SECONDS = 5.0

#: How long a stop waits for what is being taken, and for what is to be sent.
TAKE_SECONDS = 2.0
SEND_SECONDS = 30.0
STOP_TICK_SECONDS = 0.01


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
        reader: Takes messages from it.
        lease: The hub's, there.
        reason: Why it is not up.

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
        self.name = server.name
        self.prefix = prefix
        self.owner = owner
        self.call_from_thread = call_from_thread
        self.seconds: Callable[[], float] = reactor.seconds
        self.reason = "not connected yet"
        self._reactor = reactor
        self._server = server
        self._last_answer: float | None = None
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._retry: Any = None
        self._steady: Any = None
        self._waits = Waits()
        self._connecting: Deferred[Any] | None = None
        self._is_stopped = False
        self._commands: Connection | None = None
        self._batches = Batches(self, reactor)
        self.outbox = self._batches.outbox
        self.flush = self._batches.flush
        self.let_in: Callable[[Iterable[Operation]], None] = self._batches.let_in
        self.reader = Reader(self)
        self.lease = Lease(self, reactor)
        self.renew = self.lease.renew
        self.register = self.lease.register

    # Asking for something

    @property
    def is_up(self) -> bool:
        """Whether operations are taken. Thread: any."""
        return self.outbox.is_open

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        return self._commands is not None

    def submit(
        self, operation: Operation, done: Done | None = None, line: str | None = None
    ) -> None:
        """Have *operation* done, in the order of its *line*. Thread: any.

        Raises: LayerUnavailable: It will not be done, and *done* not called.
        """
        self._batches.submit(operation, done, line)

    def call(self, *arguments: Any) -> Deferred[Any]:
        """One command of its own; fails with LayerUnavailable."""
        assert self._commands is not None
        return self._commands.call(*arguments, timeout=COMMAND_SECONDS)

    def run(self, script: Script, *arguments: Any) -> Deferred[Any]:
        """One call of a script; its text is sent if the server has forgotten it."""
        called = self.call("EVALSHA", script.digest, 0, *arguments)
        return called.addErrback(self._send_text, script, arguments)

    def _send_text(self, failure: Any, script: Script, arguments: Sequence[Any]) -> Any:
        if "NOSCRIPT" not in str(failure.value) or self._commands is None:
            return failure
        return self.call("EVAL", script.body, 0, *arguments)

    def finish(self) -> Deferred[Any]:
        """Fires when all that was submitted before is done."""
        self._batches.flush_all()
        return self.call("PING")

    def run_after(self, script: Script, *arguments: Any) -> Deferred[Any]:
        """One call of a script on this layer's keys, after all that was submitted before."""
        self._batches.flush_all()
        return self.run(script, self.prefix, *arguments)

    def heard(self, milliseconds: int) -> None:
        """Note an answer, which came when it was *milliseconds* there."""
        self.time.seen(milliseconds)
        self.note_answer()

    def note_answer(self) -> float:
        """Note an answer. Returns: when that was, in seconds since the epoch."""
        self._last_answer = wall_clock()
        return self._last_answer

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
            identity = yield self._waits.take_over(commands, blocking, COMMAND_SECONDS)
            self._commands = commands
            yield self.lease.take()
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
        self._steady = self._reactor.callLater(STEADY_SECONDS, self._has_lasted)
        self.reason = ""
        self.owner.open(self)
        log.info("{link} is connected", link=self.name)
        self.note_answer()
        self.flush()
        self.reader.start(blocking, identity)
        self.lease.start()
        self.owner.came_up(self, since)

    def _has_lasted(self) -> None:
        self._steady = None
        self._retry_seconds = FIRST_RETRY_SECONDS

    def _not_opened(self, failure: Any) -> None:
        self._connecting = None
        if self._is_stopped:
            return
        reason = str(failure.value).removeprefix(f"{self.name}: ")
        if reason != self.reason:
            say = log.error if failure.check(ConfigurationError) else log.warn
            say("{link}: {reason}; trying again", link=self.name, reason=reason)
        self.reason = reason
        self._retry_later()

    def _retry_later(self) -> None:
        delay = self._retry_seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)
        self._retry = self._reactor.callLater(delay, self.start)

    def look_for_master(self) -> None:
        """Ask the sentinels: a master that was replaced takes writes at first, and loses them."""
        if self._server.find_master is not None:
            found = self._server.find_master(COMMAND_SECONDS)
            found.addCallback(self._master_found, self._commands)

    def _master_found(self, master: tuple[str, int] | None, asked: Connection | None) -> None:
        commands = self._commands
        if commands is None or commands is not asked or master in (None, commands.address):
            return
        self.lose("the sentinels name another master")

    def _connection_lost(self, reason: Exception) -> None:
        self.lose(str(reason).removeprefix(f"{self.name}: "))

    def lose(self, reason: str) -> None:
        """Drop both connections, refuse what waits, and begin anew."""
        if self._commands is None or self._is_stopped:
            return
        log.warn("{link} is lost: {reason}", link=self.name, reason=reason)
        self.reason = reason
        unsent = self._batches.shut()
        self._close()
        self._batches.refuse(unsent)
        self.owner.went_down(self)
        self._retry_later()

    def _close(self) -> None:
        commands, self._commands = self._commands, None
        if self._steady is not None:
            self._steady.cancel()
            self._steady = None
        self.lease.stop()
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
            self._batches.flush_all()
            yield self._wait_until(lambda: self._batches.is_idle, SEND_SECONDS)
        if self._commands is not None:
            try:
                yield self.lease.end()
            except Exception as error:
                log.debug("{link} was not told of the end: {error}", link=self.name, error=error)
        self.reason = "the daemon is stopping"
        unsent = self._batches.shut()
        self._close()
        self._batches.refuse(unsent)

    @inlineCallbacks
    def _wait_until(self, is_done: Callable[[], bool], seconds: float) -> Any:
        """Wait for so long; what is not done by then is given up with the connection.

        So is all when the server is lost meanwhile: nothing connects again.
        """
        until = self._reactor.seconds() + seconds
        while (
            self._commands is not None
            and self._commands.is_open
            and not is_done()
            and self._reactor.seconds() < until
        ):
            yield deferLater(self._reactor, STOP_TICK_SECONDS)
