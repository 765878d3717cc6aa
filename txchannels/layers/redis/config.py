"""What the site wrote under ``hosts``, ``tls`` and ``sentinel`` of CONFIG, as values.

- Each entry of ``hosts`` is one shard: a Redis, or a service that sentinels watch.
- What cannot work is refused here, by the name of the setting.
- No secret is ever shown: not by a value, and not by an error about a malformed URL.

Opens nothing but the files that ``tls`` names, to see that they can be read.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from urllib.parse import quote

from txchannels.errors import ConfigurationError
from txchannels.layers.redis.urls import Address, Place, mask, read_address, read_place

__all__ = ["Host", "Tls", "read_hosts"]

_HOSTS = "CONFIG['hosts']"
_FORMS = (
    "must be a list of URLs: redis://[user:password@]host[:port][/db], rediss:// for TLS, "
    "unix://[user:password@]/path[?db=N], sentinel://host1,host2/service[/db] or "
    "sentinels:// for TLS; or of pairs (host, port)"
)
_TLS_SCHEMES = {True: "rediss", False: "redis"}
_SENTINEL_SCHEMES = {True: "sentinels", False: "sentinel"}


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How a server is verified, and what it is shown. Names are always checked.

    Attributes:
        ca_file: Authorities to trust, and no others; None for the system's.
        cert_file: The client's certificate.
        key_file: Its key; None when it is in the same file.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, kw_only=True)
class Host:
    """One shard.

    Attributes:
        addresses: The server's, or all of the sentinels'.
        path: A unix socket instead.
        service: What the sentinels call it; empty without sentinels.
        db: Number of the database.
        tls: None for no TLS; for sentinels and servers alike.
    """

    addresses: tuple[Address, ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    def __str__(self) -> str:
        """As a URL, without any secret."""
        user = f"{quote(self.username, safe='')}@" if self.username else ""
        if self.path:
            return f"unix://{user}{quote(self.path)}" + (f"?db={self.db}" if self.db else "")
        schemes = _SENTINEL_SCHEMES if self.service else _TLS_SCHEMES
        places = ",".join(_shown(address) for address in self.addresses)
        service = f"/{quote(self.service, safe='')}" if self.service else ""
        return f"{schemes[self.tls is not None]}://{user}{places}{service}/{self.db}"


def read_hosts(hosts: object, tls: object = None, sentinel: object = None) -> tuple[Host, ...]:
    """The shards that CONFIG names, in its order; one on localhost when it names none.

    Args:
        hosts: ``CONFIG['hosts']``: URLs, or pairs of host and port.
        tls: ``CONFIG['tls']``: files, by the names of `Tls`; for all hosts with TLS.
        sentinel: ``CONFIG['sentinel']``: ``username`` and ``password`` of the sentinels.

    Raises: ConfigurationError: Something of it can never work.
    """
    read = list(_read_entries(hosts))
    _refuse_duplicates(read)
    read = _with_tls(read, tls)
    return tuple(_with_sentinel(read, sentinel))


def _read_entries(hosts: object) -> Iterator[Host]:
    if hosts is None:
        hosts = [("localhost", 6379)]
    if isinstance(hosts, str):
        raise ConfigurationError(_HOSTS, mask(hosts), f"{_FORMS}; this is not in a list")
    if not isinstance(hosts, list | tuple):
        raise ConfigurationError(_HOSTS, None, f"{_FORMS}; not {_kind(hosts)}")
    if not hosts:
        raise ConfigurationError(_HOSTS, hosts, f"{_FORMS}; it is empty")
    for at, entry in enumerate(hosts):
        yield _read_entry(f"{_HOSTS}[{at}]", entry)


def _read_entry(setting: str, entry: object) -> Host:
    if isinstance(entry, str):
        return _host_of(read_place(setting, entry))
    if isinstance(entry, list | tuple) and len(entry) == 2:
        return Host(addresses=(read_address(setting, entry[0], entry[1]),))
    raise ConfigurationError(
        setting,
        None,
        f"must be a URL, as redis://host:6379/0, or a pair (host, port); not {_kind(entry)}",
    )


def _host_of(place: Place) -> Host:
    return Host(
        addresses=place.addresses,
        path=place.path,
        service=place.service,
        db=place.db,
        username=place.username,
        password=place.password,
        tls=Tls() if place.tls else None,
    )


def _refuse_duplicates(hosts: list[Host]) -> None:
    seen: set[tuple[object, ...]] = set()
    for at, host in enumerate(hosts):
        here = {(one, host.service, host.db) for one in host.addresses or (host.path,)}
        if here & seen:
            raise ConfigurationError(
                f"{_HOSTS}[{at}]", str(host), "is given twice; each shard must be another one"
            )
        seen |= here


def _with_tls(hosts: list[Host], tls: object) -> list[Host]:
    setting = "CONFIG['tls']"
    if tls is None:
        return hosts
    given = _read_keys(setting, tls, ("ca_file", "cert_file", "key_file"))
    if all(host.tls is None for host in hosts):
        raise ConfigurationError(
            setting, None, f"is for hosts with TLS: write rediss:// or sentinels:// in {_HOSTS}"
        )
    files = {key: _read_file(f"{setting}['{key}']", value) for key, value in given.items()}
    if files.get("key_file") and not files.get("cert_file"):
        raise ConfigurationError(f"{setting}['key_file']", None, "needs a cert_file, too")
    return [host if host.tls is None else replace(host, tls=Tls(**files)) for host in hosts]


def _read_file(setting: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise ConfigurationError(setting, None, f"must be the path of a file, not {_kind(value)}")
    path = str(os.fspath(value))
    try:
        with open(path, "rb"):
            return path
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(setting, path, f"cannot be read: {reason}") from error


def _with_sentinel(hosts: list[Host], sentinel: object) -> list[Host]:
    setting = "CONFIG['sentinel']"
    if sentinel is None:
        return hosts
    given = _read_keys(setting, sentinel, ("username", "password"))
    if not any(host.service for host in hosts):
        raise ConfigurationError(
            setting, None, f"is for sentinels: write sentinel:// or sentinels:// in {_HOSTS}"
        )
    for key, value in given.items():
        if value is not None and not (isinstance(value, str) and value):
            raise ConfigurationError(f"{setting}['{key}']", None, "must be a text, not empty")
    username, password = given.get("username"), given.get("password")
    if username is not None and password is None:
        raise ConfigurationError(f"{setting}['username']", None, "needs a password, too")
    return [
        replace(host, sentinel_username=username, sentinel_password=password)
        if host.service
        else host
        for host in hosts
    ]


def _read_keys(setting: str, value: object, known: Collection[str]) -> dict[str, str | None]:
    """*value* as a dict that has only *known* keys; what they hold is not looked at."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            setting, None, f"must be a dict of {', '.join(known)}; not {_kind(value)}"
        )
    for key in value:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ConfigurationError(f"{setting}[{key!r}]", None, f"is unknown; {hint}")
    return dict(value)


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _kind(value: object) -> str:
    return f"one of type {type(value).__name__}"
