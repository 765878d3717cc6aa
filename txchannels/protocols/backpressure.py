"""Writes of one connection: straight to its socket, or in a queue of known size.

While nothing waits, bytes go to the socket in the caller's turn, which costs one
system call and no turn of the reactor. What the socket does not take waits here, and
is given to the transport piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

__all__ = ["Outlet"]

_PIECE_BYTES = 65_536


@implementer(IPullProducer, IPushProducer)
class Outlet:
    """See the module.

    Args:
        transport: Where the bytes go.
        clock: The time in seconds.
        drained: Called when what waited has been taken.

    Attributes:
        stalled_since: When the client last took something; None while nothing waits.

    Thread: the reactor's.
    """

    __slots__ = (
        "_clock",
        "_drained",
        "_is_closing",
        "_queue",
        "_send",
        "_transport",
        "stalled_since",
    )

    def __init__(
        self, transport: Any, clock: Callable[[], float], drained: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._drained = drained
        self._queue: bytearray | None = None
        self._is_closing = False
        self.stalled_since: float | None = None
        # A TLS transport has no socket of its own: it must encrypt first.
        socket = getattr(transport, "socket", None)
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
            self._transport.write(data)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._transport.write(data)  # the reactor finds out that the connection is lost
            return
        if sent < len(data):
            self._enqueue(data[sent:])
            self._transport.registerProducer(self, False)

    def close(self) -> None:
        """Close the connection when all is sent. Nothing can be written any more."""
        if self._is_closing:
            return
        self._is_closing = True
        if self.stalled_since is None:
            self._end()

    def finish(self) -> None:
        """Close the sending half alone, when nothing waits."""
        self._is_closing = True
        half_close = getattr(self._transport, "loseWriteConnection", None)
        if half_close is None or self._send is None or self.stalled_since is not None:
            self._end()
        else:
            half_close()

    def abort(self) -> None:
        """Drop the connection and what waits."""
        self._is_closing = True
        self._queue = None
        self.stalled_since = None
        self._transport.abortConnection()

    def _end(self) -> None:
        if self._send is None:
            self._transport.unregisterProducer()
        self._transport.loseConnection()

    def _enqueue(self, data: bytes) -> None:
        if self._queue is None:
            self._queue = bytearray()
            self.stalled_since = self._clock()
        self._queue += data

    # Twisted calls these

    def pauseProducing(self) -> None:
        """The transport's own buffer is full (TLS only)."""
        if self.stalled_since is None:
            self._queue = bytearray()
            self.stalled_since = self._clock()

    def resumeProducing(self) -> None:
        """The transport's own buffer is empty."""
        if self._queue is None:
            return
        if self._queue:
            self.stalled_since = self._clock()
            piece = bytes(self._queue[:_PIECE_BYTES])
            del self._queue[:_PIECE_BYTES]
            self._transport.write(piece)
            return
        self._queue = None
        self.stalled_since = None
        if self._send is not None:
            self._transport.unregisterProducer()
        if self._is_closing:
            self._end()
        else:
            self._drained()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._queue = None
        self.stalled_since = None
        self._is_closing = True
