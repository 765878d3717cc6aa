"""Bytes into requests: HTTP/1.0 and HTTP/1.1 heads and bodies (RFC 9112).

Knows no transport, clock or message. llhttp (through httptools) parses, in its strict
mode, and refuses every byte that may not be where it is; this module adds the bounds,
and the rules that llhttp leaves to its caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import httptools

from txchannels.errors import PeerError

__all__ = ["HOST", "Head", "HeadLimits", "RequestEvents", "RequestParser"]

#: uri-host [":" port] (RFC 9110, section 7.2).
HOST = re.compile(rb"(?:\[[0-9a-fA-F:.]+(?:%25[\w.~-]+)?\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?")

#: The start of a method at the end of what has come, and a byte that a method may have.
_METHOD_START = re.compile(rb"[A-Z-]*\Z")
_METHOD_BYTE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z -]")
_LONGEST_METHOD_BYTES = 32

#: U+0085, which some readers take for a line's end: on its own, or in UTF-8.
_NEXT_LINE = re.compile(rb"(?<![\x80-\xff])\x85|\xc2\x85")

#: Bytes of chunk headers, extensions and trailers that a body may have beside its content:
#: in a row, and over all.
_CHUNKING_BYTES = 65_536
_CHUNKING_BYTES_PER_BYTE = 8

#: What llhttp says, and the status that answers it; anything else is answered 400.
_STATUSES = {
    "Content-Length overflow": 413,
    "Chunk size overflow": 413,
    "Invalid method for HTTP/x.x request": 501,
    "Invalid HTTP version": 505,
    "Pause on PRI/Upgrade": 505,  # the preface of HTTP/2 (RFC 9113, section 3.4)
}


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How large a head may be: its first line, its fields together, and how many."""

    line_bytes: int
    header_bytes: int
    fields: int

    @property
    def head_bytes(self) -> int:
        """A bound of the whole head, separators and all, while it is not complete."""
        return self.line_bytes + self.header_bytes + 4 * self.fields + 64


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

    Attributes:
        in_head: Whether a head has begun and not ended.
    """

    __slots__ = (
        "_begun",
        "_beside_bytes",
        "_body_bytes",
        "_completed",
        "_counted_bytes",
        "_events",
        "_fields",
        "_head_bytes",
        "_in_body",
        "_is_last",
        "_is_priming",
        "_limits",
        "_max_body_bytes",
        "_parser",
        "_run_bytes",
        "_target",
        "_upgrading",
        "in_head",
    )

    def __init__(self, events: RequestEvents, limits: HeadLimits, max_body_bytes: int) -> None:
        self._events = events
        self._limits = limits
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self.in_head = False
        self._in_body = False
        self._is_last = False
        self._is_priming = False
        self._upgrading: Head | None = None
        self._target = b""
        self._fields: list[list[bytes]] = []
        self._completed = 0
        # of the head that has begun: its bytes, but for the first piece; its method's start
        self._head_bytes = 0
        self._begun = b""
        # of the body: its content; of a chunked one, what came beside, and since content came
        self._body_bytes = 0
        self._counted_bytes = 0
        self._beside_bytes = 0
        self._run_bytes = 0

    def feed(self, data: bytes) -> None:
        """Parse *data*. What follows a request that asks to close is ignored.

        Raises: PeerError: The bytes are no legal request; nothing more can be parsed.
        """
        was_in_head = self.in_head
        was_in_body = self._in_body
        completed = self._completed
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._go_on_after(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, PeerError):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            if not self._is_last or self._in_body:  # RFC 9112, section 9.6
                is_known = not was_in_body and completed == self._completed
                raise self._describe(error, data if is_known else b"") from None
        if self.in_head:
            self._check_head(data, was_in_head and completed == self._completed)
        elif self._in_body and was_in_body and completed == self._completed:
            self._check_chunking(len(data))

    def _go_on_after(self, rest: bytes) -> None:
        """Hand over, or go on, where llhttp has stopped at an Upgrade without reading a body.

        An Upgrade that is not taken is ignored (RFC 9110, section 7.8).
        """
        while True:
            head, self._upgrading = self._upgrading, None
            if head is None:
                return
            if head.upgrade:
                self._in_body = False
                events = self._events
                del self._parser, self._events  # cycles, which would wait for the collector
                events.upgrade_received(rest)
                return
            self._parser = httptools.HttpRequestParser(self)
            if head.has_body:
                self._prime(head)
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            else:
                return

    def _prime(self, head: Head) -> None:
        """Bring a new parser to the start of *head*'s body."""
        framing = b"Transfer-Encoding: chunked"
        if head.content_length is not None:
            framing = b"Content-Length: %d" % head.content_length
        self._is_priming = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % framing)
        self._is_priming = self.in_head = False

    def _describe(self, error: httptools.HttpParserError, line: bytes) -> PeerError:
        """The client's error behind llhttp's. *line* starts with the request, if it is known."""
        said = str(error)
        if self._in_body:
            return PeerError(f"Malformed body: {said}", status=_STATUSES.get(said, 400))
        status = _STATUSES.get(said, 400)
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            status = 501 if _is_some_method(self._begun + line) else 400
        return PeerError(f"Malformed request: {said}", status=status)

    # RFC 9112, section 3: the request line and the fields

    def on_message_begin(self) -> None:
        self.in_head = True
        self._target = b""
        self._fields = []

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
        if self._is_priming:
            return
        parser = self._parser
        version = parser.get_http_version()
        head = Head(parser.get_method().decode("ascii"), self._target, version, self._fields)
        if version != "1.1" and version != "1.0":
            raise PeerError("HTTP version not supported", status=505)
        if b"#" in self._target:
            raise PeerError("Invalid characters in the request target")
        self._read_fields(head)
        if head.has_body:
            self._expect_body(head)
        if head.upgrade:
            self._check_upgrade(head)
        if not parser.should_keep_alive():
            head.keep_alive = False
            self._is_last = True
        self.in_head = False
        self._in_body = True
        self._begun = b""
        self._events.head_received(head)

    def _read_fields(self, head: Head) -> None:
        hosts = 0
        size = 0
        for name, value in head.fields:
            size += len(name) + len(value)
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
        if hosts and HOST.fullmatch(head.host) is None:
            raise PeerError("Invalid Host field")

    def _expect_body(self, head: Head) -> None:
        if head.content_length is not None and head.content_length > self._max_body_bytes:
            raise PeerError("Request body too large", status=413)
        self._body_bytes = 0
        self._counted_bytes = 0
        self._beside_bytes = 0
        self._run_bytes = 0

    def _check_upgrade(self, head: Head) -> None:
        """Note an Upgrade; it is taken for a WebSocket alone (RFC 6455, section 4.1)."""
        if not self._parser.should_upgrade():
            head.upgrade = b""
            return
        self._upgrading = head
        is_get = head.method == "GET" and head.version == "1.1" and not head.has_body
        if not is_get or head.upgrade != b"websocket":
            head.upgrade = b""
        elif any(_NEXT_LINE.search(value) for _, value in head.fields):
            raise PeerError("Invalid characters in a field")

    # RFC 9112, sections 6 and 7: the body

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > self._max_body_bytes:
            raise PeerError("Request body too large", status=413)
        self._events.body_received(data)

    def on_message_complete(self) -> None:
        head = self._upgrading
        if head is not None and (head.upgrade or head.has_body):
            return  # the bytes that follow are another protocol's, or the body
        self._completed += 1
        self._in_body = False
        self._events.request_received()

    # Bounds of what is not complete

    def _check_head(self, data: bytes, is_same: bool) -> None:
        """Bound a head of which *data* is a further piece, or the first."""
        self._head_bytes = self._head_bytes + len(data) if is_same else 0
        if self._head_bytes > self._limits.head_bytes:
            raise PeerError("Header fields too large", status=431)
        if not self._target:
            before = self._begun if is_same else b""
            start = _METHOD_START.search(before + data[-_LONGEST_METHOD_BYTES:])
            self._begun = start[0] if start else b""

    def _check_chunking(self, fed: int) -> None:
        """Bound what comes beside a body's content: extensions, trailers, tiny chunks."""
        content = self._body_bytes - self._counted_bytes
        self._counted_bytes = self._body_bytes
        self._beside_bytes += max(0, fed - content)
        self._run_bytes = 0 if content else self._run_bytes + fed
        allowed = _CHUNKING_BYTES + _CHUNKING_BYTES_PER_BYTE * self._body_bytes
        if self._run_bytes > _CHUNKING_BYTES or self._beside_bytes > allowed:
            raise PeerError("Too many bytes beside the body's content")


class _Nobody:
    """Hears nothing of what a parser says."""


def _is_some_method(line: bytes) -> bool:
    """Whether the first byte of *line* that begins no known method could be in an unknown one."""
    probe = httptools.HttpRequestParser(_Nobody())
    line = line.lstrip(b"\r\n")
    for at in range(min(len(line), _LONGEST_METHOD_BYTES)):
        try:
            probe.feed_data(line[at : at + 1])
        except httptools.HttpParserError:
            return _METHOD_BYTE.match(line, at) is not None
    return False


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
    head.upgrade = value.lower()


_FRAMING = {
    b"content-length": _read_content_length,
    b"transfer-encoding": _read_transfer_encoding,
    b"expect": _read_expect,
    b"upgrade": _read_upgrade,
}
