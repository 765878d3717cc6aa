"""One connection of a hub's server: writes go straight to the socket while nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["Wire"]

_PIECE_BYTES = 262_144


@implementer(IPullProducer)
class Wire(Protocol):
    """A stream socket in the reactor.

    Args:
        connected: Called with the wire; sets its `received` and `lost`.

    Attributes:
        received: Called with bytes.
        lost: Called once, at the end.

    Thread: the reactor's.
    """

    def __init__(self, connected: Callable[[Wire], None]) -> None:
        self._connected = connected
        self._waiting: bytearray | None = None
        self._is_open = False
        self.received: Callable[[bytes], None] = _ignore
        self.lost: Callable[[], None] = _nothing

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait for the other side to read."""
        return 0 if self._waiting is None else len(self._waiting)

    @property
    def socket(self) -> Any:
        """The socket itself."""
        transport: Any = self.transport
        return transport.socket

    def write(self, data: bytes) -> None:
        """Send *data*, now or when the other side reads."""
        if not self._is_open:
            return
        if self._waiting is not None:
            self._waiting += data
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # it is gone; what it has said before is read all the same, to its end
        if sent < len(data):
            self._waiting = bytearray(memoryview(data)[sent:])
            transport: Any = self.transport
            transport.registerProducer(self, False)

    def drop(self) -> None:
        """End the connection now."""
        if self._is_open:
            transport: Any = self.transport
            transport.abortConnection()

    def finish(self) -> None:
        """End the connection when all is sent."""
        if self._is_open:
            transport: Any = self.transport
            transport.loseConnection()

    # Twisted calls these

    def connectionMade(self) -> None:
        """The connection is there."""
        self._is_open = True
        self._connected(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        self.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other side, or this one, has ended it."""
        self._is_open = False
        self._waiting = None
        self.lost()

    def resumeProducing(self) -> None:
        """The transport has sent what it had."""
        transport: Any = self.transport
        if self._waiting:
            piece = bytes(self._waiting[:_PIECE_BYTES])
            del self._waiting[:_PIECE_BYTES]
            transport.write(piece)
        else:
            self._waiting = None
            transport.unregisterProducer()

    def stopProducing(self) -> None:
        """The connection is lost."""


def _ignore(_data: bytes) -> None:
    """Nobody listens."""


def _nothing() -> None:
    """Nobody listens."""
