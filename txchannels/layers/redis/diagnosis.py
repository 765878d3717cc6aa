"""Why a blocking connection failed: redis-py's exceptions, and what is behind them.

redis-py tells of most failures by one class and a text. The error that the system, OpenSSL
or the server gave is found behind it; what that means is in `meanings`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import redis
from redis.sentinel import MasterNotFoundError

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis import meanings
from txchannels.layers.redis.config import Host
from txchannels.layers.redis.meanings import Failure
from txchannels.layers.redis.pools import LoginError, SentinelError

__all__ = ["explain"]

_NAME_MISMATCHES = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def explain(error: Exception, host: Host) -> Failure:
    """*error*, got from *host*, in one line that names no secret.

    Returns: A ConfigurationError where trying again can never help.
    """
    if isinstance(error, ConfigurationError | LayerUnavailable):
        return error
    chain = list(_chain(error))
    read = [found for one in chain if (found := _read(one, chain, host)) is not None]
    lasting = [found for found in read if isinstance(found, ConfigurationError)]
    if lasting or read:
        return (lasting or read)[0]
    if _is_hangup(chain[-1]):
        return meanings.closed(host)
    return LayerUnavailable(f"{host}: cannot be used ({type(chain[-1]).__name__})")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """*error* and what it was raised for, the first cause last."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _read(error: BaseException, chain: list[BaseException], host: Host) -> Failure | None:
    """What *error* tells by itself; None if what is behind it tells more."""
    at_sentinel = any(isinstance(one, SentinelError) for one in chain)
    if isinstance(error, MasterNotFoundError):
        return meanings.no_service(host)
    if isinstance(error, LoginError):
        return None
    said = _said(error)
    if said:
        at_login = any(isinstance(one, LoginError) for one in chain)
        return meanings.refused(said, host, at_sentinel=at_sentinel, at_login=at_login)
    # redis-py's own AuthenticationError: AUTH was answered, and neither by OK nor by an error.
    if isinstance(error, redis.InvalidResponse | redis.AuthenticationError):
        return meanings.failure(meanings.NOT_REDIS, host, at_sentinel=at_sentinel)
    if isinstance(error, ssl.SSLError):
        return _read_tls(error, host, at_sentinel=at_sentinel)
    return _read_network(error, host)


def _said(error: BaseException) -> str:
    """The server's words, which redis-py parts; empty if it is not the server's error."""
    code = getattr(error, "status_code", None)
    if isinstance(code, str):
        return f"{code} {error}"
    return str(error) if isinstance(error, redis.ResponseError) else ""


def _read_tls(error: ssl.SSLError, host: Host, *, at_sentinel: bool) -> Failure | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        is_name = error.verify_code in _NAME_MISMATCHES
        meaning = meanings.OTHER_NAME if is_name else meanings.UNTRUSTED
        return meanings.failure(meaning, host, at_sentinel=at_sentinel)
    if _is_hangup(error):
        return None
    return meanings.tls_failed(error.reason or "", host, at_sentinel=at_sentinel)


def _read_network(error: BaseException, host: Host) -> Failure | None:
    if isinstance(error, UnicodeError):
        return meanings.failure(meanings.ILLEGAL_NAME, host)
    if isinstance(error, socket.gaierror):
        return meanings.unknown_name(host)
    if isinstance(error, TimeoutError | redis.TimeoutError):
        return meanings.no_answer(host)
    # What is behind it may be the end of the connection before.
    if isinstance(error, OSError) and error.errno and not _is_hangup(error):
        return meanings.system_failed(error.errno, host)
    return None


def _is_hangup(error: BaseException) -> bool:
    closed = "closed by server" in str(error)
    return closed or isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError)
