"""Heads of HTTP/1.1 responses, and the short responses that the server gives by itself.

Knows no transport, clock or message (RFC 9112, sections 4 to 6).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from txchannels.protocols.request import Head

__all__ = [
    "IllegalResponse",
    "encode_error",
    "encode_head",
    "encode_response",
    "error_body",
    "error_fields",
    "reason_of",
    "status_line",
]

_LINES = {
    status.value: b"HTTP/1.1 %d %s" % (status.value, status.phrase.encode())
    for status in HTTPStatus
    if status >= 200
}

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: Fields of a response that concern the connection and are the server's own to set.
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection", b"date")
)

#: What a field is, by its name as the application writes it.
_PLAIN, _LENGTH, _CONNECTION = range(3)
_MAX_NAMES = 1024
_kinds: dict[bytes, int] = {}


class IllegalResponse(ValueError):
    """What the application answered cannot be sent."""


def status_line(status: int) -> bytes:
    """``HTTP/1.1 200 OK``, without the line's end.

    Raises: IllegalResponse: It is no final status.
    """
    line = _LINES.get(status)
    if line is not None:
        return line
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise IllegalResponse(f"Response status must be from 200 to 999, not {status!r}")
    return b"HTTP/1.1 %d " % status


def reason_of(status: int) -> str:
    """The standard's phrase for *status*."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def encode_head(status: int, fields: Iterable[bytes]) -> bytes:
    """The head: a status and whole field lines, none of which may hold a line's end.

    Raises: IllegalResponse: A status, name or value would break the head apart.
    """
    return _join([status_line(status), *fields])


def _join(lines: list[bytes]) -> bytes:
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise IllegalResponse("Response field with a line break or NUL in it")
    return head + b"\r\n\r\n"


def encode_response(
    request: Head, status: int, fields: Any, size: int, more: bool, date_line: bytes
) -> tuple[bytes, bool, int | None, bool]:
    """The head of the application's response to *request* (RFC 9112, section 6.3).

    Where the end of the response can only be told by closing, or the application asks
    to close, ``request.keep_alive`` becomes false.

    Args:
        fields: The application's names and values; those on the connection are ours.
        size: Bytes of the first content.
        more: Whether more content follows.

    Returns: The head; whether a body follows it; how many bytes were declared for
        one of which more follows; whether it is chunked.
    Raises: IllegalResponse, TypeError, ValueError: It cannot be sent.
    """
    lines = [status_line(status)]
    declared = _add_fields(lines, fields, request)
    has_body = request.method != "HEAD" and status != 304 and status != 204
    is_chunked = False
    if status == 204:
        declared = None  # RFC 9110, section 8.6
    elif not more:
        if has_body or (declared is None and status != 304):
            declared = size
    elif has_body and declared is None:
        if request.version == "1.1":
            is_chunked = True
            lines.append(b"Transfer-Encoding: chunked")
        else:
            request.keep_alive = False
    if declared is not None:
        lines.append(b"Content-Length: %d" % declared)
    if not request.keep_alive:
        lines.append(b"Connection: close")
    elif request.version == "1.0":
        lines.append(b"Connection: keep-alive")
    lines.append(date_line)
    return _join(lines), has_body, declared if more else None, is_chunked


def _add_fields(lines: list[bytes], fields: Any, request: Head) -> int | None:
    """Add the application's fields as lines; returns its Content-Length."""
    declared = None
    for name, value in fields:
        if type(name) is not bytes:
            name = name.encode("latin-1")
        if type(value) is not bytes:
            value = value.encode("latin-1")
        kind = _kinds.get(name)
        if kind is None:
            kind = _kind_of(name)
        if kind == _PLAIN:
            lines.append(name + b": " + value)
        elif kind == _LENGTH:
            declared = _read_length(value, declared)
        elif b"close" in value.lower() and name.lower() == b"connection":
            request.keep_alive = False
    return declared


def _kind_of(name: bytes) -> int:
    if _TOKEN.fullmatch(name) is None:
        raise IllegalResponse(f"{name!r} is no name of a field")
    lower = name.lower()
    kind = _PLAIN
    if lower == b"content-length":
        kind = _LENGTH
    elif lower in _CONNECTION_FIELDS:
        kind = _CONNECTION
    if len(_kinds) < _MAX_NAMES:
        _kinds[name] = kind
    return kind


def _read_length(value: bytes, before: int | None) -> int:
    if not value.isdigit() or len(value) > 18:
        raise IllegalResponse(f"Content-Length is no length: {value!r:.40}")
    if before is not None and before != int(value):
        raise IllegalResponse("Two different Content-Lengths")
    return int(value)


def error_body(status: int, reason: str) -> bytes:
    """What a person reads who gets an answer from the server itself."""
    return f"{status} {reason_of(status)}\n\n{reason}\n".encode()


def error_fields(status: int, retry_after_seconds: int) -> list[list[bytes]]:
    """The fields that go with `error_body`."""
    fields = [[b"Content-Type", b"text/plain; charset=utf-8"]]
    if status == 503:
        fields.append([b"Retry-After", b"%d" % retry_after_seconds])
    return fields


def encode_error(status: int, reason: str, date_line: bytes, retry_after_seconds: int) -> bytes:
    """The whole answer to what never became a request; the connection is closed after it."""
    body = error_body(status, reason)
    lines = [b"%b: %b" % (name, value) for name, value in error_fields(status, retry_after_seconds)]
    lines += [b"Content-Length: %d" % len(body), b"Connection: close", date_line]
    return encode_head(status, lines) + body
