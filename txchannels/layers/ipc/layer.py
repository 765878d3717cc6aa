"""The layer of one host, as a backend of ``CHANNEL_LAYERS``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from re import Pattern
from typing import TYPE_CHECKING, Any

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.blocking import HubBlocking
from txchannels.layers.capacities import read_seconds, site_capacities
from txchannels.layers.hub import Hub
from txchannels.layers.interfaces import IBlockingLayer
from txchannels.layers.ipc.blocking import IPCBlocking
from txchannels.layers.ipc.places import module_place
from txchannels.layers.ipc.sockets import default_path, dial

if TYPE_CHECKING:
    from txchannels.layers.ipc.link import Link
    from txchannels.layers.ipc.reactor import IPCReactor
    from txchannels.layers.reactor import HubReactor

__all__ = ["AttachedLayer", "IPCLayer", "own_path"]


def own_path(place: str) -> str:
    """Where the socket of a layer without a path is: another for each site of a user.

    Args:
        place: Where the site's settings are; see `places.module_place`.
    """
    return default_path("channels", place)


class IPCLayer:
    """The channel layer of one host: one daemon's hub, and every program that connects to it.

    Args:
        path: The daemon's Unix socket; by itself, that of `own_path`, for the
            settings module of ``DJANGO_SETTINGS_MODULE``.
        expiry: Seconds after which an unread message is dropped.
        group_expiry: Seconds after which a channel that no socket owns leaves its groups.
        capacity: How many messages may wait in a channel.
        channel_capacity: The same by glob over channel names; the first match wins, and
            wins over `capacities.DEFAULT_CAPACITIES`.

    Raises: ConfigurationError: One of them cannot work.
    """

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] = "",
        expiry: float = 60.0,
        group_expiry: float = 86_400.0,
        capacity: int = 100,
        channel_capacity: Mapping[str | Pattern[str], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(path, os.PathLike):
            path = os.fspath(path)
        if not isinstance(path, str) or "\0" in path:
            raise ConfigurationError("CONFIG['path']", path, "must be the path of a Unix socket")
        self.path = path or own_path(_settings_place())
        self._make_hub = partial(
            Hub,
            capacities=site_capacities(capacity, channel_capacity),
            expiry=read_seconds("expiry", expiry),
            group_expiry=read_seconds("group_expiry", group_expiry),
            clock=clock,
        )
        self.blocking: IBlockingLayer = IPCBlocking(partial(dial, self.path), group_expiry)

    def serve(
        self, call_from_thread: Callable[[Callable[[], None]], object], clock: Any = None
    ) -> HubReactor:
        """Be the daemon: the hub is here from now on, for whoever serves it at `path`.

        Args:
            clock: The reactor whose ``callFromThread`` is given.
        """
        from txchannels.layers.reactor import HubReactor

        hub = self._make_hub()
        self.blocking = HubBlocking(hub)
        return HubReactor(hub, call_from_thread, clock)

    def reactor(
        self, call_from_thread: Callable[[Callable[[], None]], object], clock: Any = None
    ) -> IPCReactor:
        """The face for a reactor of a program that is not the daemon.

        Args:
            clock: The reactor whose ``callFromThread`` is given.
        """
        from txchannels.layers.ipc.reactor import IPCReactor

        assert isinstance(self.blocking, IPCBlocking)
        return IPCReactor(self.blocking, call_from_thread, clock)

    def check(self) -> list[str]:
        """The daemon's path; whether it answers shows where it is used."""
        return [self.path]

    def __str__(self) -> str:
        return f"IPCLayer({self.path})"


def _settings_place() -> str:
    """Where this program's settings are; empty where they are in no module."""
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    return module_place(module) if module else ""


class AttachedLayer:
    """The layer of a worker process: its daemon's hub, over the connection it was started with.

    Args:
        link: That connection.
        group_expiry: As of the hub.
        path: The daemon's Unix socket: for what a consumer forks, which must not use the link.
    """

    def __init__(self, link: Link, group_expiry: float, path: str) -> None:
        self._link = link
        self._path = path
        self._process_id = os.getpid()
        self.blocking = IPCBlocking(self._connect, group_expiry)

    def _connect(self) -> Link:
        if os.getpid() == self._process_id:
            if not self._link.is_open:
                raise LayerUnavailable("The daemon is gone")
            return self._link
        if not self._path:
            raise LayerUnavailable(
                "A process that a consumer has forked cannot send: its daemon has no socket of "
                "its own; give it one with --socket"
            )
        return dial(self._path)

    def __str__(self) -> str:
        return "AttachedLayer()"
