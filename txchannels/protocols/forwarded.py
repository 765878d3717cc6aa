"""Who the client is, as the proxies in front of the daemon tell it.

Each proxy appends what it saw to ``X-Forwarded-For`` (or ``Forwarded``, RFC 7239), so
only the last entries, one a trusted proxy, can be believed; the client may have written
any before them. Most proxies write the one and let the other pass as the client sent it:
``Forwarded`` counts only where there is no ``X-Forwarded-`` field at all.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

__all__ = ["Forwarded", "read_forwarded"]

_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^;,"\s]*)\s*(;|,|$)')
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Forwarded:
    """What the trusted proxies said; None where they said nothing."""

    __slots__ = ("client", "host", "port", "scheme")

    def __init__(self) -> None:
        self.client: list[Any] | None = None
        self.scheme: str | None = None
        self.host: str | None = None
        self.port: int | None = None


def read_forwarded(fields: list[list[bytes]], hops: int) -> Forwarded:
    """What the *hops*-th proxy from the right saw of its client."""
    found: dict[bytes, list[str]] = {}
    for name, value in fields:
        if name == b"forwarded" or name.startswith(b"x-forwarded-"):
            found.setdefault(name, []).append(value.decode("latin-1"))
    forwarded = Forwarded()
    if len(found) == 1 and b"forwarded" in found:
        _read_rfc7239(forwarded, ",".join(found[b"forwarded"]), hops)
        return forwarded
    node = _pick(found.get(b"x-forwarded-for"), hops)
    if node is not None:
        forwarded.client = _parse_node(node)
    scheme = _pick(found.get(b"x-forwarded-proto"), hops)
    forwarded.scheme = _SCHEMES.get((scheme or "").lower())
    forwarded.host = _pick(found.get(b"x-forwarded-host"), hops)
    forwarded.port = _parse_port(_pick(found.get(b"x-forwarded-port"), hops) or "")
    return forwarded


def _pick(values: list[str] | None, hops: int) -> str | None:
    """The entry that the farthest trusted proxy wrote; with fewer entries, the first."""
    if not values:
        return None
    entries = [entry.strip() for entry in ",".join(values).split(",")]
    return entries[max(0, len(entries) - hops)]


def _read_rfc7239(forwarded: Forwarded, text: str, hops: int) -> None:
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return  # malformed: nothing in it can be believed
        value = pair[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        elements[-1][pair[1].lower()] = value
        if pair[3] == ",":
            elements.append({})
        at = pair.end()
    element = elements[max(0, len(elements) - hops)]
    if "for" in element:
        forwarded.client = _parse_node(element["for"])
    forwarded.scheme = _SCHEMES.get(element.get("proto", "").lower())
    forwarded.host = element.get("host")


def _parse_node(node: str) -> list[Any] | None:
    """``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``.

    None for anything else: a client that is unknown, or has a name of the proxy's.
    """
    host, port = node, "0"
    if node.startswith("["):
        host, found, rest = node[1:].partition("]")
        if not found or (rest and not rest.startswith(":")):
            return None
        port = rest[1:] or "0"
    elif node.count(":") == 1:
        host, _, port = node.partition(":")
    number = _parse_port(port)
    try:
        ip_address(host)
    except ValueError:
        return None
    return None if number is None else [host, number]


def _parse_port(text: str) -> int | None:
    if re.fullmatch("[0-9]{1,5}", text) and int(text) < 65_536:
        return int(text)
    return None
