"""One connection to one Redis, in the reactor's thread.

txredisapi's protocol with hiredis' reader, and what it lacks for a layer: a bound on every wait, a
connection that is dropped and never used again after a timeout (the next reply would be another
call's), and commands packed in C. Nothing reconnects here.

Importing this module installs the global reactor (txredisapi does): only the daemon does so, late.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import hiredis
import txredisapi
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis import failures, meanings, sentinel
from txchannels.layers.redis.endpoints import make_endpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from txchannels.layers.redis.config import Host

__all__ = ["Connection", "connect", "find_master"]

# How often the oldest waits are looked at: one timer a connection, not one a command.
TICK_SECONDS = 0.1

T = TypeVar("T")


class Connection(txredisapi.HiredisProtocol):
    """One connection: commands out, replies in, in order.

    Thread: the reactor's.

    Args:
        clock: Measures the waits.
        name: What errors call the server; has no secret.

    Attributes:
        on_lost: Called once with the reason when the connection is lost, after every outstanding
            call has failed; not when it was closed from this side.
        address: Where the server is, if not at a Unix socket.
    """

    def __init__(self, clock: IReactorTime, name: str) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.on_lost: Callable[[LayerUnavailable], None] | None = None
        self.address: tuple[str, int] | None = None
        self._clock = clock
        self._name = name
        self._end: tuple[str, BaseException | None] | None = None
        # The calls without a reply, oldest first, each with the tick at which it is late.
        self._outstanding: deque[tuple[Deferred[Any], float]] = deque()
        self._ticks = 0
        self._timer: IDelayedCall | None = None
        self._send: Callable[[bytes], int] | None = None
        self._is_all_sent = True

    @property
    def is_open(self) -> bool:
        """Whether a command would be sent."""
        return self._end is None

    def call(self, *arguments: bytes | str | int, timeout: float | None) -> Deferred[Any]:
        """Send one command.

        To cancel what is returned gives up the reply; the command is carried out all the same.

        Args:
            timeout: Seconds after which, without a reply, the connection is dropped and all that
                waits on it fails. Only time in which the reactor turns is counted: a program
                that was stopped finds its replies. None: the server bounds the wait.

        Returns: The reply: bytes, an integer, None or a list of them (in which an error is an
            element as any other). It fails with `txredisapi.ResponseError` if the server refuses
            the command, and with `LayerUnavailable` if the connection is lost, at once if it has
            been lost before.
        """
        if self._end is not None:
            return fail(self._unavailable(*self._end))
        command = hiredis.pack_command(arguments)  # type: ignore[arg-type]
        # Nothing is overtaken: all was taken by the system, or has been answered.
        if self._send is not None and (self._is_all_sent or not self._outstanding):
            command = self._send_now(command)
            self._is_all_sent = not command
        reply: Deferred[Any] = Deferred()
        if timeout is None:
            self._outstanding.append((reply, math.inf))
        else:
            # The tick that is running has begun already.
            self._outstanding.append((reply, self._ticks + timeout / TICK_SECONDS + 1))
            if self._timer is None:
                self._timer = self._clock.callLater(TICK_SECONDS, self._tick)
        if command:
            self.transport.write(command)
        return reply

    def close(self) -> None:
        """Drop the connection; what is outstanding fails. Again: nothing happens.

        Whether the server has carried out a command without a reply is not known then.
        """
        self._drop("this side has closed the connection", None)

    def connectionMade(self) -> None:
        super().connectionMade()
        # A TLS transport must encrypt first, though it shows the socket of the one below.
        is_encrypted = ISSLTransport.providedBy(self.transport)
        socket = None if is_encrypted else getattr(self.transport, "socket", None)
        self._send = None if socket is None else socket.send

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        try:
            super().dataReceived(data)
        except txredisapi.InvalidData as error:
            self._lose("the server sends what is not Redis' protocol", error)

    def tryConvertData(self, data: Any) -> Any:  # noqa: N802 -- txredisapi's hook
        """Leave a reply as it is; txredisapi would look at each element of each list."""
        return data

    def replyReceived(self, reply: Any) -> None:  # noqa: N802 -- txredisapi's hook
        if self._outstanding:
            waiting, _ = self._outstanding.popleft()
            if isinstance(reply, txredisapi.ResponseError):
                waiting.errback(reply)
            else:
                waiting.callback(reply)
        elif isinstance(reply, txredisapi.ResponseError):
            # "max number of clients reached" comes unasked, before the server hangs up.
            self._lose(meanings.unasked(str(reply)), reply)
        else:
            self._lose("the server sent a reply that nothing had asked for", None)

    def connectionLost(self, why: Failure) -> None:
        super().connectionLost(why)
        self._lose(failures.loss(why.value), why.value)

    def _send_now(self, command: bytes) -> bytes:
        """Send in this turn of the reactor, not in the next. Returns: what was not taken."""
        assert self._send is not None
        try:
            return command[self._send(command) :]
        except OSError:  # full, or lost: the transport finds out
            return command

    def _tick(self) -> None:
        self._timer = None
        self._ticks += 1
        deadline = min((late for _, late in self._outstanding), default=math.inf)
        if deadline <= self._ticks:
            self._lose("no reply in time", None)
        elif deadline != math.inf:
            self._timer = self._clock.callLater(TICK_SECONDS, self._tick)

    def _lose(self, reason: str, cause: BaseException | None) -> None:
        if self._drop(reason, cause) and self.on_lost is not None:
            self.on_lost(self._unavailable(reason, cause))

    def _drop(self, reason: str, cause: BaseException | None) -> bool:
        """End it, if it has not ended: what waits fails. Returns: whether it was open."""
        if self._end is not None:
            return False
        self._end = (reason, cause)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.connected:
            self.transport.abortConnection()
        outstanding, self._outstanding = self._outstanding, deque()
        for waiting, _ in outstanding:
            waiting.errback(self._unavailable(reason, cause))
        return True

    def _unavailable(self, reason: str, cause: BaseException | None) -> LayerUnavailable:
        # A new one for each: an exception that is raised in many places collects their tracebacks.
        error = LayerUnavailable(f"{self._name}: {reason}")
        error.__cause__ = cause
        return error


def connect(reactor: Any, host: Host, *, timeout: float) -> Deferred[Connection]:
    """Open a connection, log in and make sure that the server will do.

    With sentinels, it leads to the master that they name.

    Args:
        timeout: Seconds for all of it.

    Returns: The connection. It fails with `ConfigurationError` if it can never work, with
        `LayerUnavailable` if it may work later; each has one line without a secret. Nothing is
        left open then, nor after it was cancelled.
    Thread: the reactor's.
    """
    dial = partial(_dial, reactor)
    if not host.service:
        return _within(reactor, timeout, host, dial(host))
    work = sentinel.connect_to_master(host, dial, _bounded(reactor, timeout))
    return _within(reactor, timeout, host, work)


def find_master(reactor: Any, host: Host, *, timeout: float) -> Deferred[tuple[str, int] | None]:
    """Where the sentinels of *host* say that the master is now; None if none says so in time.

    Thread: the reactor's.
    """
    return Deferred.fromCoroutine(
        sentinel.find_master(host, partial(_dial, reactor), _bounded(reactor, timeout))
    )


def _bounded(reactor: Any, timeout: float) -> sentinel.Bounded:
    """Runs parts of what has to end in *timeout* seconds, each in a share of what is left."""
    end = reactor.seconds() + timeout

    def bounded(part: Coroutine[Deferred[Any], Any, T], host: Host, share: float) -> Deferred[T]:
        return _within(reactor, max(0.0, end - reactor.seconds()) * share, host, part)

    return bounded


def _within(
    reactor: IReactorTime, seconds: float, host: Host, work: Coroutine[Deferred[Any], Any, T]
) -> Deferred[T]:
    def timed_out(_: object, seconds: float) -> T:
        raise meanings.no_answer(host, seconds)

    return Deferred.fromCoroutine(work).addTimeout(seconds, reactor, timed_out)


async def _dial(reactor: Any, host: Host) -> Connection:
    """A connection that has logged in to a Redis that will do, or to a service's sentinel."""
    connection = Connection(reactor, str(host))
    connection.address = host.addresses[0] if host.addresses else None
    try:
        await _cancellable(make_endpoint(reactor, host).connect(_factory(connection)))
        if not host.path:
            connection.transport.setTcpNoDelay(True)
            connection.transport.setTcpKeepAlive(True)
        await _log_in(connection, host)
        if not host.service:
            failures.check_server(await connection.call("INFO", timeout=None), host)
    except failures.EXPECTED as error:
        connection.close()
        raise failures.explain(error, host) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _factory(connection: Connection) -> Factory[Any]:
    factory: Factory[Any] = Factory.forProtocol(lambda: connection)
    factory.noisy = False  # each attempt would be two lines in the log
    return factory


def _cancellable(work: Deferred[T]) -> Deferred[T]:
    """*work*, such that to cancel it is to end it.

    HostnameEndpoint calls it an unknown name if it is cancelled while it looks the name up, after
    which a loop over several hosts would go on with the next.
    """
    is_cancelled = False

    def cancel(_: object) -> None:
        nonlocal is_cancelled
        is_cancelled = True
        work.cancel()

    def done(outcome: T | Failure) -> None:
        if not is_cancelled:
            result.callback(outcome)

    result: Deferred[T] = Deferred(cancel)
    work.addBoth(done)
    return result


async def _log_in(connection: Connection, host: Host) -> None:
    if host.password is not None:
        names = () if host.username is None else (host.username,)
        try:
            await connection.call("AUTH", *names, host.password, timeout=None)
        except txredisapi.ResponseError as error:
            raise failures.explain_login(error, host) from None
    if host.db:
        await connection.call("SELECT", host.db, timeout=None)
