"""Which pages may open a WebSocket (RFC 6454; cross-site WebSocket hijacking).

Browsers send a page's origin and cookies with every handshake, so a site that takes
any origin lets every other page act as its user. Programs send no origin; they hold no
cookies of other people and may connect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from txchannels.protocols.forwarded import read_forwarded
from txchannels.protocols.request import Head

__all__ = ["asked_host", "is_origin_allowed"]

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

#: RFC 6454, section 6.2: scheme, host, and the port unless it is the scheme's own.
_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\x00-\x20\x7f/?#@:\[\]\\]+)(?::([0-9]{0,5}))?"
)


def asked_host(head: Head, proxy_hops: int) -> str:
    """The host, and the port if there is one, that the client asked for."""
    host = head.host.decode("latin-1")
    if proxy_hops:
        said = read_forwarded(head.fields, proxy_hops)
        host = said.host or host
        if said.port is not None and not re.search(r":[0-9]+$", host):
            host = f"{host.rstrip(':')}:{said.port}"
    return host


def is_origin_allowed(origin: bytes | None, host: str, scheme: str, allowed: Sequence[str]) -> bool:
    """Whether a page of *origin* may open a socket.

    Args:
        origin: The Origin field; None if there was none.
        host: The host (and port) that the client asked for.
        scheme: ``http`` or ``https``, as the client asked.
        allowed: Further origins (``https://example.com``), or ``*`` for any.
    """
    if origin is None or "*" in allowed:
        return True
    found = _parse(origin.decode("latin-1"))
    if found is None:
        return False
    if found[0] == "https" and scheme == "http":
        scheme = "https"  # a proxy in front may have ended the encryption, and not said so
    asked = _parse(f"{scheme}://{host}")
    # Host and port decide: an origin of the other scheme on this port has no server.
    return (asked is not None and found[1:] == asked[1:]) or found in map(_parse, allowed)


@lru_cache(maxsize=256)
def _parse(origin: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None if it is no origin (``null``, say)."""
    found = _ORIGIN.fullmatch(origin.lower().removesuffix("/"))
    if found is None:
        return None
    scheme, host, port = found.groups()
    return scheme, host, int(port) if port else _PORTS.get(scheme)
