"""A real daemon for one test: its database, its settings, its layer, and its end."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.dotted import import_dotted
from txchannels.django.test.daemon import Daemon
from txchannels.django.test.handover import IPC_BACKEND, MODULE, write_settings
from txchannels.django.test.layers import is_in_memory, make_layer_for_tests
from txchannels.django.test.ondisk import databases_on_disk

__all__ = ["LiveServer", "Serving"]

#: A test that leaves a socket open does not hold up the next one.
DRAIN_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a daemon serves a test.

    Attributes:
        host: The name or address on which it listens, and of its URLs.
        port: The port; a free one if 0.
        alias: The layer that it serves.
        threads: How many consumers and views it runs at a time.
        serve_static: Whether it serves the files of `django.contrib.staticfiles`.
        options: More options of ``twistd channels``.
    """

    host: str = "localhost"
    port: int = 0
    alias: str = DEFAULT_CHANNEL_LAYER
    threads: int = 1
    serve_static: bool = True
    options: Sequence[str] = ()

    def command_line(self) -> list[str]:
        """The options of ``twistd channels``."""
        return [
            f"--settings={MODULE}",
            f"--layer={self.alias}",
            f"--endpoint={_endpoint(self.host, self.port)}",
            f"--threads={self.threads}",
            f"--drain-timeout={DRAIN_SECONDS}",
            *self.options,
        ]


_DEFAULT = Serving()


class LiveServer:
    """A context in which a daemon serves the site, as the test sees it.

    Meanwhile the layer of the test's own process is the daemon's: what the test sends to a
    group reaches the sockets.

    Args:
        databases: The aliases of the databases that the daemon can use.
        serving: How it serves.
    """

    def __init__(self, databases: Collection[str], serving: Serving = _DEFAULT) -> None:
        self.serving = serving
        self._databases = databases
        self._exits = ExitStack()
        self._daemon: Daemon | None = None

    def __enter__(self) -> Self:
        alias = self.serving.alias
        with ExitStack() as exits:
            folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="txchannels-")))
            exits.enter_context(databases_on_disk(self._databases, folder))
            layer = self._make_layer(folder / "layer.sock")
            write_settings(
                folder,
                alias=alias,
                socket=folder / "layer.sock",
                host=self.serving.host,
                databases=self._databases,
                serve_static=self.serving.serve_static,
            )
            exits.callback(channel_layers.set, alias, channel_layers.set(alias, layer))
            path = os.pathsep.join([str(folder), *(part or "." for part in sys.path)])
            self._daemon = Daemon(self.serving.command_line(), {"PYTHONPATH": path}, Path.cwd())
            self._daemon.start()
            exits.callback(self._daemon.stop)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exits.close()

    def _make_layer(self, path: Path) -> ChannelLayerWrapper:
        """This process's view of the daemon's layer."""
        alias = self.serving.alias
        made = make_layer_for_tests(alias)  # says what is wrong with the alias
        entry = channel_layers.configs[alias]
        if is_in_memory(entry) or entry.get("TEST_CONFIG") is None:
            shared: Any = import_dotted(IPC_BACKEND)(path=path)
            return ChannelLayerWrapper(shared, alias, made.routing)
        layer = channel_layers.make_test_backend(alias)
        layer.flush()
        return layer

    @property
    def url(self) -> str:
        """The site's, without a slash at the end."""
        return f"http://{self._address}"

    @property
    def ws_url(self) -> str:
        """The same for WebSockets."""
        return f"ws://{self._address}"

    @property
    def log(self) -> str:
        """All that the daemon has printed."""
        return "" if self._daemon is None else self._daemon.log

    @property
    def _address(self) -> str:
        host = self.serving.host
        if ":" in host:
            host = f"[{host}]"
        return f"{host}:{0 if self._daemon is None else self._daemon.port}"


def _endpoint(host: str, port: int) -> str:
    """The endpoint of the first address of *host*, one of IPv4 if it has any."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    address = str(found[0][4][0]).replace(":", "\\:")
    return f"tcp:{port}:interface={address}"
