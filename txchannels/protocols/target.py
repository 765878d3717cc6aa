"""A request's target: where its path and query are (RFC 9112, section 3.2).

Knows no transport, clock or message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from txchannels.errors import PeerError
from txchannels.protocols.request import HOST

if TYPE_CHECKING:
    from txchannels.protocols.request import Head

__all__ = ["decode_path", "split_target"]


def split_target(head: Head) -> tuple[str, bytes]:
    """The decoded path and the raw query string of a request (RFC 9112, section 3.2).

    For an absolute-form target, the Host field is replaced by the target's authority.

    Raises: PeerError: The target has none of the forms that an origin server serves.
    """
    target = head.target
    if not target.startswith(b"/"):
        target = _origin_form(head, target)
    path, _, query_string = target.partition(b"?")
    return decode_path(path), query_string


def decode_path(path: bytes) -> str:
    """*path* without percent-encoding; invalid UTF-8 becomes U+FFFD."""
    if b"%" in path:
        return unquote_to_bytes(path).decode("utf-8", "replace")
    return path.decode("ascii")


def _origin_form(head: Head, target: bytes) -> bytes:
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        raise PeerError("Invalid request target")
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not authority or HOST.fullmatch(authority) is None:
        raise PeerError("Invalid authority in the request target")
    head.host = authority
    head.fields = [field for field in head.fields if field[0] != b"host"]
    head.fields.insert(0, [b"host", authority])
    return path if path.startswith(b"/") else b"/" + path
