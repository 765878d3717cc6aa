"""Messages on their way to Redis that nobody waits for.

Each channel may have a bounded number of them. What the server has no room for goes again,
in order, until it expires; what cannot go is given up, and whoever sent it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from txchannels.errors import ChannelClosed, LayerError
from txchannels.layers.names import owner_of
from txchannels.layers.redis import operations
from txchannels.layers.redis.operations import CLOSED, FULL

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.layers.redis.hub import JoinedHub

__all__ = ["Outgoing"]

#: The most messages of one channel that are on their way.
MAX_ON_THEIR_WAY = 256

#: How long a verdict is believed that nobody owns a channel: its owner may only be asleep.
VERDICT_SECONDS = 2.0


class _Way:
    """What is on its way to one channel."""

    __slots__ = ("count", "waiting_for_room", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.count = 0
        self.waiting_for_room: list[Callable[[], None]] = []


class Outgoing:
    """See the module.

    Args:
        hub: The hub that the messages leave.

    Thread: any. What is called back is called in the reactor's thread, or in that of whoever
    drops a channel.
    """

    def __init__(self, hub: JoinedHub) -> None:
        self._hub = hub
        self._lock = Lock()
        self._ways: dict[str, _Way] = {}

    def post(
        self,
        channel: str,
        message: Message,
        failed: Callable[[int | LayerError], None],
        *,
        is_patient: bool = True,
    ) -> bool:
        """Send *message* to *channel*; False, and not booked, if too many are on their way.

        Args:
            failed: Told, later, that it was given up, and why.
            is_patient: Whether it goes again when there is no room.

        Raises: LayerError: It cannot be sent; booked.
        """
        hub = self._hub
        try:
            link = hub.link_for(channel)
            if not self._enter(channel, link.outbox.is_crowded):
                return False
            try:
                operation = hub.writer.message(channel, message, link.time)
                until = hub.seconds() + (hub.expiry_seconds if is_patient else 0.0)
                answered = partial(self._answered, channel, message, until, failed)
                has_line = is_patient or "?" in channel or "!" in channel
                link.submit(operation, answered, channel if has_line else None)
            except BaseException:
                self._leave(channel)
                raise
        except LayerError as error:
            hub.book(channel, error)
            raise
        return True

    def _enter(self, channel: str, is_crowded: bool) -> bool:
        with self._lock:
            way = self._ways.get(channel)
            if way is None:
                capacity = self._hub.capacity_of(owner_of(channel))
                way = self._ways[channel] = _Way(min(MAX_ON_THEIR_WAY, capacity))
            elif way.count >= way.window or (is_crowded and way.count):
                return False
            way.count += 1
        return True

    def _leave(self, channel: str) -> None:
        callbacks: list[Callable[[], None]] = []
        with self._lock:
            way = self._ways.get(channel)
            if way is None:
                return
            way.count -= 1
            if way.count <= way.window // 2:
                callbacks, way.waiting_for_room = way.waiting_for_room, []
            if not way.count:
                del self._ways[channel]
        for callback in callbacks:
            callback()

    def _answered(
        self,
        channel: str,
        message: Message,
        until: float,
        failed: Callable[[int | LayerError], None],
        outcome: int | LayerError,
    ) -> bool:
        """Returns: whether it is to go again."""
        if outcome == FULL and self._hub.seconds() < until and channel in self._ways:
            return True
        if outcome == CLOSED:
            self._hub.note_closed(channel, VERDICT_SECONDS)
            outcome = ChannelClosed(f"The client behind {channel} is gone")
        self._hub.book(channel, outcome)
        if outcome != 0:
            failed(outcome)
        self._leave(channel)
        return False

    def when_room(self, channel: str, callback: Callable[[], None]) -> bool:
        """Call *callback* once when there is room; returns whether there is none now."""
        with self._lock:
            way = self._ways.get(channel)
            if way is None or way.count < way.window:
                return False
            way.waiting_for_room.append(callback)
            return True

    def forget_room(self, channel: str, callback: Callable[[], None]) -> None:
        """Undo `when_room`, if *callback* has not been called yet."""
        with self._lock:
            way = self._ways.get(channel)
            if way is not None and callback in way.waiting_for_room:
                way.waiting_for_room.remove(callback)

    def drop(self, channel: str) -> None:
        """Let what is on its way, and what waits in Redis, be forgotten."""
        with self._lock:
            way = self._ways.pop(channel, None)
        if way is None:
            return
        try:
            link = self._hub.link_for(channel)
            link.submit(operations.drop_channel(channel), None, channel)
        except LayerError:
            pass
        for callback in way.waiting_for_room:
            callback()
