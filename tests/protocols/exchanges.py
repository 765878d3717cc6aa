"""A site without a reactor, HTTP clients that talk to it in bytes, and a recording application.

The layer is the real one. What a thread would send is sent here and crosses at
`Server.flush`; time passes in `Server.advance`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.protocols.sockets import Transport
from txchannels.layers.interfaces import Message
from txchannels.layers.memory import MemoryLayer
from txchannels.protocols.http1 import HttpConnection
from txchannels.protocols.site import Site
from txchannels.settings import HttpSettings, WebSocketSettings

__all__ = ["HOST", "RecordingLog", "Response", "Server", "Wire", "get", "post", "read_responses"]

HOST = b"Host: example.com\r\n"


def get(target: str = "/", *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: example.com", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(body: bytes, target: str = "/", *fields: str) -> bytes:
    """A request whose body has a declared length."""
    return get(target, f"Content-Length: {len(body)}", *fields, method="POST") + body


class Response(NamedTuple):
    """One response as a client reads it; a body that was cut off has `is_whole` false."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    is_whole: bool

    def field(self, name: str) -> str | None:
        found = [value for given, value in self.fields if given.lower() == name.lower()]
        assert len(found) <= 1, found
        return found[0] if found else None


def read_responses(data: bytes, *methods: str) -> list[Response]:
    """All responses in *data*, to requests with these *methods* (those not named are GET)."""
    found = []
    asked = list(methods)
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"half a head: {head!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 ")
        status = int(first.split(" ")[1])
        fields = [tuple(line.split(": ", 1)) for line in lines]
        method = "GET" if status < 200 or not asked else asked.pop(0)
        names = {name.lower(): value for name, value in fields}
        body, is_whole = b"", True
        if status >= 200 and method != "HEAD" and status not in (204, 304):
            body, data, is_whole = _read_body(names, data)
        found.append(Response(status, fields, body, is_whole))
    return found


def _read_body(fields: dict[str, str], data: bytes) -> tuple[bytes, bytes, bool]:
    assert not ("transfer-encoding" in fields and "content-length" in fields)
    if "content-length" in fields:
        size = int(fields["content-length"])
        return data[:size], data[size:], len(data) >= size
    if "transfer-encoding" not in fields:
        assert fields["connection"] == "close"
        return data, b"", True
    body = b""
    while data:
        line, _, rest = data.partition(b"\r\n")
        size = int(line, 16)
        assert rest[size : size + 2] == b"\r\n"
        body, data = body + rest[:size], rest[size + 2 :]
        if not size:
            return body, data, True
    return body, b"", False


class RecordingLog:
    """An access log that keeps what it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, ...]] = []

    def request(self, *told: Any, seconds: float) -> None:
        self.requests.append(told)

    def socket(self, *told: Any) -> None: ...


class Server:
    """A site, its layer, and an application that only records.

    Attributes:
        requests: The ``http.request`` messages that the application got.
        gone: The ``http.disconnect`` messages, if it asked for them.
        log: The access log.
    """

    def __init__(
        self, *, capacity: dict[str, int] | None = None, reading: int = 10**9, **http: Any
    ) -> None:
        self.clock = Clock()
        self.wall_seconds = 1e9
        self.calls: list[Callable[[], None]] = []
        self.requests: list[Message] = []
        self.gone: list[Message] = []
        self.log: Any = RecordingLog()
        self.layer = MemoryLayer(channel_capacity=capacity, clock=self.clock.seconds)
        self.hub = self.layer.hub
        self.site = Site(
            HttpSettings(**http),
            WebSocketSettings(),
            self.layer.reactor(self.calls.append),
            clock=self.clock.seconds,
            wall_clock=lambda: self.wall_seconds,
            access_log=self.log,
        )
        self.hub.subscribe(
            ["http.request"], lambda channel, message: self.requests.append(message)
        ).request(reading)

    def listen_to_disconnects(self) -> None:
        self.hub.subscribe(
            ["http.disconnect"], lambda channel, message: self.gone.append(message)
        ).request(10**9)

    def flush(self) -> None:
        """Let the reactor run what threads have asked of it."""
        while self.calls:
            self.calls.pop(0)()

    def advance(self, seconds: float) -> None:
        """Let time pass, with a check at the end of each second."""
        while seconds > 0:
            step = min(1.0, seconds)
            seconds -= step
            self.clock.advance(step)
            self.site.check()
            self.flush()

    def send(self, request: Message, message: Message) -> None:
        """The application sends to the reply channel of *request*."""
        self.hub.send(request["reply_channel"], message)
        self.flush()

    def answer(
        self,
        content: Any = b"",
        *,
        at: int = -1,
        status: Any = 200,
        headers: Any = (),
        more: bool = False,
    ) -> None:
        """The application answers the request number *at* that it got."""
        message = {"status": status, "content": content, "more_content": more}
        self.send(self.requests[at], {**message, "headers": list(headers)})

    def stream(self, content: bytes, *, at: int = -1, more: bool = True) -> None:
        """The application sends more content."""
        self.send(self.requests[at], {"content": content, "more_content": more})

    def read_body(self, at: int = -1) -> list[Message]:
        """The application takes all that has come on the request's body channel."""
        taken = []
        while found := self.hub.take([self.requests[at]["body_channel"]]):
            taken.append(found[1])
            self.flush()
        return taken

    def count(self, name: str) -> int:
        return self.site.counters[name]

    def assert_nothing_left(self) -> None:
        """No connection, no channel, no message."""
        assert self.site.connections == 0
        assert self.site._targets == {}
        assert len(self.site.inbox) == 0
        assert self.site.late_messages == 0


class Wire:
    """One connection to a `Server`, from the other side."""

    def __init__(self, server: Server, *data: bytes, transport: Any = None) -> None:
        self.server = server
        self.transport = transport or Transport()
        self.transport.protocol = HttpConnection(server.site)
        self.transport.protocol.makeConnection(self.transport)
        for piece in data:
            self.feed(piece)

    def feed(self, data: bytes) -> None:
        """Send bytes, as the reactor would hand them over."""
        self.transport.protocol.dataReceived(data)
        self.server.flush()

    def lose(self) -> None:
        """The connection is lost."""
        self.transport.socket.is_broken = True
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))
        self.server.flush()

    @property
    def sent(self) -> bytes:
        return bytes(self.transport.sent)

    def responses(self, *methods: str) -> list[Response]:
        return read_responses(self.sent, *methods)

    def response(self, *methods: str) -> Response:
        """The only response."""
        [found] = self.responses(*methods)
        return found

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses()]

    @property
    def is_closed(self) -> bool:
        """Whether the server has ended its side, so that the client can read it all."""
        return self.transport.is_half_closed or self.transport.is_losing

    @property
    def is_aborted(self) -> bool:
        return bool(self.transport.is_aborted)
