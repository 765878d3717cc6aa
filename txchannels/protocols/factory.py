"""A connection for every client that one endpoint accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Protocol, ServerFactory
from zope.interface import implementer

from txchannels.protocols.http1 import HttpConnection

if TYPE_CHECKING:
    from txchannels.protocols.site import Site

__all__ = ["SiteFactory"]


#: Connections over the limit that are told so at the same time: each is a descriptor. More
#: are closed without a word.
_MIN_REFUSED = 8
_MAX_REFUSED = 128


@implementer(IProtocolNegotiationFactory)
class SiteFactory(ServerFactory):
    """Builds connections of *site*. Thread: the reactor's."""

    noisy = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802 - Twisted's name
        """What a TLS client may choose (RFC 7301); one that offers none of it is refused."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """A connection; None, and Twisted closes it, for those that nothing can be said to."""
        limit = self._site.http.max_connections
        refused = min(_MAX_REFUSED, max(_MIN_REFUSED, limit // 32))
        if self._site.connections >= limit + refused:
            self._site.count("http.too_many_connections")
            return None
        return HttpConnection(self._site)
