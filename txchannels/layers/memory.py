"""The channel layer of one process: the hub itself, as a backend of ``CHANNEL_LAYERS``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from re import Pattern
from typing import TYPE_CHECKING

from txchannels.layers.blocking import HubBlocking
from txchannels.layers.capacities import read_seconds, site_capacities
from txchannels.layers.hub import Hub

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from txchannels.layers.reactor import HubReactor

__all__ = ["MemoryLayer"]


class MemoryLayer:
    """The channel layer of one process: the default, and right for one daemon with threads.

    Args:
        expiry: Seconds after which an unread message is dropped.
        group_expiry: Seconds after which a channel that no socket owns leaves its groups.
        capacity: How many messages may wait in a channel.
        channel_capacity: The same by glob over channel names; the first match wins, and
            wins over `capacities.DEFAULT_CAPACITIES`.

    Raises: ConfigurationError: One of them is out of range.
    """

    def __init__(
        self,
        *,
        expiry: float = 60.0,
        group_expiry: float = 86_400.0,
        capacity: int = 100,
        channel_capacity: Mapping[str | Pattern[str], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hub = Hub(
            capacities=site_capacities(capacity, channel_capacity),
            expiry=read_seconds("expiry", expiry),
            group_expiry=read_seconds("group_expiry", group_expiry),
            clock=clock,
        )
        self.blocking = HubBlocking(self.hub)

    def reactor(
        self,
        call_from_thread: Callable[[Callable[[], None]], object],
        clock: IReactorTime | None = None,
    ) -> HubReactor:
        """The face for the reactor whose ``callFromThread`` is given.

        Args:
            clock: That reactor's time; `HubReactor.receive_twisted` needs it.
        """
        # A program that is not the daemon needs no Twisted.
        from txchannels.layers.reactor import HubReactor

        return HubReactor(self.hub, call_from_thread, clock)

    def __str__(self) -> str:
        return "MemoryLayer()"
