"""WebSocket connections (RFC 6455): frames in, messages out, and the other way.

The handshake is held until a consumer answers ``websocket.connect``. After that the
socket hands out its messages one at a time: the next one when the consumer of the last
has returned. What a socket may make others wait for, or hold in memory, is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from txchannels.errors import ChannelFull, LayerError, PeerError
from txchannels.protocols.backpressure import Outlet
from txchannels.protocols.exchange import split_target
from txchannels.protocols.forwarded import read_forwarded
from txchannels.protocols.frames import (
    BINARY,
    PING,
    PONG,
    TEXT,
    FrameReader,
    encode_close,
    encode_frame,
)
from txchannels.protocols.handshake import VERSION, Handshake, accept_head, read_handshake
from txchannels.protocols.origin import is_origin_allowed
from txchannels.protocols.request import Head
from txchannels.protocols.responses import encode_head, error_body

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message, Targets
    from txchannels.protocols.site import Site

__all__ = ["Socket"]

log = Logger()

CONNECTING, OPEN, CLOSING, LOST = range(4)

_KNOWN_KEYS = frozenset(("text", "bytes", "close", "accept", "subprotocol", "consumed"))

#: Close codes that an endpoint may send (RFC 6455, section 7.4; IANA's registry).
_SENDABLE_CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)))

_MAX_EARLY_BYTES = 65_536


@implementer(IProtocol)
class Socket:
    """One WebSocket, from its handshake to its last message.

    Thread: the reactor's.
    """

    __slots__ = (
        "_backlog",
        "_backlog_bytes",
        "_busy_order",
        "_busy_since",
        "_client",
        "_closed_at",
        "_code",
        "_early",
        "_full_since",
        "_handshake",
        "_is_paused",
        "_next_order",
        "_opened_at",
        "_outlet",
        "_path",
        "_pinged_at",
        "_reader",
        "_received_at",
        "_reply_channel",
        "_scheme",
        "_server",
        "_site",
        "_state",
        "_target",
        "transport",
    )

    def __init__(self, site: Site, transport: Any, client: Any, server: Any, scheme: str) -> None:
        self._site = site
        self.transport = transport
        self._client = client
        self._server = server
        self._scheme = scheme
        self._outlet = Outlet(transport, site.clock, self._drained)
        self._reader: FrameReader | None = None
        self._state = CONNECTING
        self._reply_channel = ""
        self._path = ""
        self._target = b""
        self._early = b""
        self._handshake: Handshake | None = None
        self._backlog: deque[str | bytes] | None = None
        self._backlog_bytes = 0
        self._next_order = 0
        self._busy_order = -1
        self._busy_since = 0.0
        self._full_since = 0.0
        self._is_paused = False
        self._code = 1006
        self._opened_at = self._received_at = site.clock()
        self._pinged_at = 0.0
        self._closed_at = 0.0
        if isinstance(transport, ProtocolWrapper):
            transport.wrappedProtocol = self  # TLS
        else:
            transport.protocol = self

    # The handshake

    def handshake_received(self, head: Head, rest: bytes) -> None:
        """Ask the application whether the socket may open."""
        self._early = rest
        self._target = head.target
        try:
            self._handshake = handshake = read_handshake(head)
            self._path, query_string = split_target(head)
            self._check_origin(head, handshake)
            if self._site.is_stopping:
                raise PeerError("The server is stopping", status=503)
            self._connect(head, handshake, query_string)
        except PeerError as error:
            self._reject(error.status, error.reason)

    def _check_origin(self, head: Head, handshake: Handshake) -> None:
        host = head.host
        hops = self._site.http.proxy_hops
        if hops:
            said = read_forwarded(head.fields, hops).host
            host = said.encode("latin-1") if said else host
        origins = self._site.websocket.origins
        if not is_origin_allowed(handshake.origin, host, self._scheme, origins):
            self._site.count("websocket.origin")
            raise PeerError("This origin may not open a WebSocket here", status=403)

    def _connect(self, head: Head, handshake: Handshake, query_string: bytes) -> None:
        self._site.log_socket(self._client, "WSCONNECTING", self._target)
        self._reply_channel = self._site.open_channel(self)
        self._next_order = 1
        message: Message = {
            "reply_channel": self._reply_channel,
            "scheme": "wss" if self._scheme == "https" else "ws",
            "path": self._path,
            "query_string": query_string,
            "root_path": self._site.http.root_path,
            "headers": head.fields,
            "client": self._client,
            "server": self._server,
            "order": 0,
            "subprotocols": handshake.protocols,
        }
        try:
            self._site.layer.send("websocket.connect", message)
        except LayerError:
            self._site.close_channel(self._reply_channel)
            self._reply_channel = ""
            raise PeerError("The server is busy; try again soon", status=503) from None
        self._set_busy(0)

    def _answer_handshake(self, message: Message) -> None:
        accept = message.get("accept")
        if accept or (accept is None and (message.get("text") or message.get("bytes"))):
            self._open(message.get("subprotocol"))
        elif accept is not None or message.get("close"):
            self._site.log_socket(self._client, "WSREJECT", self._target)
            self._reject(403, "Access denied")

    def _open(self, protocol: str | None) -> None:
        site = self._site
        handshake = self._handshake
        assert handshake is not None
        if protocol is not None and protocol not in handshake.protocols:
            log.error(
                "Subprotocol {protocol!r} was not offered by the client of {path}",
                protocol=protocol,
                path=self._path,
            )
            protocol = None
        elif protocol is None:
            served = site.websocket.protocols
            protocol = next((one for one in handshake.protocols if one in served), None)
        self._state = OPEN
        self._handshake = None
        self._opened_at = self._received_at = site.clock()
        self._outlet.write(accept_head(handshake.key, protocol))
        site.log_socket(self._client, "WSCONNECT", self._target)
        early, self._early = self._early, b""
        self._read_again()
        if early:
            self.dataReceived(early)

    def _reject(self, status: int, reason: str) -> None:
        """Answer the handshake with an HTTP error, and close."""
        site = self._site
        site.count(f"websocket.{status}")
        body = error_body(status, reason)
        lines = [
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Length: %d" % len(body),
            b"Connection: close",
            site.date_line(),
        ]
        if status == 503:
            lines.append(b"Retry-After: %d" % site.retry_after_seconds)
        if status == 426:
            lines.append(b"Sec-WebSocket-Version: " + VERSION)
        self._outlet.write(encode_head(status, lines) + body)
        self._start_closing()
        self._outlet.close()

    # Bytes in

    def makeConnection(self, transport: Any) -> None:
        """Never called: the transport was connected before."""

    connectionMade = makeConnection

    def dataReceived(self, data: bytes) -> None:
        self._received_at = self._site.clock()
        if self._state == CONNECTING:
            self._early += data
            if len(self._early) > _MAX_EARLY_BYTES:
                self._pause()
            return
        if self._state == LOST or (self._state == CLOSING and self._reader is None):
            return
        reader = self._reader
        if reader is None:
            reader = self._reader = FrameReader(self, self._site.websocket.max_message_bytes)
        try:
            reader.feed(data)
        except PeerError as error:
            self._peer_failed(error)

    def text_received(self, text: str) -> None:
        if self._state == OPEN:
            self._submit(text)

    def binary_received(self, data: bytes) -> None:
        if self._state == OPEN:
            self._submit(data)

    def ping_received(self, payload: bytes) -> None:
        if self._state == OPEN and not self._outlet.is_blocked:
            self._outlet.write(encode_frame(PONG, payload))

    def pong_received(self, payload: bytes) -> None:
        """Any byte shows that the client lives; the pong says nothing more."""

    def close_received(self, code: int) -> None:
        # RFC 6455, section 5.5.1: a close is answered by a close, then the server drops
        self._code = code
        if self._state == OPEN:
            self._outlet.write(encode_close(code))
            self._start_closing()
        self._outlet.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._outlet.stopProducing()
        if self._state == CONNECTING or not self._reply_channel:
            self._site.log_socket(self._client, "WSREJECT", self._target)
        else:
            self._site.log_socket(self._client, "WSDISCONNECT", self._target, self._code)
        self._state = LOST
        self._reader = None
        self._early = b""
        if self._reply_channel:
            self._site.leave_groups(self._reply_channel)
            self._hand_out()
        else:
            self._site.remove_connection(self)

    def _peer_failed(self, error: PeerError) -> None:
        self._site.count(f"websocket.{error.close_code}")
        self._code = error.close_code
        if self._state == OPEN:
            self._outlet.write(encode_close(error.close_code, error.reason))
        self._start_closing()
        self._reader = None
        self._outlet.finish()

    # Messages out: to the application

    def _submit(self, payload: str | bytes) -> None:
        if self._backlog is None:
            self._backlog = deque()
        self._backlog.append(payload)
        self._backlog_bytes += len(payload)
        if self._busy_order < 0:
            self._hand_out()
        if self._backlog is not None and self._is_backlog_full():
            self._pause()

    def _is_backlog_full(self) -> bool:
        limits = self._site.websocket
        return self._backlog is not None and (
            len(self._backlog) >= limits.max_backlog_messages
            or self._backlog_bytes > limits.max_message_bytes
        )

    def _hand_out(self) -> None:
        """Hand out what waits, as far as order and room allow; at the end, the disconnect."""
        while self._busy_order < 0 and not self._full_since:
            if not self._backlog:
                self._backlog = None
                if self._state == LOST:
                    self._hand_out_disconnect()
                break
            payload = self._backlog[0]
            is_text = type(payload) is str
            message: Message = {
                "reply_channel": self._reply_channel,
                "path": self._path,
                "order": self._next_order,
                "text": payload if is_text else None,
                "bytes": None if is_text else payload,
            }
            if not self._send("websocket.receive", message):
                return
            self._backlog.popleft()
            self._backlog_bytes -= len(payload)
            self._set_busy(self._next_order)
            self._next_order += 1
        if self._is_paused and not self._is_backlog_full():
            self._read_again()

    def _hand_out_disconnect(self) -> None:
        site = self._site
        message: Message = {
            "reply_channel": self._reply_channel,
            "path": self._path,
            "code": self._code,
            "order": self._next_order,
        }
        site.send_later("websocket.disconnect", message)
        site.close_channel(self._reply_channel)
        site.remove_connection(self)

    def _send(self, channel: str, message: Message) -> bool:
        layer = self._site.layer
        try:
            layer.send(channel, message)
        except ChannelFull:
            self._site.count("websocket.full")
            self._full_since = self._site.clock()
            self._pause()
            layer.when_room(channel, self._room_made)
            return False
        except LayerError:
            self._site.count("layer.unavailable")
        return True

    def _room_made(self) -> None:
        if self._full_since:
            self._full_since = 0.0
            self._hand_out()

    def _set_busy(self, order: int) -> None:
        if not self._site.websocket.unordered:
            self._busy_order = order
            self._busy_since = self._site.clock()

    def _consumed(self, order: int) -> None:
        if order == self._busy_order:
            self._busy_order = -1
            if self._backlog or self._state == LOST:
                self._hand_out()

    # Messages in: from the application

    def message_received(self, message: Message) -> None:
        """Take what was sent to the reply channel."""
        if not message.keys() <= _KNOWN_KEYS:
            unknown = sorted(message.keys() - _KNOWN_KEYS)
            log.error("Dropped a WebSocket reply with unknown keys: {keys}", keys=unknown)
            return
        order = message.get("consumed")
        if order is not None:
            self._consumed(order)
            if len(message) == 1:
                return
        if self._state == CONNECTING:
            self._answer_handshake(message)
        if self._state != OPEN:
            return
        frame = _encode(message)
        if frame:
            self.push(frame)
        close = message.get("close")
        if close is not None and close is not False:
            self.close(1000 if close is True else close)

    def push(self, frames: bytes) -> None:
        """Send whole frames. A client that does not take them is dropped in time."""
        if self._state != OPEN:
            return
        outlet = self._outlet
        outlet.write(frames)
        if (
            outlet.stalled_since is not None
            and outlet.unsent_bytes > self._site.websocket.max_unsent_bytes
        ):
            self._drop("websocket.unsent_bytes")

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake (RFC 6455, section 7.1.2)."""
        if self._state != OPEN:
            return
        if not isinstance(code, int) or code not in _SENDABLE_CODES:
            log.error("Close code {code!r} may not be sent; 1011 is", code=code)
            code = 1011
        self._outlet.write(encode_close(code, reason))
        self._start_closing()
        self._read_again()

    @staticmethod
    def deliver_group(targets: Mapping[str, Any], channels: Sequence[str], message: Message) -> None:
        """Send one message to many sockets: framed once, written straight to each."""
        frame = _encode(message) if message.keys() <= _PLAIN_KEYS else None
        for channel in channels:
            target = targets.get(channel)
            if target is None:
                continue
            try:
                if frame is not None and target.__class__ is Socket and target._state == OPEN:
                    target.push(frame)
                else:
                    target.message_received(message)
            except Exception:
                log.failure("A group's message could not be sent to one of its members")

    @staticmethod
    def deliver_corked(targets: Mapping[str, Any], batch: list[tuple[Targets, Message]]) -> None:
        """Deliver a batch; plain sends in a row to the same members go out as one piece."""
        members: Sequence[str] = ()
        run: list[Message] = []
        for channels, message in batch:
            if type(channels) is not str and message.keys() <= _PLAIN_KEYS:
                if channels is not members:
                    _deliver_run(targets, members, run)
                    members, run = channels, []
                run.append(message)
            elif type(channels) is str and message.keys() == _CONSUMED_KEYS:
                _deliver_one(targets, channels, message)  # writes nothing: order is kept
            else:
                _deliver_run(targets, members, run)
                members, run = (), []
                if type(channels) is str:
                    _deliver_one(targets, channels, message)
                else:
                    Socket.deliver_group(targets, channels, message)
        _deliver_run(targets, members, run)

    # The end

    def _start_closing(self) -> None:
        if self._state in (CONNECTING, OPEN):
            self._state = CLOSING
            self._closed_at = self._site.clock()
            self._handshake = None

    def _drop(self, why: str) -> None:
        self._site.count(why)
        self._outlet.abort()

    def stop(self) -> None:
        """The server is stopping: 1012 tells clients to come back soon."""
        if self._state == OPEN:
            self.close(1012, "The server restarts")
        elif self._state == CONNECTING:
            self._reject(503, "The server is stopping")

    def abort(self) -> None:
        """Drop the connection now; of the application's messages, hand out what can be."""
        if self._state == LOST:
            self._site.close_channel(self._reply_channel)
            self._site.remove_connection(self)
        else:
            self._outlet.abort()

    def _pause(self) -> None:
        if not self._is_paused and self._state < LOST:
            self._is_paused = True
            self.transport.pauseProducing()

    def _read_again(self) -> None:
        if self._is_paused and self._state < LOST:
            self._is_paused = False
            self.transport.resumeProducing()

    def _drained(self) -> None:
        """The client has taken all that waited for it."""

    # Time

    def check(self, now: float, elapsed: float) -> None:
        """Hold the socket to its time limits; called again and again."""
        limits = self._site.websocket
        stalled_since = self._outlet.stalled_since
        if stalled_since is not None and now - stalled_since > limits.send_timeout_seconds:
            self._drop("websocket.send_timeout")
        elif self._state == OPEN:
            self._check_open(now)
        elif self._state == CONNECTING:
            if now - self._opened_at > limits.connect_timeout_seconds:
                self._site.count("websocket.connect_timeout")
                self._reject(403, "The application did not answer in time")
        elif self._state == CLOSING and now - self._closed_at > limits.close_timeout_seconds:
            self._outlet.abort()
        if self._busy_order >= 0 and now - self._busy_since > limits.serial_timeout_seconds:
            self._site.count("websocket.serial_timeout")
            self._consumed(self._busy_order)

    def _check_open(self, now: float) -> None:
        limits = self._site.websocket
        if limits.max_lifetime_seconds and now - self._opened_at > limits.max_lifetime_seconds:
            self._site.count("websocket.lifetime")
            self.close(1001, "The connection is too old")
        elif self._full_since and now - self._full_since > limits.full_timeout_seconds:
            self._site.count("websocket.1013")
            self.close(1013, "The server is busy")
        elif not self._is_paused and limits.ping_interval_seconds:
            self._check_alive(now)

    def _check_alive(self, now: float) -> None:
        limits = self._site.websocket
        if self._pinged_at > self._received_at:
            if now - self._pinged_at > limits.ping_timeout_seconds:
                self._drop("websocket.ping_timeout")
        elif now - self._received_at > limits.ping_interval_seconds:
            self._pinged_at = now
            self.push(encode_frame(PING, b""))


_PLAIN_KEYS = frozenset(("text", "bytes"))
_CONSUMED_KEYS = frozenset(("consumed",))


def _encode(message: Message) -> bytes:
    """The frame for a reply's content; empty if it has none.

    Raises: ValueError, TypeError: It has two, or not of the type that its key says.
    """
    text = message.get("text")
    data = message.get("bytes")
    if text and data:
        raise ValueError("A WebSocket reply may have text or bytes, not both")
    if data or (data is not None and text is None):
        return encode_frame(BINARY, bytes(data))
    if text is not None:
        return encode_frame(TEXT, text.encode())
    return b""


def _deliver_one(targets: Mapping[str, Any], channel: str, message: Message) -> None:
    target = targets.get(channel)
    if target is None:
        return
    try:
        target.message_received(message)
    except Exception:
        log.failure("A reply could not be sent")


def _deliver_run(targets: Mapping[str, Any], channels: Sequence[str], run: list[Message]) -> None:
    """Deliver the messages of one run to the same members, as one piece where it can be."""
    if len(run) == 1:
        Socket.deliver_group(targets, channels, run[0])
        return
    if not run:
        return
    try:
        frames = b"".join(map(_encode, run))
    except (TypeError, ValueError, AttributeError):
        log.failure("A group's message could not be framed")
        return
    for channel in channels:
        target = targets.get(channel)
        if target is None:
            continue
        if target.__class__ is Socket and target._state == OPEN:
            target.push(frames)
        else:
            for message in run:
                _deliver_one(targets, channel, message)
