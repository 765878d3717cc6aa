"""The opening handshake of a WebSocket (RFC 6455, section 4.2).

Knows no transport, clock or message; takes the fields from the one HTTP parser, so
that no second reading of the same bytes can differ from the first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

from txchannels.errors import PeerError
from txchannels.protocols.request import Head
from txchannels.protocols.responses import encode_head, error_body

__all__ = ["Handshake", "accept_response", "choose_protocol", "read_handshake", "refusal"]

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VERSION = b"13"


class Handshake:
    """What a client asks for."""

    __slots__ = ("key", "origin", "protocols")

    def __init__(self, key: bytes, origin: bytes | None, protocols: list[str]) -> None:
        self.key = key
        self.origin = origin
        self.protocols = protocols


def read_handshake(head: Head) -> Handshake:
    """The handshake in a request's head.

    Raises: PeerError: It is not a legal one; 426 for another version of the protocol.
    """
    keys: list[bytes] = []
    origins: list[bytes] = []
    versions: list[bytes] = []
    protocols: list[str] = []
    for name, value in head.fields:
        if name == b"sec-websocket-key":
            keys.append(value)
        elif name == b"sec-websocket-version":
            versions.append(value)
        elif name == b"origin":
            origins.append(value)
        elif name == b"sec-websocket-protocol":
            # RFC 9110, section 5.6.1: empty elements of a list are ignored
            listed = (one.strip(" \t") for one in value.decode("latin-1").split(","))
            protocols += [one for one in listed if one]
    if versions != [VERSION]:
        raise PeerError("Only version 13 of the WebSocket protocol is spoken", status=426)
    if len(keys) != 1 or not _is_key(keys[0]):
        raise PeerError("Exactly one Sec-WebSocket-Key of 16 bytes is required")
    if len(origins) > 1:
        raise PeerError("More than one Origin")
    if not all(map(_TOKEN.fullmatch, protocols)) or len(set(protocols)) != len(protocols):
        raise PeerError("Invalid Sec-WebSocket-Protocol")
    return Handshake(keys[0], origins[0] if origins else None, protocols)


def choose_protocol(offered: Sequence[str], served: Sequence[str]) -> str | None:
    """The subprotocol to speak: the first that the client offers and the server knows."""
    return next((one for one in offered if one in served), None)


def accept_response(key: bytes, protocol: str | None) -> bytes:
    """The response that opens the socket."""
    digest = hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest()
    chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n".encode() if protocol else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n" + chosen + b"\r\n"
    )


def refusal(status: int, reason: str, date_line: bytes, retry_after_seconds: int) -> bytes:
    """The response that does not open it."""
    body = error_body(status, reason)
    lines = [
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        date_line,
    ]
    if status == 503:
        lines.append(b"Retry-After: %d" % retry_after_seconds)
    if status == 426:  # RFC 6455, section 4.4
        lines += [b"Upgrade: websocket", b"Sec-WebSocket-Version: " + VERSION]
    return encode_head(status, lines) + body


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False
