"""The hub's face for the reactor's thread: nothing here blocks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from zope.interface import implementer

from txchannels.layers.inbox import Batch, Inbox
from txchannels.layers.interfaces import Deliver, IReactorLayer, ISubscription, Message

if TYPE_CHECKING:
    from txchannels.layers.memory import Hub

__all__ = ["HubReactor"]


@implementer(IReactorLayer)
class HubReactor:
    """See `IReactorLayer`."""

    def __init__(
        self, hub: Hub, call_from_thread: Callable[[Callable[[], None]], object]
    ) -> None:
        self.hub = hub
        self._call_from_thread = call_from_thread
        self.send: Callable[[str, Message], None] = hub.send
        self.is_wanted = hub.is_wanted
        self.new_channel = hub.new_channel
        self.drop_channel = hub.drop_channel
        self.sweep = hub.sweep

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        self.hub.when_room(channel, lambda: self._call_from_thread(callback))

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> ISubscription:
        return self.hub.subscribe(channels, deliver)

    def open_inbox(self, prefix: str, deliver: Callable[[Batch], None]) -> Inbox:
        return self.hub.open_inbox(prefix, deliver, self._call_from_thread)
