"""A hub that is joined with the hubs of other hosts through Redis.

What somebody here reads, or a socket here owns, is delivered here, without any network.
The rest goes to Redis: to the list of a channel, or to the inbox of the hub that owns it.
A message that waits here while another host could run it goes there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from twisted.logger import Logger

from txchannels.errors import ChannelClosed, LayerError, LayerUnavailable
from txchannels.layers.accounts import CLOSED, EXPIRED, REFUSED, UNAVAILABLE
from txchannels.layers.codec import GARBAGE, ElementError
from txchannels.layers.hub import Hub
from txchannels.layers.inbox import Batch, Inbox
from txchannels.layers.interfaces import Deliver, Message
from txchannels.layers.names import MAX_NAME_CHARACTERS, make_name, owner_of
from txchannels.layers.redis import operations
from txchannels.layers.redis.inbox import JoinedInbox
from txchannels.layers.redis.incoming import Incoming
from txchannels.layers.redis.operations import FULL, Operation
from txchannels.layers.redis.outbox import Unanswered
from txchannels.layers.redis.outgoing import Outgoing
from txchannels.layers.redis.places import (
    HUB,
    OWNED,
    address_of,
    group_shard,
    home_of,
    member_shard,
    shard_of,
)
from txchannels.layers.redis.spill import Spill
from txchannels.layers.redis.whereabouts import Whereabouts
from txchannels.layers.redis.writer import Config, Writer

if TYPE_CHECKING:
    from txchannels.layers.accounts import Account
    from txchannels.layers.queues import Subscription
    from txchannels.layers.redis.link import Link
    from txchannels.layers.redis.reader import Reader

__all__ = ["JoinedHub"]

log = Logger()

MAX_READS = 1_000


class JoinedHub(Hub):
    """See the module.

    Args:
        config: What all parts of the layer share.
        clock: The time in seconds; only differences count.

    Attributes:
        address: Where other hubs answer this one.
        links: To each shard; set by `join`.
        incoming: Takes what comes from Redis.
        outgoing: What nobody waits for on its way to Redis.
        spill: Gives away what others should run; to be called often.
        kept_here: How many group messages went to this hub's members only, a shard being lost.

    Thread: any, unless a method says otherwise.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(
            capacities=config.capacities,
            expiry=config.expiry,
            group_expiry=config.group_expiry,
            clock=clock,
        )
        self._make_inbox = JoinedInbox
        self._config = config
        self.seconds = clock
        self.expiry_seconds = config.expiry
        self.capacity_of = config.capacities.of
        self.address = f"{HUB}{secrets.token_hex(8)}!"
        self.writer = Writer(config, self.address)
        self.links: list[Link] = []
        self._readers: list[Reader] = []
        self._known = Whereabouts(config.expiry, clock)
        self.note_closed = self._known.note_closed
        self.incoming = Incoming(self, config.codec, clock)
        self.outgoing = Outgoing(self)
        self.spill = Spill(self, self._queues, self._lock, self._known)
        self.kept_here = 0
        self._turn = 0
        self._subscriptions: set[Subscription] = set()
        self._has_read = False
        self._workers = 0
        self._read_here: frozenset[str] = frozenset()
        self._is_draining = False
        self._gap_watchers: list[Callable[[float, float], None]] = []

    def join(self, links: Sequence[Link]) -> None:
        """Use *links*, one a shard, in the order that all hubs have them in."""
        self.links = list(links)
        self._readers = [link.reader for link in links]

    def when_gap(self, callback: Callable[[float, float], None]) -> None:
        """See `IReactorLayer.when_gap`."""
        self._gap_watchers.append(callback)

    # Where things go

    def is_here(self, channel: str) -> bool:
        """Whether a message for *channel* stays here.

        So does what waits for a reader in a single-reader channel that was made here, where
        work is done, until a reader elsewhere asks for it.
        """
        if channel in self._read_here:
            return True
        name = owner_of(channel)
        if name in self._inboxes:
            return True
        if home_of(name) == self.address:
            return self._workers > 0 and not self._known.has_left(name)
        queue = self._by_name.get(name)
        # What is here must not overtake what went to Redis while nobody read it here.
        return queue is not None and bool(queue.readers) and not self._known.is_away(name)

    def new_channel(self, pattern: str) -> str:
        name = make_name(pattern)
        mark = len(pattern)
        named = f"{pattern}{self.address.removeprefix(HUB)[:-1]}-{name[mark:]}"
        return named if len(named) <= MAX_NAME_CHARACTERS else name

    def link_for(self, channel: str) -> Link:
        """The link by which to send to *channel*.

        Raises: LayerUnavailable; ChannelClosed: Its owner has said so.
        """
        if self._known.is_closed(channel):
            raise ChannelClosed(f"The client behind {channel} is gone")
        if ("?" in channel or "!" in channel) and address_of(channel) is None:
            self._known.note_away(owner_of(channel))
        at = shard_of(channel, len(self.links))
        if at is not None:
            return self.links[at]
        self._turn = turn = self._turn + 1
        for offset in range(len(self.links)):
            link = self.links[(turn + offset) % len(self.links)]
            if link.is_up:
                return link
        return self.links[turn % len(self.links)]

    @property
    def is_crowded(self) -> bool:
        """Whether so much is on its way to some server that what can wait should."""
        return any(link.outbox.is_crowded for link in self.links)

    def group_link(self, group: str) -> Link:
        """The link to where the members of *group* are registered."""
        return self.links[group_shard(group, len(self.links))]

    def is_wanted(self, channel: str) -> bool:
        elsewhere = self._known.read_elsewhere
        if channel in self._read_here or channel in elsewhere:
            return True
        if "?" in channel or "!" in channel:
            return super().is_wanted(channel)
        # Before the first worker host has come, sockets may be opened all the same.
        return not elsewhere and not self._has_read

    def book(self, channel: str, outcome: int | LayerError) -> None:
        """Book a message that was sent elsewhere, or could not be."""
        with self._lock:
            account = self._accounts.open(channel)
            account.sent += 1
            self._book_outcome(account, outcome)

    def _book_outcome(self, account: Account, outcome: int | LayerError) -> None:
        if outcome == 0 or isinstance(outcome, Unanswered):
            account.forwarded += 1
        elif outcome == FULL:
            account.dropped[REFUSED] += 1
        elif isinstance(outcome, LayerUnavailable):
            account.dropped[UNAVAILABLE] += 1
        else:
            account.dropped[CLOSED] += 1

    # Groups

    def send_group(self, group: str, message: Message) -> int:
        addresses = self.addresses()
        sends = [
            (link, self.writer.group(group, message, link.time, addresses)) for link in self.links
        ]
        full = super().send_group(group, message)
        for link, operation in sends:
            try:
                link.submit(operation)
            except LayerUnavailable:
                self.kept_here += 1
        return full

    def group_add(self, group: str, channel: str) -> None:
        inbox = self._inboxes.get(owner_of(channel))
        if inbox is None:
            link = self.links[member_shard(group, channel, len(self.links))]
            operation = self.writer.add(group, channel, link.time)
            link.submit(operation, partial(_report_membership, channel))
            return
        with self._lock:
            if channel in inbox:
                self._groups.add(group, channel, inbox)
                self._register(operations.join, group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        inbox = self._inboxes.get(owner_of(channel))
        if inbox is None:
            link = self.links[member_shard(group, channel, len(self.links))]
            operation = self.writer.discard(group, channel, link.time)
            link.submit(operation, partial(_report_membership, channel))
            return
        with self._lock:
            self._groups.discard(group, channel)
            self._register(operations.leave, group, channel)

    def leave_all(self, channel: str) -> None:
        with self._lock:
            for group in self._groups.memberships(channel):
                self._groups.discard(group, channel)
                self._register(operations.leave, group, channel)

    def local_members(self, group: str) -> list[str]:
        """The members of *group* that are owned here."""
        return super().group_channels(group)

    def _register(
        self, make: Callable[[str, str, str], Operation], group: str, channel: str
    ) -> None:
        """Tell Redis of a member that came or went; with the lock held, so in that order.

        What cannot be told now is told when the link is up again: see `open`.
        """
        address = address_of(channel)
        if address is not None:
            try:
                self.group_link(group).submit(make(group, address, channel))
            except LayerUnavailable:
                pass

    def tell_paused(self, address: str, channel: str) -> None:
        self._tell(channel, operations.pause(address, channel, 2 * self._config.expiry_ms))

    def tell_resumed(self, address: str, channel: str) -> None:
        self._tell(channel, operations.resume(address, channel))

    def _tell(self, channel: str, operation: Operation) -> None:
        at = shard_of(channel, len(self.links))
        try:
            self.links[at or 0].submit(operation)
        except LayerUnavailable:
            pass

    # Reading

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> Subscription:
        subscription = super().subscribe(channels, deliver)
        self._subscriptions.add(subscription)
        self._has_read = True
        self._readers_changed()
        self.ask_homes([queue.name for queue in subscription.queues])
        return subscription

    def _readers_changed(self) -> None:
        """Note who reads what, for `is_here`, which has to be quick."""
        shared = [one for one in tuple(self._subscriptions) if _is_shared(one)]
        self._workers = len(shared)
        self._read_here = frozenset(queue.name for one in shared for queue in one.queues)

    def ask_homes(self, channels: Iterable[str]) -> None:
        """Ask the hubs that made single-reader *channels* to let their messages go."""
        for channel in channels:
            home = home_of(channel)
            if home is None or home == self.address or self._known.has_asked(channel):
                continue
            try:
                link = self.links[shard_of(home, len(self.links)) or 0]
                asked = partial(self._home_asked, channel)
                link.submit(self.writer.want(home, channel, link.time), asked)
            except LayerUnavailable:
                continue

    def _home_asked(self, channel: str, outcome: int | LayerError) -> None:
        if outcome == 0:
            self._known.note_asked(channel)

    def request(self, subscription: Subscription, count: int) -> None:
        super().request(subscription, count)
        if subscription.requested > 0:
            for reader in self._readers:
                reader.ask(subscription)

    def cancel(self, subscription: Subscription) -> int:
        left = super().cancel(subscription)
        self._subscriptions.discard(subscription)
        self._readers_changed()
        for link in self.links:
            link.reader.forget(subscription)
        return left

    def drain(self) -> None:
        """Take no more work from Redis. Thread: the reactor's."""
        self._is_draining = True
        for link in self.links:
            link.reader.begin_anew()

    def open_inbox(
        self,
        prefix: str,
        deliver: Callable[[Batch], None],
        call_from_thread: Callable[[Callable[[], None]], object],
    ) -> Inbox:
        """See `Hub.open_inbox`; other hosts reach a prefix that begins with ``txchannels.``."""
        inbox = super().open_inbox(prefix, deliver, call_from_thread)
        for link in self.links:
            if link.is_up:
                link.renew()
                link.reader.begin_anew()
        return inbox

    # What the links ask. Thread: the reactor's

    def addresses(self) -> list[str]:
        """Where this hub can be reached; its own address first."""
        return [self.address, *(one for one in list(self._inboxes) if one.startswith(OWNED))]

    def reads(self) -> str:
        """The channels that are read here, between blanks."""
        asking = () if self._is_draining else tuple(self._subscriptions)
        names = {queue.name for one in asking for queue in one.queues}
        shared = sorted(name for name in names if "?" not in name and "!" not in name)
        return f" {' '.join(shared[:MAX_READS])} "

    def demanding(self, link: Link) -> list[Subscription]:
        """The subscriptions that ask for messages now."""
        return [
            one
            for one in tuple(self._subscriptions)
            if one.requested > 0 and one.queues and not (self._is_draining and _is_shared(one))
        ]

    def open(self, link: Link) -> None:
        """Let operations through, after those that register all that this hub holds."""
        with self._lock:
            link.let_in(list(self._registrations(link)))

    def _registrations(self, link: Link) -> Iterable[Operation]:
        for group, inbox, channels in self._groups.owned():
            if self.group_link(group) is link and inbox.prefix.startswith(OWNED):
                for channel in channels:
                    yield operations.join(group, inbox.prefix, channel)
        for prefix, inbox in self._inboxes.items():
            at = shard_of(prefix, len(self.links))
            if isinstance(inbox, JoinedInbox) and self.links[at or 0] is link:
                yield operations.resume_all(prefix)
                for channel in inbox.paused_channels():
                    yield operations.pause(prefix, channel, 2 * self._config.expiry_ms)

    def give_back(self) -> None:
        """Leave to others what came here and is not run here any more."""
        self.spill(wait_seconds=0.0)

    def saw_others(self, link: Link, reads: Sequence[str]) -> None:
        """Take note of what the other hubs read."""
        self._known.saw_reads(link, reads)

    def came_up(self, link: Link, since: float | None) -> None:
        """Tell of the time in which messages of other hosts may have been missed."""
        if since is not None:
            until = time.clock_gettime(time.CLOCK_REALTIME)
            for callback in self._gap_watchers:
                callback(since, until)

    def went_down(self, link: Link) -> None:
        """Who reads elsewhere is not known any more."""
        self.saw_others(link, [])

    def took(self, link: Link, key: bytes, elements: Sequence[bytes]) -> None:
        """Deliver what was taken from Redis."""
        self.incoming.took(link, key, elements)

    # What came in

    def send_here(self, group: str, message: Message) -> None:
        """Hand *message* to the members of *group* that are owned here."""
        super().send_group(group, message)

    def accept(self, address: str, channel: str, message: Message) -> bool:
        """Take a message for an owned channel; False if that is closed."""
        inbox = self._inboxes.get(address)
        if inbox is None:
            raise ElementError(GARBAGE)
        return inbox.accept(channel, message)

    def add_here(self, group: str, channel: str) -> None:
        """Note a membership that another hub has registered; undo it if *channel* is closed."""
        inbox = self._inboxes.get(owner_of(channel))
        with self._lock:
            if inbox is not None and channel in inbox:
                self._groups.add(group, channel, inbox)
            else:
                self._register(operations.leave, group, channel)

    def discard_here(self, group: str, channel: str) -> None:
        """Note the end of one."""
        with self._lock:
            self._groups.discard(group, channel)

    def book_expired(self, name: str) -> None:
        """Book a message that expired on its way."""
        with self._lock:
            account = self._accounts.open(name)
            account.arrived += 1
            account.dropped[EXPIRED] += 1

    def arrived(self, channel: str, message: Message, seconds: float) -> None:
        """Take a message in that another hub has sent, and that has *seconds* left."""
        with self._lock:
            queue = self._queues.open(owner_of(channel))
            queue.account.arrived += 1
            reader = queue.ready_reader()
            if reader is None:
                self._queues.take_in(queue, channel, message, seconds)
                return
            reader.requested -= 1
            queue.account.delivered += 1
            reader.deliver(channel, message)

    def given_up(self, channel: str, message: Message, outcome: object = None) -> None:
        """Tell whoever waits for an answer that *message* may never be read."""
        for callback in self._expiry_watchers:
            callback(channel, message)


def _report_membership(channel: str, outcome: int | LayerError) -> None:
    if outcome == FULL or isinstance(outcome, LayerError):
        reason = outcome if isinstance(outcome, LayerError) else "its host's inbox is full"
        log.warn("A membership of {channel} is lost: {reason}", channel=channel, reason=reason)


def _is_shared(subscription: Subscription) -> bool:
    """Whether others may read what *subscription* does."""
    return not any("?" in queue.name or "!" in queue.name for queue in subscription.queues)
