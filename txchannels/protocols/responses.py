"""Heads of HTTP/1.1 responses, and the short responses that the server gives by itself.

Knows no transport, clock or message (RFC 9112, sections 4 to 6).
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

__all__ = ["IllegalResponse", "encode_head", "error_body", "reason_of", "status_line"]

_LINES = {
    status.value: b"HTTP/1.1 %d %s" % (status.value, status.phrase.encode()) for status in HTTPStatus
}


class IllegalResponse(ValueError):
    """What the application answered cannot be sent."""


def status_line(status: int) -> bytes:
    """``HTTP/1.1 200 OK``, without the line's end.

    Raises: IllegalResponse: It is no final status.
    """
    line = _LINES.get(status)
    if line is not None and status >= 200:
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
    lines = [status_line(status), *fields]
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise IllegalResponse("Response field with a line break or NUL in it")
    return head + b"\r\n\r\n"


def error_body(status: int, reason: str) -> bytes:
    """What a person reads who gets an answer from the server itself."""
    return f"{status} {reason_of(status)}\n\n{reason}\n".encode()
