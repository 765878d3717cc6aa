"""A host into the endpoint that leads to it: TCP or a unix socket, with TLS or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)

from txchannels.layers.redis import tls

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from txchannels.layers.redis.config import Host

__all__ = ["make_endpoint"]

# Between the addresses of one name; a refusal is told no sooner, so it delays a reconnection.
ATTEMPT_DELAY_SECONDS = 0.1


def make_endpoint(reactor: Any, host: Host) -> IStreamClientEndpoint:
    """Where *host*, of one address or path, is reached.

    Raises: ConfigurationError: a file for TLS cannot be used.
    """
    if host.path:
        return UNIXClientEndpoint(reactor, host.path)
    ((name, port),) = host.addresses
    endpoint: IStreamClientEndpoint
    if isIPAddress(name):
        endpoint = TCP4ClientEndpoint(reactor, name, port)
    elif isIPv6Address(name):
        endpoint = TCP6ClientEndpoint(reactor, name, port)
    else:
        endpoint = HostnameEndpoint(reactor, name, port, attemptDelay=ATTEMPT_DELAY_SECONDS)
    if host.tls is None:
        return endpoint
    return wrapClientTLS(tls.options(host.tls, name), endpoint)
