"""The daemon's end: its Unix socket, and every process that is connected."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from txchannels.layers.ipc.server import Peer, Served
from txchannels.layers.ipc.sockets import BACKLOG, Claim, is_trusted
from txchannels.layers.ipc.wire import Wire

__all__ = ["HubServer"]

log = Logger()

#: More programs than that on one host are a mistake.
MAX_PEERS = 4096


class HubServer:
    """Serves a hub to the processes of this host.

    Args:
        served: The hub.
        told: Called with what a program tells that is not for the layer: peer, topic, value.

    Attributes:
        peers: Those that are connected.

    Thread: the reactor's.
    """

    def __init__(self, served: Served, told: Callable[[Peer, str, Any], None]) -> None:
        self.peers: set[Peer] = set()
        self._served = served
        self._told = told
        self._claim: Claim | None = None
        self._port: Any = None

    def claim(self, path: str, setting: str) -> None:
        """Make sure of *path*; nobody is answered yet.

        Raises: ConfigurationError.
        """
        self._claim = Claim(path, setting)

    def listen(self) -> None:
        """Answer whoever connects to what was claimed."""
        assert self._claim is not None
        factory = _WireFactory(self._program_connected)
        reactor = self._served.reactor
        self._port = reactor.adoptStreamPort(self._claim.socket.fileno(), socket.AF_UNIX, factory)
        # Twisted has let everybody in, but only a few at a time.
        Path(self._claim.path).chmod(0o600)
        self._claim.socket.listen(BACKLOG)
        self._claim.socket.close()

    def adopt(self, sock: socket.socket, name: str) -> Peer:
        """Serve the process at the other end of *sock*, which is given up."""
        peers: list[Peer] = []

        def connected(wire: Wire) -> None:
            peers.append(Peer(self._served, wire, name))

        reactor = self._served.reactor
        sock.setblocking(False)
        reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, _WireFactory(connected))
        sock.close()
        return peers[0]

    def stop(self) -> None:
        """Answer nobody any more."""
        for peer in list(self.peers):
            peer.close()
        port, self._port = self._port, None
        claim, self._claim = self._claim, None
        if port is not None:
            # Not `stopListening`, which never ends if somebody has removed the socket's file.
            self._served.reactor.removeReader(port)
            port.socket.close()
            port.factory.doStop()
        if claim is not None:
            claim.release()

    def _program_connected(self, wire: Wire) -> None:
        if not is_trusted(wire.socket):
            log.warn("A process of another user was refused at the Unix socket")
            wire.drop()
            return
        if len(self.peers) >= MAX_PEERS:
            log.warn("A program was refused: {count} are connected", count=len(self.peers))
            wire.drop()
            return
        peer = Peer(self._served, wire)
        self.peers.add(peer)

        def ended(_lost: object) -> None:
            self.peers.discard(peer)

        def told(topic: str, value: Any) -> None:
            self._told(peer, topic, value)

        peer.ended = ended
        peer.told = told


class _WireFactory(Factory):
    """Makes a wire for each connection."""

    noisy = False

    def __init__(self, connected: Callable[[Wire], None]) -> None:
        self._connected = connected

    def buildProtocol(self, _address: object) -> Protocol:
        """The wire of a connection."""
        return Wire(self._connected)
