"""A daemon's hub, served at a path by a reactor in a thread, for tests that block."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.layers.redis.reactors import ReactorThread
from txchannels.layers.ipc import IPCLayer
from txchannels.layers.ipc.server import Peer, Served
from txchannels.layers.ipc.serving import HubServer

__all__ = ["Daemon"]


def run_now(call, tell):
    try:
        outcome = call()
    except Exception as error:
        outcome = error
    tell(outcome)


class Daemon:
    """A context in which a hub is served.

    Attributes:
        path: Its socket.
        hub: The hub.
        told: What programs have told: (topic, value).
    """

    def __init__(self, turning: ReactorThread, **config: Any) -> None:
        self.turning = turning
        self.folder = tempfile.mkdtemp()
        self.path = str(Path(self.folder) / "hub.sock")
        self.config = config
        self.told: list[tuple[str, Any]] = []

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        shutil.rmtree(self.folder)

    def open(self) -> None:
        self.claim()
        self.listen()

    def claim(self) -> None:
        layer = IPCLayer(path=self.path, **self.config)
        reactor = self.turning.reactor
        self.face = layer.serve(reactor.callFromThread, reactor)
        self.hub = self.face.hub
        served = Served(self.hub, self.face, layer.blocking, reactor, run_now)
        self.server = HubServer(served, self.tell)
        self.server.claim(self.path, "CONFIG['path']")

    def listen(self) -> None:
        self.turning.call(self.server.listen)

    def tell(self, peer: Peer, topic: str, value: Any) -> None:
        self.told.append((topic, value))

    def close(self) -> None:
        self.turning.call(self.server.stop)

    def program(self, **config: Any) -> IPCLayer:
        """The layer as another process has it."""
        return IPCLayer(path=self.path, **config)
