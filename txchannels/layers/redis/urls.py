"""One URL of ``CONFIG['hosts']``, read strictly; and masked, whatever it is.

The URLs are those of RFC 3986 with two liberties: a list of sentinels in place of one
host, and a password may hold any character but ``/`` and ``?`` as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import IPv6Address
from typing import NoReturn, TypeAlias
from urllib.parse import unquote

from txchannels.errors import ConfigurationError

__all__ = ["Address", "Place", "mask", "read_address", "read_place"]

Address: TypeAlias = tuple[str, int]

_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "sentinels": 26379}
_ESCAPES = "in a user or password, / ? @ and % are written %2F, %3F, %40 and %25"
_SCHEMES = (*_PORTS, "unix")
_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(:(?P<port>[^:]*))?")
_NAME = re.compile(r"[^\s/?#@:,%\[\]]+")
#: A bracketed address, or a colon that no port follows and all after it.
_AFTER_COLON = re.compile(r"(?P<address>\[[0-9a-fA-F:.]*\])|:(?![0-9]{1,5}(?![^,/?])).*", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one URL says."""

    tls: bool
    addresses: tuple[Address, ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class _Url:
    """A URL while it is read.

    Args:
        setting: The name of the setting, for errors.
    """

    def __init__(self, setting: str, text: str) -> None:
        self._setting = setting
        self._text = text
        self.scheme, separator, self.rest = text.partition("://")
        if not separator:
            self.refuse("must begin with its scheme, as redis://host:6379/0")
        if self.scheme not in _SCHEMES:
            near = get_close_matches(self.scheme, _SCHEMES, n=1)
            hint = f"did you mean {near[0]}://?" if near else "there is no such scheme;"
            self.refuse(f"{hint} allowed are {', '.join(f'{one}://' for one in _SCHEMES)}")

    def refuse(self, remedy: str) -> NoReturn:
        raise ConfigurationError(self._setting, mask(self._text), remedy) from None

    def decode(self, text: str) -> str:
        try:
            return unquote(text, errors="strict")
        except UnicodeDecodeError:
            self.refuse("has a %-sequence that is not UTF-8")

    def database(self, text: str) -> int:
        if not _DIGITS.fullmatch(text):
            self.refuse("must have a number as its database, as /0")
        return int(text)

    def credentials(self, text: str) -> tuple[str | None, str | None]:
        """User and password of what stands in front of the ``@``."""
        user, separator, password = text.partition(":")
        if not self.decode(user) and not self.decode(password):
            self.refuse("has an @ without a user or a password in front of it")
        if not separator:
            # A server would be asked as the default user, by a site that means another one.
            self.refuse("has a user without a password: write user:password@, or user:@ for none")
        return self.decode(user) or None, self.decode(password)

    def address(self, text: str) -> Address:
        found = _ADDRESS.fullmatch(text)
        if found is None:
            self.refuse("must have host:port, an IPv6 address in brackets")
        host, port = found["host"], found["port"]
        if host.startswith("["):
            host = self._ipv6(host[1:-1])
        elif not _NAME.fullmatch(host):
            self.refuse(f"must name a host; {_ESCAPES}")
        return host.lower(), _PORTS[self.scheme] if port is None else self._port(port)

    def _ipv6(self, text: str) -> str:
        try:
            return str(IPv6Address(self.decode(text)))
        except ValueError:
            self.refuse("must have an IPv6 address inside the brackets")

    def _port(self, text: str) -> int:
        if not _DIGITS.fullmatch(text) or not 0 < int(text) < 65_536:
            self.refuse("must have a port from 1 to 65535")
        return int(text)


def read_place(setting: str, text: str) -> Place:
    """What the URL *text* says.

    Args:
        setting: Its name, for errors.

    Raises: ConfigurationError: It is malformed; it is shown without its secrets.
    """
    url = _Url(setting, text)
    return _read_unix(url) if url.scheme == "unix" else _read_tcp(url)


def read_address(setting: str, host: object, port: object) -> Address:
    """The pair of *host* and *port*.

    Raises: ConfigurationError: It is none.
    """
    if not isinstance(host, str) or not (_NAME.fullmatch(host) or _is_ipv6(host)):
        raise ConfigurationError(
            setting, mask(str(host)), "must be a pair of a host's name or address and a port"
        )
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65_536:
        raise ConfigurationError(setting, host, "must have a port from 1 to 65535")
    return host.lower(), port


def mask(text: str) -> str:
    """*text* without what may be a secret in it, were it ever so malformed a URL.

    What stands before the last ``@`` may be a password, or the middle of one; so may what
    follows a colon and is no port.
    """
    scheme, separator, rest = text.rpartition("://")
    if not re.fullmatch(r"[A-Za-z]{0,12}", scheme):
        scheme = "***"
    _, at, rest = rest.rpartition("@")
    rest = _AFTER_COLON.sub(lambda found: found["address"] or ":***", rest)
    rest = re.sub(r"=[^&]*", "=***", rest)
    return f"{scheme}{separator}{'***@' if at else ''}{rest}"


def _read_tcp(url: _Url) -> Place:
    rest, question, options = url.rest.partition("?")
    authority, _, path = rest.partition("/")
    if "@" in path + options:
        url.refuse(f"has an @ behind a slash; {_ESCAPES}")
    if question:
        url.refuse("has no place for options after ?; TLS is set by rediss:// and CONFIG['tls']")
    before, at, places = authority.rpartition("@")
    username, password = url.credentials(before) if at else (None, None)
    service, db = _read_path(url, path)
    hosts = places.split(",") if service else [places]
    addresses = tuple(url.address(one) for one in hosts)
    if len(set(addresses)) < len(addresses):
        url.refuse("names a sentinel twice")
    return Place(
        tls=url.scheme.endswith("s") and url.scheme != "redis",
        addresses=addresses,
        service=service,
        db=db,
        username=username,
        password=password,
    )


def _read_path(url: _Url, path: str) -> tuple[str, int]:
    """Service and database of a path without its first slash."""
    service = ""
    if url.scheme.startswith("sentinel"):
        name, _, path = path.partition("/")
        service = url.decode(name)
        if not service:
            url.refuse("must name the service that the sentinels watch, as /mymaster")
    return service, url.database(path) if path else 0


def _read_unix(url: _Url) -> Place:
    before, slash, rest = url.rest.partition("/")
    path, question, query = rest.partition("?")
    if not slash or not path or (before and not before.endswith("@")):
        url.refuse("must have the whole path of a socket, as unix:///run/redis.sock")
    username, password = url.credentials(before[:-1]) if before else (None, None)
    key, _, db = query.partition("=")
    if question and key != "db":
        url.refuse("may have only the database after ?, as ?db=1")
    return Place(
        tls=False,
        path=url.decode(slash + path),
        db=url.database(db) if question else 0,
        username=username,
        password=password,
    )


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
