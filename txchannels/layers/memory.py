"""The hub: channels and groups in the memory of one process.

A message for which a reader has asked is handed over at once, in the sender's thread;
any other waits in its channel, bounded and expiring. Every message is booked.

Rules: at most once; per sender and channel in order; a send waits for nobody.
Source: ASGI draft version 1; DESIGN rules in ``docs/architecture.md``.
"""

from __future__ import annotations

import random
import string
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from re import Pattern
from threading import Lock

from zope.interface import implementer

from txchannels.errors import ChannelFull
from txchannels.layers.accounts import EXPIRED, FLUSHED, FULL, Account, Accounts
from txchannels.layers.blocking import HubBlocking
from txchannels.layers.capacities import Capacities
from txchannels.layers.groups import Groups
from txchannels.layers.inbox import Batch, Inbox
from txchannels.layers.interfaces import Deliver, ISubscription, Message
from txchannels.layers.names import check_channel, owner_of
from txchannels.layers.reactor import HubReactor
from txchannels.messages import copy_message

__all__ = ["DEFAULT_CAPACITIES", "Hub", "MemoryLayer"]

#: Capacities of the protocol servers' channels, after what the site's CONFIG names.
DEFAULT_CAPACITIES: dict[str | Pattern[str], int] = {
    "http.request.body?*": 16,
    "http.*": 1000,
    "websocket.*": 10_000,
}

RANDOM_LETTERS = 12


class _Queue:
    """One channel: what waits in it, and who reads it."""

    __slots__ = ("account", "capacity", "name", "readers", "waiting", "waiting_for_room")

    def __init__(self, name: str, capacity: int, account: Account) -> None:
        self.name = name
        self.capacity = capacity
        self.account = account
        self.waiting: deque[tuple[float, str, Message]] = deque()
        self.readers: list[_Subscription] = []
        self.waiting_for_room: list[Callable[[], None]] = []

    def ready_reader(self) -> _Subscription | None:
        """The reader that has asked for most; None when none has asked."""
        readers = self.readers
        if len(readers) == 1:
            reader = readers[0]
        elif readers:
            reader = max(readers, key=_requested)
        else:
            return None
        return reader if reader.requested > 0 else None


@implementer(ISubscription)
class _Subscription:
    """See `ISubscription`."""

    __slots__ = ("_hub", "_turn", "deliver", "queues", "requested")

    def __init__(self, hub: Hub, queues: list[_Queue], deliver: Deliver) -> None:
        self._hub = hub
        self._turn = 0
        self.queues = queues
        self.deliver = deliver
        self.requested = 0

    def request(self, count: int) -> None:
        self._hub.request(self, count)

    def cancel(self) -> int:
        return self._hub.cancel(self)

    def take_turns(self) -> Iterable[_Queue]:
        """The queues, each time starting with another: a busy one must not starve the rest."""
        self._turn = turn = (self._turn + 1) % len(self.queues)
        return chain(self.queues[turn:], self.queues[:turn])


class Hub:
    """Channels and groups of one process.

    Args:
        capacities: How many messages may wait in which channel.
        expiry: Seconds after which an unread message is dropped.
        group_expiry: Seconds after which an unowned channel leaves its groups.
        clock: The time in seconds; only differences count.

    Thread: any, for every method.
    """

    def __init__(
        self,
        *,
        capacities: Capacities,
        expiry: float,
        group_expiry: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.group_expiry = group_expiry
        self._capacities = capacities
        self._expiry = expiry
        self._clock = clock
        self._lock = Lock()
        self._queues: dict[str, _Queue] = {}
        self._inboxes: dict[str, Inbox] = {}
        self._accounts = Accounts()
        self._groups = Groups(group_expiry, clock)
        self._waiting = 0

    # Sending

    def send(self, channel: str, message: Message) -> None:
        """Hand *message* over; the caller gives it up.

        Raises: ChannelFull: Booked as dropped. ChannelClosed: As `Inbox.offer`.
        """
        if not self.offer(channel, message):
            self.book_full(channel)
            raise ChannelFull(f"Channel {channel} is full")

    def offer(self, channel: str, message: Message) -> bool:
        """Take *message* if there is room; False, and not booked, if there is none."""
        mark = channel.find("!")
        if mark >= 0:
            inbox = self._inboxes.get(channel[: mark + 1])
            if inbox is not None:
                return inbox.offer(channel, message)
        with self._lock:
            queue = self._queues.get(channel)
            if queue is None:
                queue = self._open_queue(owner_of(channel))
            reader = queue.ready_reader()
            if reader is None:
                return self._wait(queue, channel, message)
            reader.requested -= 1
            queue.account.sent += 1
            queue.account.delivered += 1
            reader.deliver(channel, message)
        return True

    def book_full(self, channel: str) -> None:
        """Count a message that was given up because *channel* had no room."""
        with self._lock:
            account = self._accounts.open(channel)
            account.sent += 1
            account.dropped[FULL] += 1

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        """Call *callback* once when `offer` may succeed; in whatever thread makes the room."""
        inbox = self._inboxes.get(owner_of(channel))
        if inbox is not None:
            inbox.when_room(channel, callback)
            return
        with self._lock:
            queue = self._queues.get(owner_of(channel))
            if queue is not None and len(queue.waiting) >= queue.capacity:
                queue.waiting_for_room.append(callback)
                return
        callback()

    def send_group(self, group: str, message: Message) -> int:
        """Hand *message* over for every member; returns how many had no room for it."""
        with self._lock:
            owned = list(self._groups.snapshots(group))
            unowned = self._groups.unowned(group)
        full = 0
        for inbox, channels in owned:
            full += inbox.put_group(channels, message)
        for channel in unowned:
            if not self.offer(channel, copy_message(message)):
                self.book_full(channel)
                full += 1
        return full

    # Reading

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> _Subscription:
        """Read *channels*: see `IReactorLayer.subscribe`. *deliver* must not call the hub."""
        if not channels:
            raise ValueError("A subscription needs at least one channel")
        with self._lock:
            queues = [self._open_queue(check_channel(name, receive=True)) for name in channels]
            subscription = _Subscription(self, queues, deliver)
            for queue in queues:
                queue.readers.append(subscription)
        return subscription

    def request(self, subscription: _Subscription, count: int) -> None:
        """See `ISubscription.request`."""
        with self._lock:
            subscription.requested += count
            if not self._waiting:
                return
            for queue in subscription.take_turns():
                while subscription.requested > 0 and queue.waiting:
                    taken = self._take(queue)
                    if taken is None:
                        break
                    subscription.requested -= 1
                    subscription.deliver(*taken)

    def cancel(self, subscription: _Subscription) -> int:
        """See `ISubscription.cancel`."""
        with self._lock:
            for queue in subscription.queues:
                if subscription in queue.readers:
                    queue.readers.remove(subscription)
            left, subscription.requested = subscription.requested, 0
            return left

    def take(self, channels: Collection[str]) -> tuple[str, Message] | None:
        """One message that waits in any of *channels*."""
        names = list(channels)
        random.shuffle(names)
        with self._lock:
            for name in names:
                queue = self._queues.get(name)
                if queue is not None and queue.waiting:
                    taken = self._take(queue)
                    if taken is not None:
                        return taken
        return None

    def is_wanted(self, channel: str) -> bool:
        """Whether anybody subscribes to *channel*."""
        queue = self._queues.get(channel)
        return queue is not None and bool(queue.readers)

    def new_channel(self, pattern: str) -> str:
        """A name of a single-reader channel that is not in use."""
        if not isinstance(pattern, str) or not pattern.endswith("?"):
            raise TypeError(f"A new channel's pattern must end in '?': {pattern!r}")
        while True:
            name = pattern + "".join(random.choices(string.ascii_letters, k=RANDOM_LETTERS))
            if check_channel(name) not in self._queues:
                return name

    def drop_channel(self, channel: str) -> None:
        """Forget a channel and what waits in it."""
        with self._lock:
            queue = self._queues.pop(channel, None)
            if queue is not None:
                self._drop(queue, FLUSHED)
                callbacks, queue.waiting_for_room = queue.waiting_for_room, []
                for callback in callbacks:
                    callback()

    def open_inbox(
        self,
        prefix: str,
        deliver: Callable[[Batch], None],
        call_from_thread: Callable[[Callable[[], None]], object],
    ) -> Inbox:
        """Own a prefix: see `IReactorLayer.open_inbox`."""
        with self._lock:
            if prefix in self._inboxes:
                raise ValueError(f"The prefix {prefix} has an owner already")
            inbox = self._inboxes[prefix] = Inbox(
                self,
                prefix,
                capacity=self._capacities.of(prefix),
                account=self._accounts.open(prefix),
                deliver=deliver,
                call_from_thread=call_from_thread,
            )
        return inbox

    # Groups

    def group_add(self, group: str, channel: str) -> None:
        """Make *channel* a member, unless its owner is known to be gone."""
        inbox = self._inboxes.get(owner_of(channel))
        with self._lock:
            if inbox is None or channel in inbox:
                self._groups.add(group, channel, inbox)

    def group_discard(self, group: str, channel: str) -> None:
        """End the membership, if there is one."""
        with self._lock:
            self._groups.discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        """The members now."""
        with self._lock:
            return self._groups.members(group)

    def leave_all(self, channel: str) -> None:
        """End every membership of *channel*."""
        with self._lock:
            self._groups.leave_all(channel)

    # The rest

    def flush(self) -> None:
        """Forget all waiting messages and all groups."""
        with self._lock:
            for queue in self._queues.values():
                self._drop(queue, FLUSHED)
                self._tell_of_room(queue)
            self._groups.clear()

    def sweep(self) -> None:
        """Drop what has expired, and forget the channels that are empty and unread."""
        with self._lock:
            for name, queue in list(self._queues.items()):
                self._drop_expired(queue)
                if not queue.waiting and not queue.readers and not queue.waiting_for_room:
                    del self._queues[name]
            self._groups.sweep()

    def accounts(self) -> dict[str, Account]:
        """What became of every message, by channel (families of channels: `accounts.family_of`)."""
        with self._lock:
            return self._accounts.read()

    def statistics(self, channel: str | None = None) -> dict[str, float]:
        """Counts in ASGI's words, of one channel or of all."""
        with self._lock:
            account = self._accounts.total() if channel is None else self._accounts.open(channel)
            names = self._queues if channel is None else (owner_of(channel),)
            queues = [self._queues[name] for name in names if name in self._queues]
            oldest = min((q.waiting[0][0] for q in queues if q.waiting), default=None)
            return {
                "messages_count": account.sent - account.dropped[FULL],
                "messages_pending": sum(len(queue.waiting) for queue in queues),
                "messages_max_age": 0 if oldest is None else self._expiry - oldest + self._clock(),
                "channel_full_count": account.dropped[FULL],
            }

    # With the lock held

    def _open_queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            queue = _Queue(name, self._capacities.of(name), self._accounts.open(name))
            self._queues[name] = queue
        return queue

    def _wait(self, queue: _Queue, channel: str, message: Message) -> bool:
        if len(queue.waiting) >= queue.capacity:
            self._drop_expired(queue)
            if len(queue.waiting) >= queue.capacity:
                return False
        queue.waiting.append((self._clock() + self._expiry, channel, message))
        queue.account.sent += 1
        self._waiting += 1
        return True

    def _take(self, queue: _Queue) -> tuple[str, Message] | None:
        self._drop_expired(queue)
        if not queue.waiting:
            return None
        _, channel, message = queue.waiting.popleft()
        self._waiting -= 1
        queue.account.delivered += 1
        if queue.waiting_for_room:
            self._tell_of_room(queue)
        return channel, message

    def _drop_expired(self, queue: _Queue) -> None:
        now = self._clock()
        waiting = queue.waiting
        while waiting and waiting[0][0] <= now:
            _, channel, _ = waiting.popleft()
            self._waiting -= 1
            queue.account.dropped[EXPIRED] += 1
            self._groups.leave_all(channel)
        if queue.waiting_for_room and len(waiting) < queue.capacity:
            self._tell_of_room(queue)

    def _drop(self, queue: _Queue, reason: str) -> None:
        queue.account.dropped[reason] += len(queue.waiting)
        self._waiting -= len(queue.waiting)
        queue.waiting.clear()

    def _tell_of_room(self, queue: _Queue) -> None:
        if len(queue.waiting) <= queue.capacity // 2:
            callbacks, queue.waiting_for_room = queue.waiting_for_room, []
            for callback in callbacks:
                callback()


def _requested(subscription: _Subscription) -> int:
    return subscription.requested


class MemoryLayer:
    """The channel layer of one process: the default, and right for one daemon with threads.

    Args:
        expiry: Seconds after which an unread message is dropped.
        group_expiry: Seconds after which a channel that no socket owns leaves its groups.
        capacity: How many messages may wait in a channel.
        channel_capacity: The same by glob over channel names; the first match wins, and
            wins over `DEFAULT_CAPACITIES`.
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
        by_channel = {**(channel_capacity or {})}
        for pattern, value in DEFAULT_CAPACITIES.items():
            by_channel.setdefault(pattern, value)
        self.hub = Hub(
            capacities=Capacities(capacity, by_channel),
            expiry=expiry,
            group_expiry=group_expiry,
            clock=clock,
        )
        self.blocking = HubBlocking(self.hub)

    def reactor(self, call_from_thread: Callable[[Callable[[], None]], object]) -> HubReactor:
        """The face for the reactor whose ``callFromThread`` is given."""
        return HubReactor(self.hub, call_from_thread)

    def __str__(self) -> str:
        return "MemoryLayer()"
