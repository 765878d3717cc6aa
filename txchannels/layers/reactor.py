"""The hub's face for the reactor's thread: nothing here blocks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from txchannels.layers.inbox import Batch, Inbox
from txchannels.layers.interfaces import Deliver, IReactorLayer, ISubscription, Message
from txchannels.layers.names import check_channels

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from txchannels.layers.hub import Hub

__all__ = ["HubReactor", "Receiver"]

RECEIVE_SECONDS = 5.0

Received = tuple[str, Message] | tuple[None, None]
CallFromThread = Callable[[Callable[[], None]], object]


@implementer(IReactorLayer)
class HubReactor:
    """See `IReactorLayer`.

    Args:
        hub: Where the channels are.
        call_from_thread: Runs a callable in the reactor's thread; callable from any.
        clock: The reactor's time; without it there is no `receive_twisted`.
    """

    def __init__(
        self, hub: Hub, call_from_thread: CallFromThread, clock: IReactorTime | None = None
    ) -> None:
        self.hub = hub
        self.extensions = [] if clock is None else ["twisted"]
        self._call_from_thread = call_from_thread
        self._clock = clock
        self.send: Callable[[str, Message], None] = hub.send
        self.offer: Callable[[str, Message], bool] = hub.offer
        self.is_wanted = hub.is_wanted
        self.new_channel = hub.new_channel
        self.drop_channel: Callable[[str], None] = hub.drop_channel
        self.sweep = hub.sweep

    def start(self) -> None:
        """Nothing to begin: the hub is this process's own."""

    def stop(self) -> Deferred[None]:
        """Nothing to end."""
        return succeed(None)

    def is_here(self, channel: str) -> bool:
        """Always: the hub reaches no other process."""
        return True

    def can_answer(self, prefix: str) -> bool:
        """Always: nothing is between the hub and those who answer."""
        return True

    def drain(self) -> None:
        """Nothing to do: no message comes from other hosts."""

    def when_gap(self, callback: Callable[[float, float], None]) -> None:
        """Nothing to do: no message of the hub's own process is ever missed."""

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        def room_made() -> None:
            self._call_from_thread(callback)

        self.hub.when_room(channel, room_made)

    def when_expired(self, callback: Callable[[str, Message], None]) -> None:
        def expired(channel: str, message: Message) -> None:
            self._call_from_thread(partial(callback, channel, message))

        self.hub.when_expired(expired)

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> ISubscription:
        return self.hub.subscribe(channels, deliver)

    def open_inbox(self, prefix: str, deliver: Callable[[Batch], None]) -> Inbox:
        return self.hub.open_inbox(prefix, deliver, self._call_from_thread)

    def receive_twisted(self, channels: Sequence[str]) -> Deferred[Received]:
        if self._clock is None:
            raise RuntimeError("receive_twisted needs the reactor's clock: reactor(..., clock)")
        names = check_channels(channels)
        taken = self.hub.take(names)  # starts with any of them, so that none starves
        if taken is not None:
            return succeed(taken)
        receiver = Receiver(self._call_from_thread)
        receiver.start(self.hub.subscribe(names, receiver.deliver), self._clock)
        return receiver.received


class Receiver:
    """Waits for one message, in bounded time."""

    def __init__(self, call_from_thread: CallFromThread) -> None:
        self._call_from_thread = call_from_thread
        self._handed: tuple[str, Message] | None = None
        self.received: Deferred[Received] = Deferred(self._cancelled)

    def start(self, subscription: ISubscription, clock: IReactorTime) -> None:
        self._subscription = subscription
        self._timeout = clock.callLater(RECEIVE_SECONDS, self._timed_out)
        subscription.request(1)

    def deliver(self, channel: str, message: Message) -> None:
        """Take the message. Thread: whoever's; the hub's lock is held."""
        self._handed = (channel, message)
        self._call_from_thread(self._fire)

    def _timed_out(self) -> None:
        # A message that has been handed over is on its way through call_from_thread.
        if self._subscription.cancel():
            self.received.callback((None, None))

    def _cancelled(self, received: Deferred[Received]) -> None:
        if self._timeout.active():
            self._timeout.cancel()
        if not self._subscription.cancel() and self._handed is not None:
            received.callback(self._handed)

    def _fire(self) -> None:
        if self.received.called or self._handed is None:
            return
        if self._timeout.active():
            self._timeout.cancel()
        self._subscription.cancel()
        self.received.callback(self._handed)
