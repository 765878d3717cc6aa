"""Bytes into WebSocket messages, and messages into frames (RFC 6455, section 5).

Knows no transport, clock or message. A whole, final, unfragmented frame of less than
64 KiB is read here; every other goes through autobahn, which keeps the rules of
fragmentation, masking, UTF-8 and size. A socket that sends only such frames never
needs autobahn's state.
"""

from __future__ import annotations

import struct
from typing import Any, Protocol

from autobahn.websocket.protocol import WebSocketServerProtocol
from autobahn.websocket.utf8validator import Utf8Validator

from txchannels.errors import PeerError

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "FrameEvents",
    "FrameReader",
    "encode_close",
    "encode_frame",
    "is_close_code",
]

TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_SHORT_BYTES = 126
_LONG_BYTES = 65_536

#: A message's frames: the most, and how many bytes the message must have for each of them
#: beyond the first few. A frame costs the same however small it is.
_MAX_MESSAGE_FRAMES = 1024
_FREE_FRAMES = 128
_BYTES_PER_FRAME = 64

#: RFC 6455, section 7.4.1, and what IANA's registry added: those that may be on the wire.
_REGISTERED_CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))


class FrameEvents(Protocol):
    """Who hears what the frames meant. A PeerError that it raises ends the reading."""

    def text_received(self, text: str) -> None: ...

    def binary_received(self, data: bytes) -> None: ...

    def ping_received(self, payload: bytes) -> None: ...

    def pong_received(self, payload: bytes) -> None: ...

    def close_received(self, code: int) -> None: ...


def is_close_code(code: int) -> bool:
    """Whether an endpoint may send *code* (RFC 6455, section 7.4)."""
    return code in _REGISTERED_CODES or 3000 <= code <= 4999


_SHORT_HEADS = {
    opcode: tuple(bytes((0x80 | opcode, size)) for size in range(_SHORT_BYTES))
    for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
}


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented, unmasked frame, as a server sends it."""
    size = len(payload)
    if size < _SHORT_BYTES:
        return _SHORT_HEADS[opcode][size] + payload
    if size < _LONG_BYTES:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def encode_close(code: int, reason: str = "") -> bytes:
    """A close frame; *reason* is cut to what a control frame holds. 1005 stands for no code."""
    if code == 1005:
        return encode_frame(CLOSE, b"")
    cut = reason.encode()[:123].decode("utf-8", "ignore").encode()
    return encode_frame(CLOSE, struct.pack("!H", code) + cut)


class FrameReader:
    """One socket's incoming frames, in whatever pieces they come.

    After a close frame, or an error, nothing more is read.

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
        autobahn = self._autobahn
        if autobahn is None or autobahn.is_between_frames:
            data = self._read_whole(data)
            if not data:
                return
        if autobahn is None:
            autobahn = self._autobahn = _Autobahn(self._events, self._max_message_bytes)
        autobahn.feed(data)

    def _read_whole(self, data: bytes) -> bytes:
        """Read the whole, final frames at the start; return the rest."""
        end = len(data)
        at = 0
        while end - at >= 6:
            kind = data[at]
            size = data[at + 1] ^ 0x80  # below 126 only if masked and short
            mask_at = at + 2
            if size == _SHORT_BYTES and kind in _MESSAGES:
                size = data[mask_at] << 8 | data[mask_at + 1]
                mask_at += 2
                if size < _SHORT_BYTES:  # not the shortest form
                    break
            elif size >= _SHORT_BYTES or kind not in _SHORT_KINDS:
                break
            payload_at = mask_at + 4
            after = payload_at + size
            if after > end or size > self._max_message_bytes:
                break
            payload = data[payload_at:after]
            if size:
                payload = _unmask(payload, data[mask_at:payload_at], size)
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


_MESSAGES = frozenset((0x80 | TEXT, 0x80 | BINARY))
_SHORT_KINDS = frozenset((*_MESSAGES, 0x80 | PING, 0x80 | PONG))


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


class _Autobahn(WebSocketServerProtocol):
    """Autobahn's frame parser alone: no handshake, no transport, no timers.

    What it sets up in ``_connectionMade`` is spelled out here as class attributes.
    """

    # options: each of autobahn's unsafe defaults is set
    requireMaskedClientFrames = True
    applyMask = True
    utf8validateIncoming = True
    failByDrop = False
    logOctets = False
    logFrames = False
    trackTimings = False

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
    autoPingPending = None
    autoPingTimeoutCall = None
    _perMessageCompress = None

    def __init__(self, events: FrameEvents, max_message_bytes: int) -> None:
        self._events = events
        self._max_message_bytes = max_message_bytes
        self.utf8validator = Utf8Validator()
        self._message = bytearray()
        self._message_bytes = 0
        self._message_frames = 0
        self._is_closed = False

    @property
    def is_between_frames(self) -> bool:
        """Whether the next byte starts a frame that continues no message."""
        return (
            self.current_frame is None
            and not self.inside_message
            and not self.data
            and not self._is_closed
        )

    def feed(self, data: bytes) -> None:
        if self._is_closed:
            return
        self.data += data
        while self.processData() and not self._is_closed:
            pass

    def _onMessageBegin(self, is_binary: bool) -> None:
        self._is_binary = is_binary
        self._message = bytearray()
        self._message_bytes = 0
        self._message_frames = 0

    def _onMessageFrameBegin(self, length: int) -> None:
        self._message_bytes += length
        self._message_frames = frames = self._message_frames + 1
        if frames > _FREE_FRAMES and (
            frames > _MAX_MESSAGE_FRAMES
            or self._message_bytes < (frames - _FREE_FRAMES) * _BYTES_PER_FRAME
        ):
            self._fail_connection(1008, "A message in too many frames")
        if self._message_bytes > self._max_message_bytes:
            self._fail_connection(1009, f"A message has at most {self._max_message_bytes} bytes")

    def _onMessageFrameData(self, payload: bytes) -> None:
        self._message += payload  # not a list: a client may send empty frames without end

    def _onMessageFrameEnd(self) -> None:
        """Only the message's end counts."""

    def _onMessageEnd(self) -> None:
        payload = bytes(self._message)
        self._message = bytearray()
        if self._is_binary:
            self._events.binary_received(payload)
        else:
            self._events.text_received(payload.decode())

    def _onPing(self, payload: bytes) -> None:
        self._events.ping_received(payload)

    def _onPong(self, payload: bytes) -> None:
        self._events.pong_received(payload)

    def onCloseFrame(self, code: int | None, reason: bytes | None) -> None:
        # RFC 6455, sections 5.5.1 and 7.4: a legal code, and a reason in UTF-8
        if code is not None and not is_close_code(code):
            self._fail_connection(1002, f"Invalid close code {code}")
        try:
            (reason or b"").decode()
        except UnicodeDecodeError:
            self._fail_connection(1007, "The reason to close is not UTF-8")
        self._is_closed = True
        self.data = b""
        self._events.close_received(1005 if code is None else code)

    def _fail_connection(self, code: int = 1002, reason: str = "") -> None:
        self._is_closed = True
        self.data = b""
        raise PeerError(reason, close_code=code)
