"""The joined hub's face for the reactor's thread: what goes to Redis is taken now, sent soon.

A send cannot wait for the server's verdict. What then finds no room is tried again if it
was offered, and otherwise given up, which whoever waits for an answer is told
(`when_expired`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall

from txchannels.errors import ChannelFull
from txchannels.layers.reactor import CallFromThread, HubReactor
from txchannels.layers.redis.operations import FULL

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.layers.redis.hub import JoinedHub

__all__ = ["JoinedReactor"]

SPILL_SECONDS = 0.02
RETRY_SECONDS = 0.02


class JoinedReactor(HubReactor):
    """See `IReactorLayer`.

    Args:
        hub: The joined hub, with its links.
        call_from_thread: Runs a callable in the reactor's thread; callable from any.
        clock: The reactor.
    """

    def __init__(self, hub: JoinedHub, call_from_thread: CallFromThread, clock: Any) -> None:
        super().__init__(hub, call_from_thread, clock)
        self._joined = hub
        self._reactor = clock
        self.send = self._send
        self.offer = self._offer
        self.drop_channel = self._drop_channel
        self._spill = LoopingCall(hub.spill)
        self._spill.clock = clock

    def start(self) -> None:
        for link in self._joined.links:
            link.start()
        self._spill.start(SPILL_SECONDS, now=False)

    def stop(self) -> Deferred[Any]:
        if self._spill.running:
            self._spill.stop()
        return DeferredList([link.stop() for link in self._joined.links])

    def is_here(self, channel: str) -> bool:
        return self._joined.is_here(channel)

    def can_answer(self, prefix: str) -> bool:
        return self._joined.routes.to_inbox(prefix).is_up

    def drain(self) -> None:
        self._joined.drain()

    def when_gap(self, callback: Callable[[float, float], None]) -> None:
        self._joined.when_gap(callback)

    # Sending

    def _send(self, channel: str, message: Message) -> None:
        if self._joined.is_here(channel):
            self._joined.send(channel, message)
        elif not self._post(channel, message, is_patient=False):
            self._joined.book(channel, FULL)
            raise ChannelFull(f"Channel {channel} is full")

    def _offer(self, channel: str, message: Message) -> bool:
        if self._joined.is_here(channel):
            return self._joined.offer(channel, message)
        return self._post(channel, message, is_patient=True)

    def _post(self, channel: str, message: Message, *, is_patient: bool) -> bool:
        given_up = partial(self._joined.given_up, channel, message)
        return self._joined.outgoing.post(channel, message, given_up, is_patient=is_patient)

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        def told() -> None:
            self._call_from_thread(callback)

        outgoing = self._joined.outgoing
        if self._joined.is_here(channel):
            super().when_room(channel, callback)
        elif not outgoing.when_room(channel, told):
            # Crowded by others, perhaps: nobody tells when that is over.
            delay = RETRY_SECONDS if self._joined.is_crowded else 0.0
            self._reactor.callLater(delay, callback)

    def _drop_channel(self, channel: str) -> None:
        self._joined.drop_channel(channel)
        self._joined.outgoing.drop(channel)
