"""Channels as queues: what waits in them, bounded and expiring, and who reads them.

Thread: whoever holds the hub's lock, for everything here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from txchannels.layers.accounts import EXPIRED, FLUSHED, Account, Accounts
from txchannels.layers.capacities import Capacities
from txchannels.layers.interfaces import Deliver, ISubscription, Message

if TYPE_CHECKING:
    from txchannels.layers.hub import Hub

__all__ = ["Queue", "Queues", "Subscription"]


class Queue:
    """One channel; a process-local prefix (``prefix!``) is one too."""

    __slots__ = ("account", "capacity", "name", "readers", "waiting", "waiting_for_room")

    def __init__(self, name: str, capacity: int, account: Account) -> None:
        self.name = name
        self.capacity = capacity
        self.account = account
        #: When each message expires, the channel that it was sent to, the message.
        self.waiting: deque[tuple[float, str, Message]] = deque()
        self.readers: list[Subscription] = []
        self.waiting_for_room: list[Callable[[], None]] = []

    def ready_reader(self) -> Subscription | None:
        """The reader that has asked for most; None when none has asked."""
        readers = self.readers
        if len(readers) == 1:
            reader = readers[0]
        elif readers:
            reader = max(readers, key=_requested)
        else:
            return None
        return reader if reader.requested > 0 else None

    def tell_of_room(self) -> None:
        """Call whoever waits for room, each once. They must not call the hub."""
        callbacks, self.waiting_for_room = self.waiting_for_room, []
        for callback in callbacks:
            callback()


@implementer(ISubscription)
class Subscription:
    """See `ISubscription`.

    Attributes:
        queues: What it reads; nothing when it is cancelled.
        requested: How many messages it may still be sent.
        is_retired: Whether it is sent nothing more, though it has not been cancelled.
    """

    __slots__ = ("_hub", "_turn", "deliver", "is_retired", "queues", "requested")

    def __init__(self, hub: Hub, queues: list[Queue], deliver: Deliver) -> None:
        self._hub = hub
        self._turn = 0
        self.queues = queues
        self.deliver = deliver
        self.requested = 0
        self.is_retired = False

    def request(self, count: int) -> None:
        self._hub.request(self, count)

    def cancel(self) -> int:
        return self._hub.cancel(self)

    def retire(self) -> None:
        """Be sent nothing more, whatever is asked for; its channels count as read until `cancel`.

        Thread: any.
        """
        self._hub.retire(self)

    def take_turns(self) -> list[Queue]:
        """The queues, each time starting with another: a busy one must not starve the rest."""
        queues = self.queues
        if len(queues) == 1:
            return queues
        self._turn = turn = (self._turn + 1) % len(queues)
        return queues[turn:] + queues[:turn]


class Queues:
    """All channels of a hub, by name.

    Args:
        capacities: How many messages may wait in which channel.
        expiry: Seconds after which an unread message is dropped.
        clock: The time in seconds; only differences count.
        accounts: Where the messages are booked.
        message_expired: Told of each message that nobody has read in time, with the lock held.

    Attributes:
        by_name: The channels that are read, or that something waits in.
        waiting: How many messages wait in all of them.
    """

    def __init__(
        self,
        capacities: Capacities,
        expiry: float,
        *,
        clock: Callable[[], float],
        accounts: Accounts,
        message_expired: Callable[[str, Message], None],
    ) -> None:
        self._capacities = capacities
        self._expiry = expiry
        self._clock = clock
        self._accounts = accounts
        self._message_expired = message_expired
        self.by_name: dict[str, Queue] = {}
        self.waiting = 0

    def open(self, name: str) -> Queue:
        """The channel, new if need be."""
        queue = self.by_name.get(name)
        if queue is None:
            queue = Queue(name, self._capacities.of(name), self._accounts.open(name))
            self.by_name[name] = queue
        return queue

    def put(self, queue: Queue, channel: str, message: Message) -> bool:
        """Let a message wait; False if there is no room."""
        if len(queue.waiting) >= queue.capacity:
            self.drop_expired(queue)
            if len(queue.waiting) >= queue.capacity:
                return False
        queue.waiting.append((self._clock() + self._expiry, channel, message))
        queue.account.sent += 1
        self.waiting += 1
        return True

    def take_in(self, queue: Queue, channel: str, message: Message, seconds: float) -> None:
        """Let a message wait that has come from another hub, which had room for it."""
        queue.waiting.append((self._clock() + seconds, channel, message))
        self.waiting += 1

    def take_out(self, queue: Queue, before: float, most: int) -> list[tuple[float, str, Message]]:
        """Take out, for another hub, what has waited since *before*, the oldest first.

        Returns: When each expires, its channel, the message; none has expired.
        """
        self.drop_expired(queue)
        taken: list[tuple[float, str, Message]] = []
        waiting = queue.waiting
        while waiting and len(taken) < most and waiting[0][0] - self._expiry <= before:
            taken.append(waiting.popleft())
        self.waiting -= len(taken)
        if taken and queue.waiting_for_room and len(waiting) <= queue.capacity // 2:
            queue.tell_of_room()
        return taken

    def put_back(self, queue: Queue, taken: tuple[float, str, Message]) -> None:
        """Undo `take_out` for one message: it waits again behind those that came before it."""
        waiting = queue.waiting
        before: list[tuple[float, str, Message]] = []
        while waiting and waiting[0][0] <= taken[0]:
            before.append(waiting.popleft())
        waiting.appendleft(taken)
        waiting.extendleft(reversed(before))
        self.waiting += 1

    def put_first(self, queue: Queue, channel: str, message: Message) -> None:
        """Let a message wait that was taken, before all others."""
        waiting = queue.waiting
        until = waiting[0][0] if waiting else self._clock() + self._expiry
        waiting.appendleft((until, channel, message))
        self.waiting += 1

    def take(self, queue: Queue) -> tuple[str, Message] | None:
        """The message that has waited longest; None if none has come in time."""
        waiting = queue.waiting
        if waiting and waiting[0][0] <= self._clock():
            self.drop_expired(queue)
        if not waiting:
            return None
        _, channel, message = waiting.popleft()
        self.waiting -= 1
        queue.account.delivered += 1
        # Half empty, so that those who wait come in turns of some messages, not of one.
        if queue.waiting_for_room and len(waiting) <= queue.capacity // 2:
            queue.tell_of_room()
        return channel, message

    def hand_over(self, subscription: Subscription) -> None:
        """Deliver what waits, one of each channel in turn, as far as it was asked for."""
        turns = subscription.take_turns()
        has_more = subscription.requested > 0
        while has_more:
            has_more = False
            for queue in turns:
                if queue.waiting and (taken := self.take(queue)) is not None:
                    has_more = True
                    subscription.requested -= 1
                    subscription.deliver(*taken)
                    if subscription.requested <= 0:
                        return

    def drop_expired(self, queue: Queue, before: float | None = None) -> None:
        """Drop what nobody has read in time, which is now or *before*."""
        now = self._clock() if before is None else before
        waiting = queue.waiting
        while waiting and waiting[0][0] <= now:
            _, channel, message = waiting.popleft()
            self.waiting -= 1
            queue.account.dropped[EXPIRED] += 1
            self._message_expired(channel, message)
        if queue.waiting_for_room and len(waiting) <= queue.capacity // 2:
            queue.tell_of_room()

    def forget(self, name: str) -> None:
        """Drop what waits in a channel; whoever reads it goes on reading."""
        queue = self.by_name.get(name)
        if queue is None:
            return
        queue.account.dropped[FLUSHED] += len(queue.waiting)
        self.waiting -= len(queue.waiting)
        queue.waiting.clear()
        queue.tell_of_room()
        if not queue.readers:
            del self.by_name[name]

    def sweep(self) -> None:
        """Drop what has expired, and let go of the channels that are empty and unread."""
        for name, queue in list(self.by_name.items()):
            self.drop_expired(queue)
            if not queue.waiting and not queue.readers:
                del self.by_name[name]

    def pending(self, name: str) -> int:
        """How many messages wait in the channel *name*."""
        queue = self.by_name.get(name)
        return 0 if queue is None else len(queue.waiting)

    def max_age(self, name: str | None) -> float:
        """Seconds for which the oldest message of a channel, or of all, has waited."""
        queues = self.by_name.values() if name is None else [self.by_name.get(name)]
        first = min((one.waiting[0][0] for one in queues if one and one.waiting), default=None)
        return 0.0 if first is None else self._expiry - first + self._clock()


def _requested(subscription: Subscription) -> int:
    return subscription.requested
