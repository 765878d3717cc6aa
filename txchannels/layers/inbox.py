"""From any thread to the reactor's, in batches: the channels that one owner reads.

Whoever sends first wakes the reactor; all that is sent until the reactor has come
costs no further wake-up. Each owned channel has a bound of messages on their way.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from zope.interface import implementer

from txchannels.errors import ChannelClosed
from txchannels.layers.accounts import CLOSED, FULL, Account
from txchannels.layers.interfaces import IInbox, Message, Targets

if TYPE_CHECKING:
    from txchannels.layers.hub import Hub

__all__ = ["Batch", "Inbox"]

Batch = list[tuple[Targets, Message]]

#: Group sends on their way to the reactor, after which further ones are dropped.
MAX_GROUP_SENDS = 1000


@implementer(IInbox)
class Inbox:
    """See `IInbox`.

    Args:
        hub: Where the channels' group memberships are kept.
        prefix: The common start of the channels; ends in ``!``.
        capacity: How many messages may be on their way to one channel.
        deliver: Takes a batch. Thread: the reactor's.
        call_from_thread: Runs a callable in the reactor's thread; callable from any.
    """

    def __init__(
        self,
        hub: Hub,
        prefix: str,
        *,
        capacity: int,
        deliver: Callable[[Batch], None],
        call_from_thread: Callable[[Callable[[], None]], object],
    ) -> None:
        self.prefix = prefix
        self._hub = hub
        self._capacity = capacity
        self._account = Account()
        self._deliver = deliver
        self._call_from_thread = call_from_thread
        self._lock = Lock()
        self._on_their_way: dict[str, int] = {}
        self._paused: set[str] = set()
        self._waiting_for_room: dict[str, list[Callable[[], None]]] = {}
        self._batch: Batch = []
        self._group_sends = 0
        self._is_woken = False

    def __contains__(self, channel: str) -> bool:
        return channel in self._on_their_way

    def __len__(self) -> int:
        return len(self._on_their_way)

    def open(self, local: str) -> str:
        channel = self.prefix + local
        self._on_their_way[channel] = 0
        return channel

    def close(self, channel: str) -> None:
        with self._lock:
            self._on_their_way.pop(channel, None)
            self._paused.discard(channel)
            callbacks = self._waiting_for_room.pop(channel, ())
        self._hub.leave_all(channel)
        for callback in callbacks:
            callback()

    def close_all(self) -> None:
        """Close every channel. Thread: the reactor's."""
        for channel in list(self._on_their_way):
            self.close(channel)

    def leave_groups(self, channel: str) -> None:
        self._hub.leave_all(channel)

    def pause(self, channel: str) -> None:
        with self._lock:
            if channel in self._on_their_way:
                self._paused.add(channel)

    def resume(self, channel: str) -> None:
        with self._lock:
            self._paused.discard(channel)
            callbacks = self._waiting_for_room.pop(channel, ())
        for callback in callbacks:
            callback()

    def offer(self, channel: str, message: Message) -> bool:
        """Take a message for one owned channel; False when it has no room (and is not booked).

        Raises: ChannelClosed: The channel has no owner any more; booked as dropped.
        Thread: any.
        """
        with self._lock:
            count = self._on_their_way.get(channel)
            if count is None:
                self._account.sent += 1
                self._account.dropped[CLOSED] += 1
                raise ChannelClosed(f"The client behind {channel} is gone")
            if count >= self._capacity or channel in self._paused:
                return False
            self._account.sent += 1
            self._on_their_way[channel] = count + 1
            self._batch.append((channel, message))
            wake, self._is_woken = not self._is_woken, True
        if wake:
            self._call_from_thread(self._drain)
        return True

    def accept(self, channel: str, message: Message) -> bool:
        """Take a message that another hub had room for; False when *channel* is closed.

        Thread: any.
        """
        with self._lock:
            self._account.arrived += 1
            count = self._on_their_way.get(channel)
            if count is None:
                self._account.dropped[CLOSED] += 1
                return False
            self._on_their_way[channel] = count + 1
            self._batch.append((channel, message))
            wake, self._is_woken = not self._is_woken, True
        if wake:
            self._call_from_thread(self._drain)
        return True

    def put_group(self, channels: tuple[str, ...], message: Message) -> int:
        """Take one message for many channels; returns how many of them could not have it.

        Thread: any.
        """
        with self._lock:
            self._account.sent += len(channels)
            if self._group_sends >= MAX_GROUP_SENDS:
                self._account.dropped[FULL] += len(channels)
                return len(channels)
            self._group_sends += 1
            self._batch.append((channels, message))
            wake, self._is_woken = not self._is_woken, True
        if wake:
            self._call_from_thread(self._drain)
        return 0

    def book_full(self) -> None:
        """Count a message that was given up because there was no room. Thread: any."""
        with self._lock:
            self._account.sent += 1
            self._account.dropped[FULL] += 1

    def read_account(self) -> Account:
        """A copy of the books of all its channels. Thread: any."""
        with self._lock:
            return self._account.copy()

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        """Call *callback* once when `offer` may succeed, or is known to fail for good.

        Thread: any.
        """
        with self._lock:
            count = self._on_their_way.get(channel)
            if count is not None and (count >= self._capacity or channel in self._paused):
                self._waiting_for_room.setdefault(channel, []).append(callback)
                return
        callback()

    def forget_room(self, channel: str, callback: Callable[[], None]) -> None:
        """Undo `when_room`, if *callback* has not been called yet. Thread: any."""
        with self._lock:
            callbacks = self._waiting_for_room.get(channel, [])
            if callback in callbacks:
                callbacks.remove(callback)
                if not callbacks:
                    del self._waiting_for_room[channel]

    def _drain(self) -> None:
        """Hand over all that has come. Thread: the reactor's."""
        with self._lock:
            batch, self._batch = self._batch, []
            self._is_woken = False
            self._group_sends = 0
            on_their_way = self._on_their_way
            delivered = closed = 0
            for channels, _ in batch:
                if type(channels) is str:
                    if channels in on_their_way:
                        on_their_way[channels] = 0
                        delivered += 1
                    else:
                        closed += 1
                else:
                    delivered += len(channels)
            self._account.delivered += delivered
            if closed:
                self._account.dropped[CLOSED] += closed
                batch = [one for one in batch if type(one[0]) is not str or one[0] in on_their_way]
            callbacks = self._callbacks_with_room() if self._waiting_for_room else ()
        try:
            if batch:
                self._deliver(batch)
        finally:
            for callback in callbacks:
                callback()

    def _callbacks_with_room(self) -> list[Callable[[], None]]:
        ready = [one for one in self._waiting_for_room if one not in self._paused]
        return [callback for one in ready for callback in self._waiting_for_room.pop(one)]
