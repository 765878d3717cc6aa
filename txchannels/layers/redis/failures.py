"""Why a connection could not be made: an exception into one line for the operator.

Each is a `ConfigurationError` (no retry can help) or `LayerUnavailable` (a retry may). No line
has a secret; what a server says is quoted only if it does not answer one.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    NoRouteError,
)
from txredisapi import InvalidData, ResponseError

from txchannels.errors import ConfigurationError, LayerUnavailable

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host

__all__ = [
    "EXPECTED",
    "check_server",
    "explain",
    "explain_login",
    "explain_sentinel",
    "loss",
    "printable",
]

# What may come of a connection attempt.
EXPECTED = (ConnectError, DNSLookupError, LayerUnavailable, OSError, ResponseError, ValueError)

HOSTS = "CONFIG['hosts']"

MINIMUM_VERSION = (7, 0)
QUOTED_CHARACTERS = 120

# A server's words -> what the operator is told. No retry helps against any of them.
_HOPELESS = {
    "NOAUTH": "the server wants a password",
    "NOPERM": "the user may not use what the layer needs (the ACL is in the docs)",
    "DENIED": "the server is in protected mode: it takes no connections from other machines",
    "ERR DB index": "the server has no database of that number",
    "ERR invalid DB": "the server has no database of that number",
    "ERR SELECT is not allowed": "a cluster has no database but 0",
    "ERR unknown command": "it is not a Redis, or one whose commands are renamed",
}


def loss(error: BaseException | None) -> str:
    """What a connection's end is called."""
    if isinstance(error, ConnectionDone):
        return "the server has closed the connection"
    return "the connection was lost"


def printable(error: Exception) -> str:
    """The head of what a server said, fit for a log."""
    return re.sub(r"[^\x20-\x7e]", "?", str(error)[:QUOTED_CHARACTERS])


def explain(error: Exception, host: Host) -> ConfigurationError | LayerUnavailable:
    """Say what *error*, one of `EXPECTED`, means for *host*."""
    if isinstance(error, ResponseError):
        return _refused(error, host)
    if isinstance(error, LayerUnavailable):
        return _lost(error, host)
    if isinstance(error, ConnectError | OSError | DNSLookupError):
        return _unreachable(error, host)
    return ConfigurationError(HOSTS, str(host), "the host's name is not legal")


def explain_login(error: Exception, host: Host) -> ConfigurationError | LayerUnavailable:
    """Say why AUTH was refused, without a word of the server's: it may quote the password."""
    said = str(error)
    if said.startswith("WRONGPASS"):
        return ConfigurationError(HOSTS, str(host), "the user name or the password is wrong")
    if said.startswith("ERR AUTH"):
        return ConfigurationError(HOSTS, str(host), "a password is set, the server has none")
    if said.startswith(("ERR invalid password", "ERR wrong number")):
        return ConfigurationError(HOSTS, str(host), "the password is wrong, or Redis too old")
    if said.startswith("ERR unknown command"):
        return ConfigurationError(HOSTS, str(host), _HOPELESS["ERR unknown command"])
    return LayerUnavailable(f"{host}: the server takes no password now")


def explain_sentinel(error: Exception, host: Host) -> ConfigurationError | LayerUnavailable:
    """Say why a sentinel did not name a master."""
    if isinstance(error, ResponseError) and str(error).startswith("ERR unknown command"):
        return ConfigurationError(HOSTS, str(host), "it is not a sentinel")
    return explain(error, host)


def check_server(info: object, host: Host) -> None:
    """Make sure that the server whose INFO this is can carry a layer.

    Raises:
        ConfigurationError: it never can.
        LayerUnavailable: it cannot now.
    """
    if not isinstance(info, bytes):
        raise ConfigurationError(HOSTS, str(host), "it is not a Redis")
    lines = info.decode("utf-8", "replace").splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    if facts.get("redis_mode", facts.get("server_mode")) == "sentinel":
        raise ConfigurationError(HOSTS, str(host), "it is a sentinel: name the service, too")
    if "valkey_version" not in facts:
        _check_version(facts.get("redis_version", ""), host)
    if facts.get("loading", "0") != "0":
        raise LayerUnavailable(f"{host}: the server is loading its data")
    if facts.get("role", "master") != "master":
        raise LayerUnavailable(f"{host}: the server is a replica, which takes no writes")


def _check_version(version: str, host: Host) -> None:
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None:
        raise ConfigurationError(HOSTS, str(host), "it is not a Redis: it tells no version")
    if tuple(map(int, match.groups())) < MINIMUM_VERSION:
        raise ConfigurationError(
            HOSTS, str(host), f"Redis {match[0]} is too old: 7.0 or newer, or Valkey"
        )


def _refused(error: Exception, host: Host) -> ConfigurationError | LayerUnavailable:
    said = str(error)
    for words, meaning in _HOPELESS.items():
        if said.startswith(words):
            return ConfigurationError(HOSTS, str(host), meaning)
    return LayerUnavailable(f"{host}: the server says: {printable(error)}")


def _lost(error: LayerUnavailable, host: Host) -> ConfigurationError | LayerUnavailable:
    cause = error.__cause__
    if isinstance(cause, InvalidData):
        return ConfigurationError(HOSTS, str(host), "it is not a Redis, or it wants TLS")
    if isinstance(cause, VerificationError):
        return ConfigurationError(HOSTS, str(host), "the certificate is for another name")
    if isinstance(cause, SSL.Error):
        return _tls_failed(cause, host)
    if isinstance(cause, ResponseError):
        return _refused(cause, host)
    if isinstance(cause, ConnectionDone | ConnectionLost) and host.tls is None:
        return LayerUnavailable(
            f"{error} before it answered (does it want TLS? has it too many clients?)"
        )
    return LayerUnavailable(str(error))


def _tls_failed(error: SSL.Error, host: Host) -> ConfigurationError | LayerUnavailable:
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    said = "; ".join(entry[-1] for entry in reasons)
    if "certificate verify failed" in said:
        meaning = "the certificate is not valid, or no CA that is trusted has signed it"
    elif "wrong version number" in said or "packet length too long" in said:
        meaning = "the server does not speak TLS"
    elif "alert" in said:
        meaning = f"the server refuses the TLS handshake or the client's certificate ({said})"
    else:
        return LayerUnavailable(f"{host}: TLS failed: {said or 'the connection was lost'}")
    return ConfigurationError(HOSTS, str(host), meaning)


def _unreachable(error: Exception, host: Host) -> ConfigurationError | LayerUnavailable:
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    if number == errno.EACCES and host.path:
        return ConfigurationError(HOSTS, str(host), "the socket may not be opened")
    if number == errno.ECONNREFUSED:
        return LayerUnavailable(f"{host}: connection refused")
    if isinstance(error, DNSLookupError):
        return LayerUnavailable(f"{host}: the host's name is not known")
    if isinstance(error, NoRouteError):
        return LayerUnavailable(f"{host}: no way to the host")
    return LayerUnavailable(f"{host}: cannot be reached ({type(error).__name__})")
