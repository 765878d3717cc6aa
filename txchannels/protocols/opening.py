"""The opening of a WebSocket: a request into ``websocket.connect``, the answer into a response.

Knows no transport and no state but that of one handshake, which is over when the socket
is open or refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.errors import PeerError
from txchannels.protocols.handshake import (
    Handshake,
    accept_response,
    choose_protocol,
    read_handshake,
    refusal,
)
from txchannels.protocols.origin import asked_host, is_origin_allowed
from txchannels.protocols.target import split_target

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.request import Head
    from txchannels.protocols.site import Site

__all__ = ["Opening", "refuse"]

log = Logger()


class Opening:
    """One handshake, held until a consumer answers it.

    Args:
        site: Whose rules it must keep.
        head: The request's head.

    Raises: PeerError: It may not open a socket.
    """

    __slots__ = ("_handshake", "_site", "_target")

    def __init__(self, site: Site, head: Head) -> None:
        self._site = site
        self._target = head.target
        self._handshake: Handshake = read_handshake(head)

    def connect_message(self, head: Head, client: Any, server: Any, scheme: str) -> Message:
        """What the application is asked, but for the reply channel.

        Raises: PeerError: As above.
        """
        site = self._site
        path, query_string = split_target(head)
        host = asked_host(head, site.http.proxy_hops)
        origin = self._handshake.origin
        if origin is not None:
            self._check_host(host)
        if not is_origin_allowed(origin, host, scheme, site.websocket.origins):
            site.count("websocket.origin")
            raise PeerError("This origin may not open a WebSocket here", status=403)
        if site.is_stopping:
            raise PeerError("The server is stopping", status=503)
        return {
            "scheme": "wss" if scheme == "https" else "ws",
            "path": path,
            "query_string": query_string,
            "root_path": site.http.root_path,
            "headers": head.fields,
            "client": client,
            "server": server,
            "order": 0,
            "subprotocols": self._handshake.protocols,
        }

    def _check_host(self, host: str) -> None:
        """A page whose own name leads here (DNS rebinding) is of the host that it asks for."""
        if not self._site.is_host_allowed(host):
            self._site.count("websocket.host")
            log.warn("A WebSocket for {host!r} is refused: ALLOWED_HOSTS lacks it", host=host)
            raise PeerError("This host has no WebSockets", status=403)

    def response(self, asked: str | None) -> bytes:
        """The response that opens the socket, with the subprotocol that the application chose.

        Without a choice of its own it is the first offered one that the site serves.
        """
        handshake = self._handshake
        protocol: str | None = None
        if asked is None:
            protocol = choose_protocol(handshake.protocols, self._site.websocket.protocols)
        elif asked in handshake.protocols:
            protocol = asked
        else:
            log.error(
                "Subprotocol {protocol!r} was not offered by the client of {target}",
                protocol=asked,
                target=self._target,
            )
        return accept_response(handshake.key, protocol)


def refuse(site: Site, status: int, reason: str) -> bytes:
    """The response that does not open it, counted."""
    site.count(f"websocket.{status}")
    return refusal(status, reason, site.date_line(), site.retry_after_seconds)
