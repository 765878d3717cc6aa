"""Which pages may open a WebSocket (RFC 6454; cross-site WebSocket hijacking).

Browsers send a page's origin and cookies with every handshake, so a site that takes
any origin lets every other page act as its user. Programs send no origin; they hold no
cookies of other people and may connect.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = ["is_origin_allowed"]

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def is_origin_allowed(origin: bytes | None, host: bytes, scheme: str, allowed: Sequence[str]) -> bool:
    """Whether a page of *origin* may open a socket.

    Args:
        origin: The Origin field; None if there was none.
        host: The host (and port) that the client asked for.
        scheme: ``http`` or ``https``, as the client asked.
        allowed: Further origins (``https://example.com``), or ``*`` for any.
    """
    if origin is None or "*" in allowed:
        return True
    text = origin.decode("latin-1").lower()
    if text in (one.lower().rstrip("/") for one in allowed):
        return True
    asked = _host_and_port(f"{scheme}://{host.decode('latin-1').lower()}")
    return asked is not None and _host_and_port(text) == asked


def _host_and_port(url: str) -> tuple[str, int] | None:
    """Where *url* points; None if it points nowhere (``null``, say)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.hostname, port) if parts.hostname else None
