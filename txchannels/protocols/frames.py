"""Bytes into WebSocket messages, and messages into frames (RFC 6455, section 5).

Knows no transport, clock or message. A short frame that has come whole is read here;
every other goes through autobahn, which keeps the rules of fragmentation, masking,
UTF-8 and size. A socket that sends only short frames never needs autobahn's state.
"""

from __future__ import annotations

import struct
from typing import Any, Protocol

from autobahn.websocket.protocol import WebSocketServerProtocol
from autobahn.websocket.utf8validator import Utf8Validator

from txchannels.errors import PeerError

__all__ = ["FrameEvents", "FrameReader", "encode_close", "encode_frame"]

TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_SHORT_BYTES = 126
_LONG_BYTES = 65_536


class FrameEvents(Protocol):
    """Who hears what the frames meant."""

    def text_received(self, text: str) -> None: ...

    def binary_received(self, data: bytes) -> None: ...

    def ping_received(self, payload: bytes) -> None: ...

    def pong_received(self, payload: bytes) -> None: ...

    def close_received(self, code: int) -> None: ...


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented, unmasked frame, as a server sends it."""
    size = len(payload)
    if size < _SHORT_BYTES:
        return bytes((0x80 | opcode, size)) + payload
    if size < _LONG_BYTES:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def encode_close(code: int, reason: str = "") -> bytes:
    """A close frame; *reason* is cut to what a control frame holds."""
    if code == 1005:
        return encode_frame(CLOSE, b"")
    cut = reason.encode()[:123].decode("utf-8", "ignore").encode()
    return encode_frame(CLOSE, struct.pack("!H", code) + cut)


class FrameReader:
    """One socket's incoming frames, in whatever pieces they come.

    Args:
        events: Told of each message and control frame.
        max_message_bytes: A larger message fails the socket with 1009.
    """

    __slots__ = ("_autobahn", "_events", "_max_message_bytes")

    def __init__(self, events: FrameEvents, max_message_bytes: int) -> None:
        self._events = events
        self._max_message_bytes = max_message_bytes
        self._autobahn: _Autobahn | None = None

    def feed(self, data: bytes) -> None:
        """Read *data*.

        Raises: PeerError: With the close code of the rule that was broken; the socket must end.
        """
        if self._autobahn is None or self._autobahn.is_between_frames:
            data = self._read_short(data)
        if data:
            if self._autobahn is None:
                self._autobahn = _Autobahn(self._events, self._max_message_bytes)
            self._autobahn.feed(data)

    def _read_short(self, data: bytes) -> bytes:
        """Read the short, whole, final frames at the start; return the rest."""
        end = len(data)
        at = 0
        while end - at >= 6:
            size = data[at + 1] ^ 0x80  # 0 to 125 only if masked and short
            after = at + 6 + size
            if size >= _SHORT_BYTES or after > end or size > self._max_message_bytes:
                break
            kind = data[at]
            if kind not in _SHORT_KINDS:
                break
            payload = data[at + 6 : after]
            if size:
                payload = _unmask(payload, data[at + 2 : at + 6], size)
            if not self._tell(kind, payload):
                break
            at = after
        return data[at:] if at else data

    def _tell(self, kind: int, payload: bytes) -> bool:
        if kind == 0x81:
            try:
                text = payload.decode()
            except UnicodeDecodeError:
                return False
            self._events.text_received(text)
        elif kind == 0x82:
            self._events.binary_received(payload)
        elif kind == 0x89:
            self._events.ping_received(payload)
        else:
            self._events.pong_received(payload)
        return True


_SHORT_KINDS = frozenset((0x80 | TEXT, 0x80 | BINARY, 0x80 | PING, 0x80 | PONG))


def _unmask(payload: bytes, mask: bytes, size: int) -> bytes:
    key = (mask * ((size + 3) // 4))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class _Silence:
    """Autobahn's log of a connection's life; ours is written by those who know the client."""

    def debug(self, *args: Any, **kwargs: Any) -> None: ...

    info = warn = error = debug


class _Traffic:
    """Autobahn's traffic counters, which nobody reads; one for all sockets."""

    incomingOctetsWireLevel = 0
    incomingOctetsWebSocketLevel = 0
    incomingOctetsAppLevel = 0
    incomingWebSocketFrames = 0
    incomingWebSocketMessages = 0
    outgoingWebSocketFrames = 0


class _Server:
    isServer = True


class _Autobahn(WebSocketServerProtocol):  # type: ignore[misc]
    """Autobahn's frame parser alone: no handshake, no transport, no timers.

    What it sets up in ``_connectionMade`` is spelled out here as class attributes.
    """

    # options: each of autobahn's unsafe defaults is set
    requireMaskedClientFrames = True
    maskServerFrames = False
    applyMask = True
    utf8validateIncoming = True
    failByDrop = False
    echoCloseCodeReason = False
    logOctets = False
    logFrames = False
    trackTimings = False
    autoPingInterval = 0

    # state of an open connection
    log = _Silence()
    factory = _Server()
    trafficStats = _Traffic()
    trackedTimings = None
    state = WebSocketServerProtocol.STATE_OPEN
    websocket_version = 13
    data = b""
    inside_message = False
    current_frame = None
    failedByMe = False
    closedByMe = False
    wasClean = False
    autoPingPending = None
    autoPingTimeoutCall = None
    closeHandshakeTimeoutCall = None
    _perMessageCompress = None

    def __init__(self, events: FrameEvents, max_message_bytes: int) -> None:
        self._events = events
        self.maxMessagePayloadSize = max_message_bytes
        self.maxFramePayloadSize = max_message_bytes
        self.utf8validator = Utf8Validator()
        self._is_closed = False

    @property
    def is_between_frames(self) -> bool:
        """Whether the next byte starts a frame that continues no message."""
        return self.current_frame is None and not self.data and not self.inside_message

    def feed(self, data: bytes) -> None:
        self.data += data
        while not self._is_closed and self.processData():
            pass

    _onMessageBegin = WebSocketServerProtocol.onMessageBegin
    _onMessageFrameBegin = WebSocketServerProtocol.onMessageFrameBegin
    _onMessageFrameData = WebSocketServerProtocol.onMessageFrameData
    _onMessageFrameEnd = WebSocketServerProtocol.onMessageFrameEnd
    _onMessageFrame = WebSocketServerProtocol.onMessageFrame

    def _onMessageEnd(self) -> None:
        payload = b"".join(self.message_data)
        self.message_data = None
        if self.message_is_binary:
            self._events.binary_received(payload)
        else:
            self._events.text_received(payload.decode())

    def _onPing(self, payload: bytes) -> None:
        self._events.ping_received(payload)

    def _onPong(self, payload: bytes) -> None:
        self._events.pong_received(payload)

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:
        """The client has sent a legal close frame, and autobahn wants to answer it."""
        self._is_closed = True
        code = self.remoteCloseCode
        self._events.close_received(1005 if code is None else code)

    def dropConnection(self, abort: bool = False) -> None:
        """Whoever listens to the events drops it."""

    def _fail_connection(self, code: int = 1002, reason: str = "") -> None:
        raise PeerError(reason, close_code=code)
