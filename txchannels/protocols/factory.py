"""A connection for every client that one endpoint accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory

from txchannels.protocols.http1 import HttpConnection

if TYPE_CHECKING:
    from txchannels.protocols.site import Site

__all__ = ["SiteFactory"]


class SiteFactory(ServerFactory):
    """Builds connections of *site*. Thread: the reactor's."""

    noisy = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return HttpConnection(self._site)
