"""A site, a reactor and a layer for the tests of services."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txchannels.django.bootstrap import LoadedSite
from txchannels.layers.memory import MemoryLayer

__all__ = ["Layer", "Reactor", "site_of"]


class Reactor(Clock):
    """Time that passes when it is told to; what is called later is called at the next turn."""

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        self.callLater(0, call, *arguments)

    def callWhenRunning(self, call: Any, *arguments: Any, **more: Any) -> None:
        self.callLater(0, call, *arguments, **more)


class Layer:
    """The reactor's face of a layer, as far as its life goes.

    Attributes:
        happened: What was asked of it, in order; `gap` is what tells of one.
        ended: What `stop` returns.
    """

    def __init__(self, start: Exception | None = None, offer: Any = True) -> None:
        self.happened: list[Any] = []
        self.ended: Deferred[None] = Deferred()
        self._start = start
        self._offer = offer

    def start(self) -> None:
        self.happened.append("start")
        if self._start:
            raise self._start

    def stop(self) -> Deferred[None]:
        self.happened.append("stop")
        return self.ended

    def sweep(self) -> None:
        self.happened.append("sweep")

    def when_gap(self, callback: Any) -> None:
        self.gap = callback

    def offer(self, channel: str, message: Any) -> bool:
        self.happened.append((channel, message))
        if isinstance(self._offer, Exception):
            raise self._offer
        return bool(self._offer)


def site_of(
    run: Any = lambda channel, message: None,
    ready: Any = lambda: None,
    channels: set[str] | frozenset[str] = frozenset({"a"}),
    *,
    is_local: bool = True,
    layer_joined: Any = lambda: None,
) -> LoadedSite:
    """A site that is loaded; its layer is one in memory."""
    return LoadedSite(
        settings_module="conf",
        layer=MemoryLayer(),
        layer_name="default (a layer)",
        is_local=is_local,
        layer_joined=layer_joined,
        run=run,
        channels=frozenset(channels),
        thread_ended=lambda: None,
        ready=ready,
        is_host_allowed=lambda host: True,
    )
