"""A site without a reactor, and WebSocket clients that talk to it in bytes.

The layer is the real one. What a thread would send is sent here and crosses at
`World.flush`; time passes in `World.advance`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from socket import socketpair
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from txchannels.layers.interfaces import Message
from txchannels.layers.memory import MemoryLayer
from txchannels.protocols.http1 import HttpConnection
from txchannels.protocols.site import Site
from txchannels.settings import HttpSettings, WebSocketSettings

__all__ = ["Client", "World", "mask_frame", "read_frames"]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x11\xe2\x03\x84"


def mask_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = MASK
) -> bytes:
    """A frame as a client sends it."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + masked


def read_frames(data: bytes) -> list[tuple[int, bytes]]:
    """The frames in *data*, which must be whole and as a server sends them."""
    frames = []
    while data:
        size, at = data[1], 2
        assert data[0] & 0x70 == 0
        assert size < 128, "a server does not mask"
        if size == 126:
            size, at = struct.unpack("!H", data[2:4])[0], 4
        elif size == 127:
            size, at = struct.unpack("!Q", data[2:10])[0], 10
        assert len(data) >= at + size, "half a frame"
        frames.append((data[0], data[at : at + size]))
        data = data[at + size :]
    return frames


_THERE = socketpair()
_GONE = socketpair()
_GONE[1].close()


class Kernel:
    """A socket whose client takes `room` more bytes; None is all."""

    def __init__(self, sent: bytearray) -> None:
        self.sent = sent
        self.room: int | None = None
        self.is_broken = False
        self.is_hung_up = False

    def fileno(self) -> int:
        """Of a real socket, whose other side is there or is not: it can be polled."""
        return (_GONE if self.is_hung_up else _THERE)[0].fileno()

    def send(self, data: bytes) -> int:
        if self.is_broken:
            raise BrokenPipeError
        if self.room is None:
            self.sent += data
            return len(data)
        if not self.room:
            raise BlockingIOError
        taken = bytes(data[: self.room])
        self.sent += taken
        self.room -= len(taken)
        return len(taken)


class Transport:
    """A TCP transport as far as connections use it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.socket = Kernel(self.sent)
        self.protocol: Any = None
        self.producer: Any = None
        self.is_paused = False
        self.is_losing = False
        self.is_half_closed = False
        self.is_aborted = False
        self.is_lost = False
        self.buffer = b""

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.7", 50_123)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 8000)

    def pauseProducing(self) -> None:
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.is_paused = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        if not self.socket.is_broken:
            self.buffer += data

    def loseConnection(self) -> None:
        self.is_losing = True

    def loseWriteConnection(self) -> None:
        self.is_half_closed = True

    def abortConnection(self) -> None:
        self.is_aborted = True

    # the other side

    def take(self, count: int | None = None) -> None:
        """The client reads: *count* bytes, or all and all that follows."""
        self.socket.room = count
        while (self.buffer or self.producer is not None) and self.socket.room != 0:
            if not self.buffer:
                self.producer.resumeProducing()
                if not self.buffer:
                    break
            taken = self.socket.send(self.buffer)
            self.buffer = self.buffer[taken:]


class World:
    """A site, its layer, and an application that only records.

    Attributes:
        messages: What the application got, in order.
    """

    def __init__(
        self,
        *,
        http: dict[str, Any] | None = None,
        capacity: dict[str, int] | None = None,
        reading: int = 1_000_000,
        start: float = 0.0,
        is_host_allowed: Callable[[str], bool] | None = None,
        **websocket: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(start)
        self.calls: list[Callable[[], None]] = []
        self.messages: list[tuple[str, Message]] = []
        self.layer = MemoryLayer(channel_capacity=capacity, clock=self.clock.seconds)
        self.hub = self.layer.hub
        self.site = Site(
            HttpSettings(**(http or {})),
            WebSocketSettings(**websocket),
            self.layer.reactor(self.calls.append),
            clock=self.clock.seconds,
            wall_clock=lambda: 1e9,
            is_host_allowed=is_host_allowed,
        )
        channels = ["websocket.connect", "websocket.receive", "websocket.disconnect"]
        self.application = self.hub.subscribe(
            channels, lambda channel, message: self.messages.append((channel, message))
        )
        self.application.request(reading)

    def flush(self) -> None:
        """Let the reactor run what threads have asked of it."""
        while self.calls:
            self.calls.pop(0)()

    def send(self, channel: str, message: Message) -> None:
        self.hub.send(channel, message)
        self.flush()

    def send_group(self, group: str, *messages: Message) -> None:
        for message in messages:
            self.hub.send_group(group, message)
        self.flush()

    def advance(self, seconds: float) -> None:
        """Let time pass, with a check at the end of each second."""
        while seconds > 0:
            step = min(1.0, seconds)
            seconds -= step
            self.clock.advance(step)
            self.site.check()
            self.flush()

    def client(self, **handshake: Any) -> Client:
        """A client that has asked for a socket."""
        client = Client(self)
        client.ask(**handshake)
        return client

    def open(self, **handshake: Any) -> Client:
        """A client whose socket is open, the connect's consumer done."""
        client = self.client(**handshake)
        client.reply({"accept": True})
        client.reply({"consumed": 0})
        assert client.status == 101, bytes(client.transport.sent)
        client.transport.sent.clear()
        self.messages.clear()
        return client

    @property
    def received(self) -> list[Any]:
        """The contents that the application got, and the codes of disconnects."""
        return [
            message["text"] if message["text"] is not None else message["bytes"]
            for channel, message in self.messages
            if channel == "websocket.receive"
        ]

    def of(self, channel: str) -> list[Message]:
        return [message for name, message in self.messages if name == channel]

    def assert_nothing_left(self) -> None:
        """No connection, no channel, no membership, no message."""
        assert self.site.connections == 0
        assert self.site._targets == {}
        assert len(self.site.inbox) == 0
        assert self.site.late_messages == 0
        assert self.site.inbox._paused == set()
        assert self.site.inbox._waiting_for_room == {}


class Client:
    """One connection to a `World`, from the other side."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.transport = Transport()
        self.transport.protocol = HttpConnection(world.site)
        self.transport.protocol.makeConnection(self.transport)
        self.reply_channel = ""

    def ask(
        self,
        *,
        fields: dict[str, str | bytes | None] | None = None,
        path: str = "/chat?x=1",
        rest: bytes = b"",
    ) -> None:
        """Send the handshake; *fields* are added to it, or taken away with None."""
        given: dict[str, str | bytes | None] = {
            "Host": "example.com",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13",
            **(fields or {}),
        }
        lines = [f"GET {path} HTTP/1.1".encode()]
        for name, value in given.items():
            if value is not None:
                value = value.encode() if isinstance(value, str) else value
                lines.append(name.encode() + b": " + value)
        before = len(self.world.of("websocket.connect"))
        self.feed(b"\r\n".join([*lines, b"", b""]) + rest)
        connects = self.world.of("websocket.connect")
        if len(connects) > before:
            self.reply_channel = connects[-1]["reply_channel"]

    @property
    def socket(self) -> Any:
        return self.transport.protocol

    def feed(self, data: bytes) -> None:
        """Send bytes, as the reactor would hand them over."""
        self.transport.protocol.dataReceived(data)
        self.world.flush()

    def text(self, *texts: str) -> None:
        """Send text messages, all in one piece."""
        self.feed(b"".join(mask_frame(1, text.encode()) for text in texts))

    def close(self, code: int | None = 1000) -> None:
        self.feed(mask_frame(8, b"" if code is None else struct.pack("!H", code)))

    def lose(self, *, clean: bool = False) -> None:
        """The connection is lost."""
        self.transport.is_lost = True
        self.transport.socket.is_broken = True
        error = ConnectionDone() if clean else ConnectionLost()
        self.transport.protocol.connectionLost(Failure(error))
        self.world.flush()

    def reply(self, message: Message) -> None:
        """The application sends to the socket's reply channel."""
        self.world.send(self.reply_channel, message)

    # What came back

    @property
    def status(self) -> int:
        return int(bytes(self.transport.sent).split(b" ", 2)[1])

    @property
    def response(self) -> bytes:
        """The response's head."""
        return bytes(self.transport.sent).partition(b"\r\n\r\n")[0]

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """The frames since the socket opened."""
        sent = bytes(self.transport.sent)
        if sent.startswith(b"HTTP/1.1 "):
            sent = sent.partition(b"\r\n\r\n")[2]
        return read_frames(sent)

    @property
    def texts(self) -> list[str]:
        return [payload.decode() for first, payload in self.frames if first == 0x81]

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that came last of all; None without one."""
        first, payload = self.frames[-1] if self.frames else (0, b"")
        if first != 0x88:
            return None
        return int.from_bytes(payload[:2], "big") if payload else 1005
