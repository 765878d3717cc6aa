"""The hub: channels and groups in the memory of one process.

A message for which a reader has asked is handed over at once, in the sender's thread;
any other waits in its channel, bounded and expiring. Every message is booked.

Rules: at most once; per sender and channel in order; a send waits for nobody. What is
called with the lock held (a reader's *deliver*, whoever waits for room) must not call the
hub. An inbox has a lock of its own, which may be taken after the hub's, never before.
Source: ASGI draft version 1; DESIGN rules in ``docs/architecture.md``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from threading import Lock

from txchannels.errors import ChannelClosed, ChannelFull
from txchannels.layers.accounts import FULL, REFUSED, UNAVAILABLE, Account, Accounts
from txchannels.layers.capacities import Capacities
from txchannels.layers.groups import Groups
from txchannels.layers.inbox import Batch, Inbox
from txchannels.layers.interfaces import Deliver, Message
from txchannels.layers.names import check_channel, make_name, owner_of
from txchannels.layers.queues import Queues, Subscription
from txchannels.messages import copy_message

__all__ = ["Hub"]


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
        self._lock = Lock()
        self._inboxes: dict[str, Inbox] = {}
        self._accounts = Accounts()
        self._groups = Groups(group_expiry, clock)
        self._queues = Queues(
            capacities,
            expiry,
            clock=clock,
            accounts=self._accounts,
            message_expired=self._message_expired,
        )
        self._expiry_watchers: list[Callable[[str, Message], None]] = []
        self._by_name = self._queues.by_name
        self._make_inbox: type[Inbox] = Inbox

    def when_expired(self, callback: Callable[[str, Message], None]) -> None:
        """Call *callback*, which must not call the hub, with each message that expires unread."""
        self._expiry_watchers.append(callback)

    def _message_expired(self, channel: str, message: Message) -> None:
        self._groups.leave_all(channel)
        for callback in self._expiry_watchers:
            callback(channel, message)

    def send(self, channel: str, message: Message) -> None:
        """Hand *message* over; the caller gives it up.

        Raises: ChannelFull: Booked as dropped. ChannelClosed: As `Inbox.offer`.
        """
        if not self.offer(channel, message):
            self.book_full(channel)
            raise ChannelFull(f"Channel {channel} is full")

    def offer(self, channel: str, message: Message) -> bool:
        """Take *message* if there is room; False, and not booked, if there is none.

        Raises: ChannelClosed: As `Inbox.offer`.
        """
        mark = channel.find("!")
        if mark >= 0:
            inbox = self._inboxes.get(channel[: mark + 1])
            if inbox is not None:
                return inbox.offer(channel, message)
        with self._lock:
            queue = self._by_name.get(channel)
            if queue is None:
                queue = self._queues.open(owner_of(channel))
            reader = queue.ready_reader()
            if reader is None:
                return self._queues.put(queue, channel, message)
            reader.requested -= 1
            queue.account.sent += 1
            queue.account.delivered += 1
            reader.deliver(channel, message)
        return True

    def book_full(self, channel: str) -> None:
        """Count a message that was given up because *channel* had no room."""
        inbox = self._inboxes.get(owner_of(channel))
        if inbox is not None:
            inbox.book_full()
            return
        with self._lock:
            account = self._accounts.open(channel)
            account.sent += 1
            account.dropped[FULL] += 1

    def take_back(self, messages: Sequence[tuple[str, Message]]) -> None:
        """Undo the delivery of messages that their reader has not begun: they are the next again.

        Args:
            messages: (Channel, message) in the order in which they were delivered.
        """
        with self._lock:
            queues = {}
            for channel, message in reversed(messages):
                queue = self._queues.open(owner_of(channel))
                queues[queue.name] = queue
                queue.account.delivered -= 1
                self._queues.put_first(queue, channel, message)
            for queue in queues.values():
                while queue.waiting and (reader := queue.ready_reader()) is not None:
                    self._queues.hand_over(reader)

    def book_lost(self, channel: str) -> None:
        """Count a message that was delivered, and died with whoever was running it."""
        with self._lock:
            account = self._accounts.open(channel)
            account.delivered -= 1
            account.lost += 1

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        """Call *callback* once when `offer` may succeed; in whatever thread makes the room."""
        name = owner_of(channel)
        inbox = self._inboxes.get(name)
        if inbox is not None:
            inbox.when_room(channel, callback)
            return
        with self._lock:
            queue = self._by_name.get(name)
            if queue is not None and len(queue.waiting) >= queue.capacity:
                queue.waiting_for_room.append(callback)
                return
        callback()

    def forget_room(self, channel: str, callback: Callable[[], None]) -> None:
        """Undo `when_room`, if *callback* has not been called yet."""
        name = owner_of(channel)
        inbox = self._inboxes.get(name)
        if inbox is not None:
            inbox.forget_room(channel, callback)
            return
        with self._lock:
            queue = self._by_name.get(name)
            if queue is not None and callback in queue.waiting_for_room:
                queue.waiting_for_room.remove(callback)

    def send_group(self, group: str, message: Message) -> int:
        """Hand *message* over for every member; returns how many had no room for it."""
        with self._lock:
            owned = list(self._groups.snapshots(group))
            unowned = self._groups.unowned(group)
        full = 0
        for inbox, channels in owned:
            full += inbox.put_group(channels, message)
        for channel in unowned:
            try:
                if not self.offer(channel, copy_message(message)):
                    self.book_full(channel)
                    full += 1
            except ChannelClosed:
                self.leave_all(channel)
        return full

    # Reading

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> Subscription:
        """Read *channels*: see `IReactorLayer.subscribe`. *deliver* must not call the hub."""
        names = dict.fromkeys(check_channel(name, receive=True) for name in channels)
        if not names:
            raise ValueError("A subscription needs at least one channel")
        with self._lock:
            queues = [self._queues.open(name) for name in names]
            subscription = Subscription(self, queues, deliver)
            for queue in queues:
                queue.readers.append(subscription)
        return subscription

    def request(self, subscription: Subscription, count: int) -> None:
        """See `ISubscription.request`; nothing comes when it is cancelled."""
        with self._lock:
            if subscription.queues and not subscription.is_retired:
                subscription.requested += count
                if self._queues.waiting:
                    self._queues.hand_over(subscription)

    def retire(self, subscription: Subscription) -> None:
        """See `Subscription.retire`."""
        with self._lock:
            subscription.is_retired = True
            subscription.requested = 0

    def cancel(self, subscription: Subscription) -> int:
        """See `ISubscription.cancel`."""
        with self._lock:
            queues, subscription.queues = subscription.queues, []
            for queue in queues:
                queue.readers.remove(subscription)
            left, subscription.requested = subscription.requested, 0
            return left

    def take(self, channels: Collection[str]) -> tuple[str, Message] | None:
        """One message that waits in any of *channels*."""
        names = list(channels)
        if len(names) > 1:
            random.shuffle(names)  # a busy channel must not starve a quiet one
        with self._lock:
            for name in names:
                queue = self._by_name.get(name)
                if queue is not None and queue.waiting:
                    taken = self._queues.take(queue)
                    if taken is not None:
                        return taken
        return None

    def is_wanted(self, channel: str) -> bool:
        """Whether anybody subscribes to *channel*."""
        queue = self._by_name.get(channel)
        return queue is not None and bool(queue.readers)

    def new_channel(self, pattern: str) -> str:
        """A name of a single-reader channel that is not in use."""
        while (name := make_name(pattern)) in self._by_name:
            pass
        return name

    def drop_channel(self, channel: str) -> None:
        """Forget what waits in a channel, and tell those who wait for room; readers stay."""
        with self._lock:
            self._queues.forget(channel)

    def expire_all(self, channel: str) -> None:
        """Let all that waits in a channel expire now: nobody will come for it."""
        with self._lock:
            queue = self._by_name.get(channel)
            if queue is not None:
                self._queues.drop_expired(queue, before=float("inf"))

    def inbox_of(self, channel: str) -> Inbox | None:
        """The inbox of an owned channel, if its owner is in this process."""
        return self._inboxes.get(channel[: channel.find("!") + 1])

    def open_inbox(
        self,
        prefix: str,
        deliver: Callable[[Batch], None],
        call_from_thread: Callable[[Callable[[], None]], object],
    ) -> Inbox:
        """Own a prefix: see `IReactorLayer.open_inbox`."""
        if not check_channel(prefix, receive=True).endswith("!"):
            raise TypeError(f"The prefix of an inbox must end in '!': {prefix!r}")
        with self._lock:
            if prefix in self._inboxes:
                raise ValueError(f"The prefix {prefix} has an owner already")
            inbox = self._inboxes[prefix] = self._make_inbox(
                self,
                prefix,
                capacity=self._capacities.of(prefix),
                deliver=deliver,
                call_from_thread=call_from_thread,
            )
        return inbox

    def close_inbox(self, inbox: Inbox) -> None:
        """End an inbox: its owner is gone, and with it all its channels."""
        with self._lock:
            self._inboxes.pop(inbox.prefix, None)
        inbox.close_all()

    # Groups

    def group_add(self, group: str, channel: str) -> None:
        """Make *channel* a member, unless its owner is known to be gone."""
        name = owner_of(channel)
        inbox = self._inboxes.get(name)
        with self._lock:
            # Looked up under the lock: the inbox lets go of a channel first, and takes the
            # lock to end its memberships after that. So none is added behind its back.
            if inbox is None and (queue := self._by_name.get(name)) is not None:
                # What has expired until now may end memberships until now, not this one.
                self._queues.drop_expired(queue)
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

    def flush(self) -> None:
        """Forget all waiting messages and all groups; not what is on its way in an inbox."""
        with self._lock:
            for name in list(self._by_name):
                self._queues.forget(name)
            self._groups.clear()

    def sweep(self) -> None:
        """Drop what has expired, and forget the channels that are empty and unread."""
        with self._lock:
            self._queues.sweep()
            self._groups.sweep()

    def accounts(self) -> dict[str, Account]:
        """What became of every message, by channel (families of channels: `accounts.family_of`)."""
        with self._lock:
            books = self._accounts.read()
            for prefix, inbox in self._inboxes.items():
                books.setdefault(prefix, Account()).add(inbox.read_account())
        return books

    def statistics(self, channel: str | None = None) -> dict[str, float]:
        """Counts in ASGI's words of what is here, of one channel (its family's) or of all."""
        name = None if channel is None else owner_of(channel)
        with self._lock:
            account = self._accounts.total() if channel is None else self._accounts.of(channel)
            pending = self._queues.waiting if name is None else self._queues.pending(name)
            max_age = self._queues.max_age(name)
            for inbox in self._inboxes.values():
                if name is None or name == inbox.prefix:
                    on_their_way = inbox.read_account()
                    account.add(on_their_way)
                    pending += on_their_way.pending
        elsewhere = account.forwarded + account.dropped[REFUSED] + account.dropped[UNAVAILABLE]
        return {
            "messages_count": account.sent - account.dropped[FULL] - elsewhere,
            "messages_pending": pending,
            "messages_max_age": max_age,
            "channel_full_count": account.dropped[FULL],
        }
