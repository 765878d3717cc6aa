"""Bytes into requests: HTTP/1.0 and HTTP/1.1 heads and bodies (RFC 9112).

Knows no transport, clock or message. llhttp (through httptools) parses, in its strict
mode; this module adds the bounds, and the rules on which intermediaries differ and
which llhttp leaves to its caller: exactly one Host, plain bytes in field values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import httptools

from txchannels.errors import PeerError

__all__ = ["Head", "HeadLimits", "RequestEvents", "RequestParser"]

#: Field values may hold visible characters, spaces, tabs and bytes from 0x80 (RFC 9110,
#: section 5.5); U+0085 is refused too, since some readers take it for a line's end.
_ILLEGAL_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f\x85]")

#: A request-target is printable ASCII (RFC 3986); ``#`` never reaches the wire.
_ILLEGAL_IN_TARGET = re.compile(rb"[^\x21-\x7e]|#")

#: uri-host [":" port] (RFC 9110, section 7.2).
_HOST = re.compile(rb"(?:\[[0-9a-fA-F:.]+(?:%25[\w.~-]+)?\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?")

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP/([0-9])\.([0-9])\r?\n?")

#: Bytes of chunk headers, extensions and trailers that a body may have beside its content.
_CHUNKING_BYTES = 65_536
_CHUNKING_BYTES_PER_BYTE = 8


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How large a head may be: its first line, its fields together, and how many."""

    line_bytes: int
    header_bytes: int
    fields: int


class Head:
    """A request's first line and fields."""

    __slots__ = (
        "content_length",
        "expects_continue",
        "fields",
        "has_body",
        "host",
        "keep_alive",
        "method",
        "target",
        "upgrade",
        "version",
    )

    def __init__(self, method: str, target: bytes, version: str, fields: list[list[bytes]]) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.host = b""
        self.keep_alive = True
        self.content_length: int | None = None
        self.has_body = False
        self.expects_continue = False
        self.upgrade = b""


class RequestEvents(Protocol):
    """Who hears what the bytes meant."""

    def head_received(self, head: Head) -> None: ...

    def body_received(self, data: bytes) -> None: ...

    def request_received(self) -> None: ...

    def upgrade_received(self, rest: bytes) -> None: ...


class RequestParser:
    """One connection's requests, in whatever pieces they come.

    Args:
        events: Told of each head, piece of a body, and end of a request.
        limits: Bounds of the head.
        max_body_bytes: Bound of the body; a larger Content-Length is refused at the head.
    """

    __slots__ = (
        "_body_bytes",
        "_chunking_bytes",
        "_events",
        "_fed_bytes",
        "_fields",
        "_in_body",
        "_limits",
        "_max_body_bytes",
        "_parser",
        "_target",
        "_is_upgrading",
        "in_head",
    )

    def __init__(self, events: RequestEvents, limits: HeadLimits, max_body_bytes: int) -> None:
        self._events = events
        self._limits = limits
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._fields: list[list[bytes]] = []
        self._in_body = False
        self._is_upgrading = False
        self._fed_bytes = 0
        self._body_bytes = 0
        self._chunking_bytes = 0
        #: Whether a head has begun and not ended.
        self.in_head = False

    def feed(self, data: bytes) -> None:
        """Parse *data*.

        Raises: PeerError: The bytes are no legal request; the connection must end.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._finish_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, PeerError):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            raise self._describe(error, data) from None
        if self._in_body:
            self._check_chunking(len(data))
        elif self._fed_bytes or self._target or self._fields:
            self.in_head = True
            self._check_head_so_far(len(data))
        elif data.strip(b"\r\n"):
            self.in_head = True
            self._fed_bytes = len(data)

    def _finish_upgrade(self, rest: bytes) -> None:
        if self._is_upgrading:
            self._is_upgrading = False
            self._events.upgrade_received(rest)
        elif rest:  # an Upgrade that is not taken is ignored (RFC 9110, section 7.8)
            self._parser = httptools.HttpRequestParser(self)
            self.feed(rest)

    def _describe(self, error: httptools.HttpParserError, data: bytes) -> PeerError:
        line = _REQUEST_LINE.match(data) if not self._in_body else None
        if isinstance(error, httptools.HttpParserInvalidMethodError) and line is not None:
            return PeerError("Method not implemented", status=501)
        if line is not None and (line[1], line[2]) not in ((b"1", b"1"), (b"1", b"0")):
            return PeerError("HTTP version not supported", status=505)
        return PeerError(f"Malformed request: {error}")

    # RFC 9112, section 3: the request line and the fields

    def on_url(self, data: bytes) -> None:
        self._target += data
        if len(self._target) > self._limits.line_bytes:
            raise PeerError("Request line too long", status=414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer field; RFC 9110, section 6.5.1 allows to drop it
        if len(self._fields) >= self._limits.fields:
            raise PeerError("Too many header fields", status=431)
        self._fields.append([name.lower(), value.rstrip(b" \t")])

    def on_headers_complete(self) -> None:
        parser = self._parser
        version = parser.get_http_version()
        head = Head(parser.get_method().decode("ascii"), self._target, version, self._fields)
        self.in_head = False
        if version != "1.1" and version != "1.0":
            raise PeerError("HTTP version not supported", status=505)
        if _ILLEGAL_IN_TARGET.search(head.target):
            raise PeerError("Invalid characters in the request target")
        head.keep_alive = parser.should_keep_alive()
        self._read_fields(head)
        if head.content_length is not None and head.content_length > self._max_body_bytes:
            raise PeerError("Request body too large", status=413)
        self._in_body = True
        self._chunking_bytes = -1
        self._is_upgrading = bool(head.upgrade) and parser.should_upgrade()
        self._events.head_received(head)

    def _read_fields(self, head: Head) -> None:
        hosts = 0
        size = 0
        for name, value in head.fields:
            size += len(name) + len(value)
            if _ILLEGAL_IN_VALUE.search(value):
                raise PeerError(f"Invalid characters in the field {name.decode('latin-1')}")
            if name == b"host":
                hosts += 1
                head.host = value
            elif name in _FRAMING:
                _FRAMING[name](head, value)
        if size > self._limits.header_bytes:
            raise PeerError("Header fields too large", status=431)
        # RFC 9112, section 3.2: no Host, or more than one, is answered 400
        if hosts > 1 or (hosts == 0 and head.version == "1.1"):
            raise PeerError("Exactly one Host field is required")
        if hosts and _HOST.fullmatch(head.host) is None:
            raise PeerError("Invalid Host field")

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > self._max_body_bytes:
            raise PeerError("Request body too large", status=413)
        self._events.body_received(data)

    def on_message_complete(self) -> None:
        is_upgrading = self._is_upgrading
        self._begin()
        self._is_upgrading = is_upgrading
        if not is_upgrading:
            self._events.request_received()

    def _check_head_so_far(self, fed: int) -> None:
        self._fed_bytes += fed
        if self._fed_bytes <= self._limits.line_bytes:
            return
        if not self._fields and not self._target:
            raise PeerError("Request line too long", status=414)
        if self._fed_bytes > self._limits.line_bytes + self._limits.header_bytes:
            raise PeerError("Header fields too large", status=431)

    def _check_chunking(self, fed: int) -> None:
        """Bound what comes beside a body's content: extensions, trailers, tiny chunks."""
        if self._chunking_bytes < 0:  # this piece held the head
            self._chunking_bytes = 0
            return
        self._chunking_bytes += fed
        beside = self._chunking_bytes - self._body_bytes
        if beside > _CHUNKING_BYTES + _CHUNKING_BYTES_PER_BYTE * self._body_bytes:
            raise PeerError("Too many bytes beside the body's content")


def _read_content_length(head: Head, value: bytes) -> None:
    if not value.isdigit():  # llhttp has refused signs and lists; digits alone are left
        raise PeerError("Invalid Content-Length")
    head.content_length = int(value)
    head.has_body = head.content_length > 0


def _read_transfer_encoding(head: Head, value: bytes) -> None:
    # RFC 9112, section 6.1: from HTTP/1.0 it is faulty framing; others than chunked are 501
    if head.version == "1.0":
        raise PeerError("Transfer-Encoding in HTTP/1.0")
    if value.lower() != b"chunked":
        raise PeerError("Transfer coding not implemented", status=501)
    head.has_body = True


def _read_expect(head: Head, value: bytes) -> None:
    # RFC 9110, section 10.1.1
    if value.lower() != b"100-continue":
        raise PeerError("Expectation failed", status=417)
    head.expects_continue = head.version == "1.1"


def _read_upgrade(head: Head, value: bytes) -> None:
    if value.lower() == b"websocket" and head.version == "1.1" and head.method == "GET":
        head.upgrade = b"websocket"


_FRAMING = {
    b"content-length": _read_content_length,
    b"transfer-encoding": _read_transfer_encoding,
    b"expect": _read_expect,
    b"upgrade": _read_upgrade,
}
