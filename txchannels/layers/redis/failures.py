"""Why a connection of the reactor's could not be made: txredisapi's and Twisted's exceptions.

What they mean is in `meanings`; only how each of these libraries tells it is known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost, DNSLookupError
from txredisapi import InvalidData, ResponseError

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis import meanings

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host
    from txchannels.layers.redis.meanings import Failure

__all__ = ["EXPECTED", "check_server", "explain", "explain_login", "loss"]

# What may come of a connection attempt.
EXPECTED = (ConnectError, DNSLookupError, LayerUnavailable, OSError, ResponseError, ValueError)


def loss(error: BaseException | None) -> str:
    """What a connection's end is called."""
    if isinstance(error, ConnectionDone):
        return "the server has closed the connection"
    return "the connection was lost"


def explain(error: Exception, host: Host) -> Failure:
    """Say what *error*, one of `EXPECTED`, means for *host*, a sentinel if it has a service."""
    if isinstance(error, ResponseError):
        return meanings.refused(str(error), host, at_sentinel=bool(host.service))
    if isinstance(error, LayerUnavailable):
        return _lost(error, host)
    if isinstance(error, DNSLookupError):
        return meanings.unknown_name(host)
    if isinstance(error, ConnectError | OSError):
        return _unreachable(error, host)
    return meanings.failure(meanings.ILLEGAL_NAME, host)


def explain_login(error: ResponseError, host: Host) -> Failure:
    """Say why AUTH was refused."""
    at_sentinel = bool(host.service)
    return meanings.refused(str(error), host, at_sentinel=at_sentinel, at_login=True)


def check_server(info: object, host: Host) -> None:
    """Make sure that the server whose INFO this is can carry a layer.

    Raises:
        ConfigurationError: it never can.
        LayerUnavailable: it cannot now.
    """
    why = meanings.check_server(info)
    if why is not None:
        raise meanings.failure(why, host)


def _lost(error: LayerUnavailable, host: Host) -> Failure:
    cause, at_sentinel = error.__cause__, bool(host.service)
    if isinstance(cause, InvalidData):
        return meanings.failure(meanings.NOT_REDIS, host, at_sentinel=at_sentinel)
    if isinstance(cause, VerificationError):
        return meanings.failure(meanings.OTHER_NAME, host, at_sentinel=at_sentinel)
    if isinstance(cause, SSL.Error):
        return meanings.tls_failed(_reason(cause), host, at_sentinel=at_sentinel)
    if isinstance(cause, ResponseError):
        return meanings.refused(str(cause), host, at_sentinel=at_sentinel)
    if isinstance(cause, ConnectionDone | ConnectionLost):
        return meanings.closed(host)
    return LayerUnavailable(str(error))


def _reason(error: SSL.Error) -> str:
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(entry[-1] for entry in entries)


def _unreachable(error: Exception, host: Host) -> Failure:
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    if isinstance(number, int):
        return meanings.system_failed(number, host)
    return LayerUnavailable(f"{host}: cannot be reached ({type(error).__name__})")
