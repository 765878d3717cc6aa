"""A hub that is joined with the hubs of other hosts through Redis.

What somebody here reads, or a socket here owns, is delivered here, without any network.
The rest goes to Redis: to the list of a channel, or to the inbox of the hub that owns it.
A message that waits here while another host could run it goes there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from txchannels.errors import ChannelClosed, LayerError
from txchannels.layers.hub import Hub
from txchannels.layers.inbox import Batch, Inbox
from txchannels.layers.interfaces import Deliver, Message
from txchannels.layers.names import MAX_NAME_CHARACTERS, make_name, owner_of
from txchannels.layers.redis.crossings import Crossings
from txchannels.layers.redis.homes import Homes
from txchannels.layers.redis.inbox import JoinedInbox
from txchannels.layers.redis.incoming import Incoming
from txchannels.layers.redis.memberships import Memberships
from txchannels.layers.redis.operations import Operation
from txchannels.layers.redis.outgoing import Outgoing
from txchannels.layers.redis.places import HUB, OWNED, address_of, home_of
from txchannels.layers.redis.readership import Readership
from txchannels.layers.redis.routes import Routes
from txchannels.layers.redis.spill import Spill
from txchannels.layers.redis.whereabouts import Whereabouts
from txchannels.layers.redis.writer import Config, Writer

if TYPE_CHECKING:
    from txchannels.layers.queues import Subscription
    from txchannels.layers.redis.link import Link
    from txchannels.layers.redis.reader import Reader

__all__ = ["JoinedHub"]


class JoinedHub(Hub):
    """See the module.

    Args:
        config: What all parts of the layer share.
        clock: The time in seconds; only differences count.

    Attributes:
        address: Where other hubs answer this one.
        links: To each shard; set by `join`.
        routes: Which of them leads to what.
        incoming: Takes what comes from Redis.
        outgoing: What nobody waits for on its way to Redis.
        memberships: Who is in which group.
        spill: Gives away what others should run; to be called often.

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
        self.config = config
        self.seconds = clock
        self.expiry_seconds = config.expiry
        self.capacity_of = config.capacities.of
        self.address = f"{HUB}{secrets.token_hex(8)}!"
        self.writer = Writer(config, self.address)
        self.links: list[Link] = []
        self.routes = Routes(self.links)
        self._readers: list[Reader] = []
        self._known = Whereabouts(config.expiry, clock)
        self.note_closed = self._known.note_closed
        self.incoming = Incoming(self, config.codec, clock)
        self.outgoing = Outgoing(self)
        self.spill = Spill(self, self._queues, self._lock, self._known)
        self.homes = Homes(self, self._lock, self._known, config.group_expiry)
        self.ask_homes = self.homes.ask
        self.memberships = Memberships(self, self._groups, self._inboxes, self._lock)
        crossings = Crossings(self._accounts, self._queues, self._inboxes, self._lock)
        self.book: Callable[[str, int | LayerError], None] = crossings.book
        self.book_expired: Callable[[str], None] = crossings.book_expired
        self.accept: Callable[[str, str, Message], bool] = crossings.accept
        self.arrived: Callable[[str, Message, float], None] = crossings.arrived
        self.pass_on = crossings.pass_on
        self._readership = Readership()
        self._gap_watchers: list[Callable[[float, float], None]] = []

    def join(self, links: Sequence[Link]) -> None:
        """Use *links*, one a shard, in the order that all hubs have them in."""
        self.links = list(links)
        self.routes = Routes(self.links)
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
        if channel in self._readership.shared:
            return True
        name = owner_of(channel)
        if name in self._inboxes:
            return True
        if home_of(name) == self.address:
            return self._readership.has_workers and not self._known.has_left(name)
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
            self.spill.let_go(owner_of(channel))
        return self.routes.to_channel(channel)

    @property
    def is_crowded(self) -> bool:
        """Whether so much is on its way to some server that what can wait should."""
        return self.routes.is_crowded

    def is_wanted(self, channel: str) -> bool:
        elsewhere = self._known.read_elsewhere
        if channel in self._readership.shared or channel in elsewhere:
            return True
        if "?" in channel or "!" in channel:
            return super().is_wanted(channel)
        # Before the first worker host has come, sockets may be opened all the same.
        return not elsewhere and not self._readership.has_read

    def offer(self, channel: str, message: Message) -> bool:
        taken = super().offer(channel, message)
        if "?" in channel and self._known.has_left(channel) and self.homes.is_home_of(channel):
            # It has left since the sender looked: what is sent next must not be faster.
            self.spill.let_go(channel)
        return taken

    # Groups

    def send_group(self, group: str, message: Message) -> int:
        homes = self.homes.members(group)
        sends = self.memberships.write(group, message, [*self.addresses(), *homes])
        full = super().send_group(group, message) + self.homes.send(homes, message)
        self.memberships.send(group, sends)
        return full

    @property
    def kept_here(self) -> int:
        """How many group messages went to this hub's members only, a server being lost."""
        return self.memberships.kept_here.count

    def group_add(self, group: str, channel: str) -> None:
        self.memberships.add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        self.memberships.discard(group, channel)

    def leave_all(self, channel: str) -> None:
        self.memberships.leave_all(channel)

    def local_members(self, group: str) -> list[str]:
        """The members of *group* that are owned, or were made, here."""
        return super().group_channels(group) + self.homes.members(group)

    def flush(self) -> None:
        super().flush()
        with self._lock:
            self.homes.forget()

    def _message_expired(self, channel: str, message: Message) -> None:
        self.homes.leave_all(channel)
        super()._message_expired(channel, message)

    def subscribe(self, channels: Collection[str], deliver: Deliver) -> Subscription:
        subscription = super().subscribe(channels, deliver)
        self._readership.add(subscription)
        self.ask_homes([queue.name for queue in subscription.queues])
        return subscription

    def request(self, subscription: Subscription, count: int) -> None:
        super().request(subscription, count)
        if subscription.requested > 0:
            for reader in self._readers:
                reader.ask(subscription)

    def cancel(self, subscription: Subscription) -> int:
        left = super().cancel(subscription)
        self._readership.discard(subscription)
        for link in self.links:
            link.reader.forget(subscription)
        return left

    def drain(self) -> None:
        """Take no more work from Redis. Thread: the reactor's."""
        self._readership.drain()
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
        return self._readership.told()

    def demanding(self, link: Link) -> list[Subscription]:
        """The subscriptions that ask for messages now."""
        return self._readership.demanding()

    def open(self, link: Link) -> None:
        """Let operations through, after those that register all that this hub holds."""
        with self._lock:
            link.let_in(list(self._registrations(link)))
            self.memberships.registered(link)

    def _registrations(self, link: Link) -> Iterable[Operation]:
        yield from self.homes.registrations(link)
        yield from self.memberships.registrations(link)
        for prefix, inbox in self._inboxes.items():
            if isinstance(inbox, JoinedInbox) and self.routes.to_inbox(prefix) is link:
                yield from inbox.registrations()

    def give_back(self) -> None:
        """Leave to others what came here and is not run here any more."""
        self.spill(wait_seconds=0.0)

    def saw_others(self, link: Link, reads: Sequence[str]) -> None:
        """Take note of what the other hubs read."""
        self._known.saw_reads(link, reads)
        self.ask_homes(self._readership.single())

    def came_up(self, link: Link, since: float | None) -> None:
        """Tell of the time in which messages of other hosts may have been missed."""
        self._known.forget_asked()
        self.ask_homes(self._readership.single())
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

    def given_up(self, channel: str, message: Message, outcome: object = None) -> None:
        """Tell whoever waits for an answer that *message* may never be read."""
        for callback in self._expiry_watchers:
            callback(channel, message)
