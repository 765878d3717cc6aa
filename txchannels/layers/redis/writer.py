"""Sends into operations: names are looked up, messages encoded, capacities found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from txchannels.layers.codec import Codec, Kind
from txchannels.layers.names import owner_of
from txchannels.layers.redis import operations
from txchannels.layers.redis.places import address_of

if TYPE_CHECKING:
    from txchannels.layers.capacities import Capacities
    from txchannels.layers.interfaces import Message
    from txchannels.layers.redis.operations import Operation
    from txchannels.layers.redis.servertime import ServerTime

__all__ = ["OVER", "Config", "Writer"]

#: The sender of the element that says the end of a flush: the codec lets it have no target.
OVER = "over"

#: Changes of memberships that a hub has not read yet, and what others share its inbox with.
MAX_CHANGES = 10_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """What all parts of one Redis layer share.

    Attributes:
        prefix: The start of every key.
        capacities: How many messages may wait in which channel.
        expiry: Seconds after which an unread message is dropped.
        group_expiry: Seconds after which an unowned channel leaves its groups.
        codec: What a message looks like in Redis.
    """

    prefix: str
    capacities: Capacities
    expiry: float
    group_expiry: float
    codec: Codec

    @property
    def expiry_ms(self) -> int:
        return max(1, round(self.expiry * 1000))


class Writer:
    """Makes the operations of one sender.

    Args:
        sender: The address at which it can be answered; empty for a program without one.

    Thread: any.
    """

    def __init__(self, config: Config, sender: str = "") -> None:
        self._config = config
        self._capacity_of = config.capacities.of
        self._encode = config.codec.encode
        self._keep = config.expiry_ms
        self._sender = sender

    def message(
        self, channel: str, message: Message, time: ServerTime, left_ms: int | None = None
    ) -> Operation:
        """Send *message* to *channel*, to expire in *left_ms* milliseconds.

        Raises: MessageTooLarge.
        """
        element = self._element(Kind.MESSAGE, channel, message, time, left_ms)
        return self.element(channel, element)

    def element(self, channel: str, element: bytes) -> Operation:
        """Send what is encoded already."""
        address = address_of(channel)
        if address is None:
            capacity = self._capacity_of(owner_of(channel))
            return operations.to_channel(channel, capacity, self._keep, element)
        capacity = self._capacity_of(address)
        return operations.to_inbox(address, channel, capacity, self._keep, element)

    def closed(self, address: str, channel: str, time: ServerTime) -> Operation:
        """Tell the hub at *address* that *channel* is read no more."""
        element = self._element(Kind.CLOSED, channel, None, time)
        return operations.to_inbox(address, "*", 1000, self._keep, element)

    def want(self, address: str, channel: str, time: ServerTime) -> Operation:
        """Ask the hub at *address* for the messages of a channel that it has made."""
        element = self._element(Kind.WANT, channel, None, time)
        return operations.to_inbox(address, "*", 1000, self._keep, element)

    def group(
        self, group: str, message: Message, time: ServerTime, except_for: Collection[str] = ()
    ) -> Operation:
        """Send *message* to the members of *group* that are not at *except_for*.

        Raises: MessageTooLarge.
        """
        element = self._element(Kind.GROUP, group, message, time)
        return operations.to_group(group, except_for, self._keep, element)

    def add(
        self, group: str, channel: str, time: ServerTime, seconds: float | None = None
    ) -> Operation:
        """Make a channel that this sender does not own a member of *group*.

        Args:
            seconds: Until it lapses, if no hub owns it; the layer's `group_expiry` when None.
        """
        address = address_of(channel)
        if address is None:
            lasts = self._config.group_expiry if seconds is None else seconds
            lapse = max(1, round(lasts * 1000))
            capacity = self._capacity_of(owner_of(channel))
            return operations.add_unowned(group, channel, lapse, capacity)
        element = self._element(Kind.ADD, group, channel, time)
        return operations.forward_add(group, address, channel, self._keep, element)

    def discard(self, group: str, channel: str, time: ServerTime) -> Operation:
        """End its membership."""
        address = address_of(channel)
        if address is None:
            return operations.discard_unowned(group, channel)
        element = self._element(Kind.DISCARD, group, channel, time)
        return operations.forward_discard(group, address, channel, self._keep, element)

    def tell_home(
        self, home: str, group: str, channel: str, time: ServerTime, *, is_member: bool
    ) -> Operation:
        """Have the hub that made a single-reader *channel* make it a member of *group*, or none."""
        kind = Kind.ADD if is_member else Kind.DISCARD
        element = self._element(kind, group, channel, time)
        return operations.to_inbox(home, "*", MAX_CHANGES, self._keep, element)

    def flush(self, time: ServerTime, *, is_over: bool = False) -> bytes:
        """The element that tells a hub to forget all, or to register what it holds since then."""
        sender = OVER if is_over else self._sender
        return self._encode(Kind.FLUSH, "", None, sender, deadline=time.now() + self._keep)

    def _element(
        self,
        kind: Kind,
        target: str,
        content: object,
        time: ServerTime,
        left_ms: int | None = None,
    ) -> bytes:
        deadline = time.now() + (self._keep if left_ms is None else left_ms)
        return self._encode(kind, target, content, self._sender, deadline=deadline)
