"""Writes of one connection: straight to its socket, or in a queue of known size.

While nothing waits, bytes go to the socket in the caller's turn, which costs one
system call and no turn of the reactor. What the socket does not take waits here, and
is given to the transport piece by piece.
"""

from __future__ import annotations

import socket as sockets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IPullProducer, IPushProducer, ISSLTransport
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from txchannels.protocols.hangup import has_hung_up

__all__ = ["Outlet"]

_PIECE_BYTES = 65_536

#: RFC 5482; Linux has it. Without it, a client that has vanished is noticed after many minutes.
_USER_TIMEOUT: int | None = getattr(sockets, "TCP_USER_TIMEOUT", None)


@implementer(IPullProducer, IPushProducer)
class Outlet:
    """See the module.

    Args:
        transport: Where the bytes go.
        clock: The time in seconds.
        drained: Called when what waited has been taken.

    Attributes:
        transport: Where the bytes go.
        drained: As above; whoever takes the connection over sets its own.
        stalled_since: When the client last took something; None while nothing waits.

    Thread: the reactor's.
    """

    __slots__ = (
        "_clock",
        "_is_closing",
        "_is_half_closing",
        "_is_held",
        "_queue",
        "_send",
        "drained",
        "stalled_since",
        "transport",
    )

    def __init__(
        self, transport: Any, clock: Callable[[], float], drained: Callable[[], None]
    ) -> None:
        self.transport = transport
        self._clock = clock
        self.drained = drained
        self._queue: bytearray | None = None
        self._is_closing = False
        self._is_half_closing = False
        self._is_held = False
        self.stalled_since: float | None = None
        # A TLS transport must encrypt first, though it shows the socket of the one below.
        is_encrypted = ISSLTransport.providedBy(transport)
        socket = None if is_encrypted else getattr(transport, "socket", None)
        self._send = None if socket is None else socket.send
        if socket is None and hasattr(transport, "registerProducer"):
            transport.registerProducer(self, True)

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait for the client."""
        return 0 if self._queue is None else len(self._queue)

    @property
    def is_blocked(self) -> bool:
        """Whether something waits."""
        return self.stalled_since is not None

    def write(self, data: bytes) -> None:
        """Send *data*, now or when the client takes it."""
        if self._is_closing:
            return
        if self.stalled_since is not None:
            self._enqueue(data)
            return
        if self._send is None:
            self._write_pieces(data)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.transport.write(data)  # the reactor finds out that the connection is lost
            return
        if sent < len(data):
            self._enqueue(memoryview(data)[sent:])
            self.transport.registerProducer(self, False)

    def _write_pieces(self, data: bytes) -> None:
        """Give *data* to the transport, until that has enough for now."""
        for at in range(0, len(data), _PIECE_BYTES):
            self.transport.write(data[at : at + _PIECE_BYTES])
            if self.stalled_since is not None:
                self._enqueue(memoryview(data)[at + _PIECE_BYTES :])
                return

    def limit_silence(self, seconds: float) -> None:
        """Let the system drop the connection when it hears nothing for so long of what was sent."""
        sock = getattr(self.transport, "socket", None)
        if _USER_TIMEOUT is None or sock is None:
            return
        with suppress(OSError, AttributeError):  # not of TCP
            sock.setsockopt(sockets.IPPROTO_TCP, _USER_TIMEOUT, round(seconds * 1000))

    def has_hung_up(self) -> bool:
        """Whether the client has closed its side, as far as that can be seen without reading."""
        return self._send is not None and has_hung_up(self.transport.socket)

    def close(self) -> None:
        """Close the connection when all is sent. Nothing can be written any more."""
        if self._is_closing:
            return
        self._is_closing = True
        if self.stalled_since is None:
            self._end()

    def finish(self) -> None:
        """Close the sending half alone, when all is sent: what still comes is received."""
        if self._is_closing:
            return
        self._is_half_closing = True
        self.close()

    def drop(self) -> None:
        """Receive nothing more of a connection that is closed or finished.

        Unlike `abort`, this lets the system send what it has taken.
        """
        self._is_closing = True
        below = self.transport
        while isinstance(below, ProtocolWrapper):  # TLS would wait for the client's farewell
            below = below.transport
        below.loseConnection()

    def abort(self) -> None:
        """Drop the connection and what waits, there and in the system."""
        self._is_closing = True
        self._queue = None
        self.stalled_since = None
        self.transport.abortConnection()

    def _end(self) -> None:
        if self._send is None:
            self.transport.unregisterProducer()
        elif self._is_half_closing and hasattr(self.transport, "loseWriteConnection"):
            self.transport.loseWriteConnection()
            return
        self.transport.loseConnection()

    def _enqueue(self, data: bytes | memoryview) -> None:
        if self._queue is None:
            self._queue = bytearray()
            self.stalled_since = self._clock()
        self._queue += data

    # Twisted calls these

    def pauseProducing(self) -> None:
        """The transport's own buffer is full (TLS only)."""
        self._is_held = True
        if self.stalled_since is None:
            self._queue = bytearray()
            self.stalled_since = self._clock()

    def resumeProducing(self) -> None:
        """The transport's own buffer is empty."""
        self._is_held = False
        if self._queue is None:
            return
        while self._queue:
            self.stalled_since = self._clock()
            piece = bytes(self._queue[:_PIECE_BYTES])
            del self._queue[:_PIECE_BYTES]
            self.transport.write(piece)
            if self._send is not None or self._is_held or self._queue is None:
                return  # called again when the client has taken it, or the connection is lost
        self._queue = None
        self.stalled_since = None
        if self._send is not None:
            self.transport.unregisterProducer()
        if self._is_closing:
            self._end()
        else:
            self.drained()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._queue = None
        self.stalled_since = None
        self._is_closing = True
