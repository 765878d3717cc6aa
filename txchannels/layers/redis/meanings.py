"""What is wrong with a server: its words, or how a connection ended, into one line.

The one table of it, for the reactor's connections and the blocking ones. Each failure is a
`ConfigurationError` where no retry can help, and `LayerUnavailable` where one may.

- No line has a secret: what answers AUTH may quote the password, and is never shown.
- What else a server says is quoted only in part, in plain characters.

Knows no library that speaks with a server: each has a module that reads its exceptions.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis.config import Host

__all__ = [
    "ILLEGAL_NAME",
    "NOT_REDIS",
    "NO_TLS",
    "OTHER_NAME",
    "UNTRUSTED",
    "Failure",
    "Meaning",
    "check_server",
    "closed",
    "failure",
    "name_server",
    "no_answer",
    "no_service",
    "refused",
    "system_failed",
    "tls_failed",
    "unasked",
    "unknown_name",
]

MINIMUM_VERSION = (7, 0)
QUOTED_CHARACTERS = 160

Failure = ConfigurationError | LayerUnavailable


@dataclass(frozen=True)
class Meaning:
    """What is wrong with a server.

    Attributes:
        says: What follows its name; ``{place}`` stands for where a login is written.
        lasts: Until a setting is changed, or the server is another one.
        is_login: The user, the password or what they may do is wrong.
    """

    says: str
    lasts: bool = True
    is_login: bool = False


NOT_REDIS = Meaning(
    "does not answer as Redis does: is it another service's port, or does it want TLS (rediss://)?"
)
NO_TLS = Meaning("does not speak TLS: write redis:// (sentinel://), or the port of TLS")
OTHER_NAME = Meaning("shows a certificate for another name than the URL's")
UNTRUSTED = Meaning("shows a certificate that is not trusted: set CONFIG['tls']['ca_file']")
ILLEGAL_NAME = Meaning("has a host's name that is not legal")

_LOGIN = Meaning("refuses the user or the password", is_login=True)
_NO_PASSWORD = Meaning("has no password: write none into {place}", is_login=True)
_NO_DB = Meaning("has no such database: choose a lower number")
_CLUSTER = Meaning(
    "is a node of a Redis Cluster, which the layer does not use: name each server as a shard"
)
_NEEDED = f"Redis {'.'.join(map(str, MINIMUM_VERSION))} or newer is needed, or Valkey"
_NO_SENTINEL = Meaning("is in truth a Redis: write redis:// for it")
_LOADING = Meaning("is loading its data", lasts=False)
_REPLICA = Meaning("is a replica and takes no writes", lasts=False)

#: By the code that begins a server's error.
_CODES = {
    "NOAUTH": Meaning("asks for a password: write it into {place}", is_login=True),
    "WRONGPASS": _LOGIN,
    "NOPERM": Meaning("refuses the user a right that the layer needs by its ACL", is_login=True),
    "DENIED": Meaning("is in protected mode: give it a password, and write that in the URL"),
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "LOADING": _LOADING,
    "READONLY": _REPLICA,
    "MASTERDOWN": Meaning("is a replica without its master", lasts=False),
    "OOM": Meaning("is out of memory", lasts=False),
    "BUSY": Meaning("is busy with a script", lasts=False),
    "MISCONF": Meaning("cannot save to its disk and takes no writes", lasts=False),
}
#: By a part of its text, in lower case; the first that is found counts.
_TEXTS = {
    "no password is set": _NO_PASSWORD,
    "without any password configured": _NO_PASSWORD,
    "invalid password": _LOGIN,
    "for 'auth' command": Meaning(f"is too old to know users: {_NEEDED}"),
    "db index is out of range": _NO_DB,
    "invalid db index": _NO_DB,
    "select is not allowed": Meaning("is a Redis Cluster, which has only database 0"),
    "unknown command 'sentinel": _NO_SENTINEL,
    "unknown command `sentinel": _NO_SENTINEL,
    "unknown command": Meaning(f"lacks a command that the layer needs, or renames it: {_NEEDED}"),
    "max number of clients": Meaning("has reached its max number of clients", lasts=False),
}
#: By a part of what OpenSSL says, as the name of its reason is spelt.
_TLS = {
    "CERTIFICATE_VERIFY_FAILED": UNTRUSTED,
    r"ALERT_(\w+_)?(CERTIFICATE|CA\b)|ALERT_(ACCESS_DENIED|HANDSHAKE_FAILURE|DECRYPT_ERROR)": (
        Meaning("wants another client certificate: set CONFIG['tls']['cert_file']")
    ),
    "ALERT_(PROTOCOL_VERSION|INSUFFICIENT_SECURITY|UNRECOGNIZED_NAME)": Meaning(
        "refuses the handshake of TLS: its version, its ciphers or the host's name"
    ),
    "WRONG_VERSION|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG": NO_TLS,
}


def failure(
    meaning: Meaning, host: Host, *, at_sentinel: bool = False, quoted: str = ""
) -> Failure:
    """*meaning* as the error that tells the operator of *host*.

    Args:
        at_sentinel: It was said of one of the host's sentinels, which have a login of their own.
        quoted: What the server said, where that may be shown.
    """
    subject = "a sentinel" if at_sentinel else "the server"
    if not meaning.lasts:
        return LayerUnavailable(f"{host}: {subject} {meaning.says}")
    is_sentinels = at_sentinel and meaning.is_login
    setting = "CONFIG['sentinel']" if is_sentinels else "CONFIG['hosts']"
    place = "this dict" if is_sentinels else "the URL (redis://user:password@host)"
    says = meaning.says.replace("{place}", place)
    remedy = f"{subject} {says}" if at_sentinel else says
    return ConfigurationError(setting, str(host), remedy + (f" ({quoted})" if quoted else ""))


def refused(said: str, host: Host, *, at_sentinel: bool = False, at_login: bool = False) -> Failure:
    """What it means that a server answers with the error *said*.

    Args:
        at_login: It answers AUTH.
    """
    meaning = _read(said)
    if at_login:
        meaning = meaning or Meaning("takes no password now", lasts=False)
        return failure(meaning, host, at_sentinel=at_sentinel)
    if meaning is None:
        meaning = Meaning(f"says: {_quote(said)}", lasts=False)
    return failure(meaning, host, at_sentinel=at_sentinel, quoted=_quote(said))


def unasked(said: str) -> str:
    """Why a connection ends on which the server says an error that answers nothing."""
    meaning = _read(said)
    if meaning is None or meaning.lasts:
        return f"the server says: {_quote(said)}"
    return f"the server {meaning.says}"


def no_service(host: Host) -> Failure:
    """The sentinels of *host* can be asked, and know nothing of its service."""
    says = f"names a service that the sentinels do not know: {host.service!r}"
    return failure(Meaning(says), host)


def closed(host: Host) -> LayerUnavailable:
    """The server has ended the connection, and has not said why."""
    is_plain = host.tls is None and not host.path
    hint = "if it speaks TLS, the URL is rediss://; " if is_plain else ""
    return LayerUnavailable(
        f"{host}: the server has closed the connection ({hint}has it too many clients?)"
    )


def no_answer(host: Host, seconds: float | None = None) -> LayerUnavailable:
    """Nothing came within *seconds*; None where they are not known."""
    time = "in time" if seconds is None else f"within {seconds:.3g} s"
    hint = "" if host.tls is None else " (does it speak TLS?)"
    return LayerUnavailable(f"{host}: no answer {time}{hint}")


def unknown_name(host: Host) -> LayerUnavailable:
    """The name of the host has no address now."""
    return LayerUnavailable(f"{host}: the name cannot be resolved")


def system_failed(number: int, host: Host) -> Failure:
    """The system did not connect, for the reason of that *number* (`errno`)."""
    if number == errno.ETIMEDOUT:
        return no_answer(host)
    if number == errno.EACCES and host.path:
        return failure(Meaning("is a socket that may not be opened"), host)
    return LayerUnavailable(f"{host}: {os.strerror(number)}")


def tls_failed(reason: str, host: Host, *, at_sentinel: bool = False) -> Failure:
    """What OpenSSL's *reason* means, in words or as a name."""
    name = reason.upper().replace(" ", "_")
    for pattern, meaning in _TLS.items():
        if re.search(pattern, name):
            return failure(meaning, host, at_sentinel=at_sentinel)
    told = _quote(name.lower().replace("_", " ")) or "the connection was lost"
    return LayerUnavailable(f"{host}: TLS failed: {told}")


def name_server(info: object) -> str:
    """Name and version of the server whose INFO this is, as ``Redis 7.0.15``."""
    facts = _facts(info)
    if "valkey_version" in facts:
        return f"Valkey {_quote(facts['valkey_version'])}"
    return f"Redis {_quote(facts.get('redis_version', '')) or 'of no version'}"


def check_server(info: object) -> Meaning | None:
    """Why the server whose INFO this is cannot carry a layer; None if it can.

    Args:
        info: As the server sent it; it is bytes if it is a Redis.
    """
    if not isinstance(info, bytes):
        return NOT_REDIS
    facts = _facts(info)
    if "sentinel" in {facts.get("redis_mode"), facts.get("server_mode")}:
        return Meaning("is a sentinel: write sentinel://host:port/service")
    if "valkey_version" not in facts and _version(facts) < MINIMUM_VERSION:
        return Meaning(f"is {name_server(info)}; {_NEEDED}")
    if facts.get("loading", "0") != "0":
        return _LOADING
    if facts.get("role", "master") != "master":
        return _REPLICA
    return None


def _facts(info: object) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines() if isinstance(info, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _version(facts: dict[str, str]) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", facts.get("redis_version", ""))[:2]))


def _read(said: str) -> Meaning | None:
    found = _CODES.get(said.partition(" ")[0])
    text = said.lower()
    return found or next((why for part, why in _TEXTS.items() if part in text), None)


def _quote(said: str) -> str:
    # An unknown command is quoted with its arguments, which may be a message.
    text = re.sub(r"[^ -~]", "?", re.split(r",? with args", said, maxsplit=1)[0])
    return text if len(text) <= QUOTED_CHARACTERS else f"{text[:QUOTED_CHARACTERS]}..."
