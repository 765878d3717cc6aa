"""What went wrong with a server: a setting to change, or something that may pass.

redis-py tells of most failures by one class and a text. The error that the system, OpenSSL
or the server gave is found behind it.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

import redis
from redis.sentinel import MasterNotFoundError

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis.config import Host
from txchannels.layers.redis.pools import SentinelError

__all__ = ["NO_TLS", "explain"]

_NO_LOGIN = "asks for a password"
_LOGIN = "refuses the user or the password"
_DB = "has no such database: choose a lower number"
_CLUSTER = "is a node of a Redis Cluster, which the layer does not use: name each server as a shard"
_NO_REDIS = "does not answer as Redis does: is it another service's port?"
NO_TLS = "does not speak TLS: write redis:// (sentinel://), or the port of TLS"

#: The code that begins an error of the server, and why it stays until a setting is changed.
_LASTING = {
    "NOAUTH": _NO_LOGIN,
    "WRONGPASS": _LOGIN,
    "NOPERM": "refuses the user a right that the layer needs",
    "DENIED": "is in protected mode: give it a password, and write that in the URL",
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
}
#: The same by a part of the error's text, in lower case.
_LASTING_TEXTS = {
    "invalid username or password": _LOGIN,
    "no password is set": "has no password: write none in the URL",
    "without any password configured": "has no password: write none in the URL",
    "invalid password": _LOGIN,
    "db index is out of range": _DB,
    "invalid db index": _DB,
    "select is not allowed": "is a Redis Cluster, which has only database 0",
    "unknown command 'sentinel": "is a Redis: write redis:// for it",
    "unknown command": "lacks a command that the layer needs: Redis 7.0 or newer, or Valkey",
}
#: The code of an error that passes, and what is going on.
_PASSING = {
    "LOADING": "is loading its data",
    "READONLY": "is a replica and takes no writes",
    "MASTERDOWN": "is a replica without its master",
    "OOM": "is out of memory",
    "BUSY": "is busy with a script",
    "MISCONF": "cannot save to its disk and takes no writes",
}
_REFUSED_CERTIFICATE = re.compile(
    r"ALERT_(BAD|UNSUPPORTED|UNKNOWN|EXPIRED|REVOKED)?_?(CERTIFICATE|CA)|ALERT_ACCESS_DENIED"
    r"|ALERT_HANDSHAKE_FAILURE|ALERT_DECRYPT_ERROR"
)
_NAME_MISMATCHES = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def explain(error: Exception, host: Host) -> ConfigurationError | LayerUnavailable:
    """*error*, got from *host*, in one line that names no secret.

    Returns: A ConfigurationError where trying again can never help.
    """
    if isinstance(error, ConfigurationError | LayerUnavailable):
        return error
    chain = list(_chain(error))
    lasting = _lasting_tls(chain) or next(filter(None, map(_lasting, chain)), "")
    if not lasting:
        return LayerUnavailable(f"{host}: {_passing(chain, host)}")
    at_sentinel = any(isinstance(one, SentinelError) for one in chain)
    setting = "CONFIG['sentinel']" if at_sentinel and _is_login(chain) else "CONFIG['hosts']"
    if lasting == _NO_LOGIN:
        lasting += f"; its place is {'this dict' if at_sentinel else 'redis://user:password@host'}"
    where = "a sentinel " if at_sentinel else ""
    said = _said(chain[-1], host)
    return ConfigurationError(setting, str(host), f"{where}{lasting} ({said})")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """*error* and what it was raised for, the first cause last."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> str:
    code = getattr(error, "status_code", None)
    return code if isinstance(code, str) else str(error).partition(" ")[0]


def _lasting(error: BaseException) -> str:
    if isinstance(error, redis.InvalidResponse):
        return _NO_REDIS
    if isinstance(error, MasterNotFoundError):
        return "names a service that the sentinels do not know"
    text = str(error).lower()
    found = _LASTING.get(_code(error), "")
    return found or next((why for part, why in _LASTING_TEXTS.items() if part in text), "")


def _is_login(chain: list[BaseException]) -> bool:
    return any(
        isinstance(one, redis.AuthenticationError)
        or _code(one) in {"NOAUTH", "WRONGPASS", "NOPERM"}
        for one in chain
    )


def _lasting_tls(chain: list[BaseException]) -> str:
    for error in chain:
        if isinstance(error, ssl.SSLCertVerificationError):
            if error.verify_code in _NAME_MISMATCHES:
                return "shows a certificate for another name than the URL's"
            return "shows a certificate that is not trusted: set CONFIG['tls']['ca_file']"
        if isinstance(error, ssl.SSLError):
            reason = error.reason or ""
            if _REFUSED_CERTIFICATE.search(reason):
                return "wants another client certificate: set CONFIG['tls']['cert_file']"
            if "WRONG_VERSION" in reason or "RECORD_LAYER_FAILURE" in reason:
                return NO_TLS
    return ""


def _passing(chain: list[BaseException], host: Host) -> str:
    first = chain[-1]
    for error in chain:
        if _code(error) in _PASSING:
            return f"the server {_PASSING[_code(error)]}"
        if isinstance(error, socket.gaierror):
            return f"the name cannot be resolved: {error.strerror}"
        if isinstance(error, TimeoutError | redis.TimeoutError):
            return "no answer in time"
        # What is behind it may be the end of the connection before.
        if isinstance(error, OSError) and error.strerror and not _is_hangup(error):
            return error.strerror
    if _is_hangup(first):
        hint = "" if host.tls or host.path else " (if it speaks TLS, the URL is rediss://)"
        return f"the server closed the connection{hint}"
    return _said(first, host)


def _is_hangup(error: BaseException) -> bool:
    closed = "closed by server" in str(error)
    return closed or isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError)


def _said(error: BaseException, host: Host) -> str:
    """What *error* says, in one short line of plain characters."""
    # An unknown command is quoted with its arguments: those of AUTH are secret.
    text = str(error).partition(", with args")[0] or type(error).__name__
    for secret in (host.password, host.sentinel_password):
        if secret:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    text = re.sub(r" \(_ssl\.c:\d+\)", "", text)
    text = " ".join(re.sub(r"[^ -~]", " ", text).split())
    return text if len(text) <= 160 else f"{text[:160]}..."
