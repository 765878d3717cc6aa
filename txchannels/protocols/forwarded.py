"""Who the client is, as the proxies in front of the daemon tell it.

Each proxy appends what it saw to ``X-Forwarded-For`` (or ``Forwarded``, RFC 7239), so
only the last entries, one a trusted proxy, can be believed; the client may have written
any before them.
"""

from __future__ import annotations

import re
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
    if b"forwarded" in found:
        _read_rfc7239(forwarded, ",".join(found[b"forwarded"]), hops)
        return forwarded
    node = _pick(found.get(b"x-forwarded-for"), hops)
    if node is not None:
        forwarded.client = _parse_node(node)
    scheme = _pick(found.get(b"x-forwarded-proto"), hops)
    forwarded.scheme = _SCHEMES.get((scheme or "").lower())
    forwarded.host = _pick(found.get(b"x-forwarded-host"), hops)
    port = _pick(found.get(b"x-forwarded-port"), hops)
    forwarded.port = int(port) if port is not None and re.fullmatch("[0-9]{1,5}", port) else None
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
    """``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1``, ``[2001:db8::1]:80`` or a name."""
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.%]+)\](?::([0-9]{1,5}))?", node)
    if bracketed:
        return [bracketed[1], int(bracketed[2] or 0)]
    if node.count(":") > 1:
        return [node, 0] if re.fullmatch("[0-9A-Fa-f:.%]+", node) else None
    plain = re.fullmatch(r"([\w.-]+)(?::([0-9]{1,5}))?", node)
    return [plain[1], int(plain[2] or 0)] if plain else None
