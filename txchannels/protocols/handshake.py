"""The opening handshake of a WebSocket (RFC 6455, section 4.2).

Knows no transport, clock or message; takes the fields from the one HTTP parser, so
that no second reading of the same bytes can differ from the first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from txchannels.errors import PeerError
from txchannels.protocols.request import Head

__all__ = ["Handshake", "accept_head", "read_handshake"]

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
            protocols += [one.strip() for one in value.decode("latin-1").split(",")]
    if versions != [VERSION]:
        raise PeerError("Only version 13 of the WebSocket protocol is spoken", status=426)
    if len(keys) != 1 or not _is_key(keys[0]):
        raise PeerError("Exactly one Sec-WebSocket-Key of 16 bytes is required")
    if len(origins) > 1:
        raise PeerError("More than one Origin")
    if not all(map(_TOKEN.fullmatch, protocols)) or len(set(protocols)) != len(protocols):
        raise PeerError("Invalid Sec-WebSocket-Protocol")
    return Handshake(keys[0], origins[0] if origins else None, protocols)


def accept_head(key: bytes, protocol: str | None) -> bytes:
    """The response that opens the socket."""
    digest = hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest()
    chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n".encode() if protocol else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n" + chosen + b"\r\n"
    )


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False
