"""The groups of a joined hub: its own members, and what Redis knows of them.

The owner of a channel keeps its memberships. Redis is told of each that comes or goes, in that
order; what cannot be told now is told when the link is up again (`registrations`). Where another
hub has changed one at the same time, Redis is told again what holds here (`order`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.errors import LayerError, LayerUnavailable
from txchannels.layers.names import owner_of
from txchannels.layers.redis import operations
from txchannels.layers.redis.homes import report_membership
from txchannels.layers.redis.losses import Losses
from txchannels.layers.redis.order import Order
from txchannels.layers.redis.outbox import Unanswered
from txchannels.layers.redis.places import OWNED, address_of, home_of

if TYPE_CHECKING:
    from txchannels.layers.groups import Groups
    from txchannels.layers.inbox import Inbox
    from txchannels.layers.interfaces import Message
    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.link import Link
    from txchannels.layers.redis.operations import Operation
    from txchannels.layers.redis.outbox import Done

__all__ = ["GROUPS", "Memberships"]

log = Logger()

#: Under which group messages are booked that should have left, and could not.
GROUPS = "#groups"


class Memberships:
    """See the module.

    Args:
        hub: The hub.
        groups: Who is a member, of the channels that are owned here.
        inboxes: What owns them, by prefix.
        lock: The hub's.

    Attributes:
        kept_here: The group messages that went to this hub's members only.

    Thread: any.
    """

    def __init__(
        self, hub: JoinedHub, groups: Groups, inboxes: Mapping[str, Inbox], lock: Lock
    ) -> None:
        self._hub = hub
        self._groups = groups
        self._inboxes = inboxes
        self._lock = lock
        self.kept_here = Losses(hub.seconds)
        self._order = Order(hub.seconds)
        self._registered: dict[Link, float] = {}

    # Messages

    def write(
        self, group: str, message: Message, apart: Sequence[str]
    ) -> list[tuple[Link, Operation]]:
        """What is to be sent to which server, for all members but those *apart*.

        Raises: MessageTooLarge.
        """
        hub = self._hub
        return [(link, hub.writer.group(group, message, link.time, apart)) for link in hub.links]

    def send(self, group: str, sends: Sequence[tuple[Link, Operation]]) -> None:
        """Send what was written; nobody waits for it."""
        for link, operation in sends:
            sent = partial(self._sent, group)
            try:
                link.submit(operation, sent)
            except LayerUnavailable as error:
                sent(error)

    def _sent(self, group: str, outcome: int | LayerError) -> None:
        """Book and report a message that did not leave; what was not answered may have left."""
        if not isinstance(outcome, LayerError) or isinstance(outcome, Unanswered):
            return
        self._hub.book(GROUPS, outcome)
        if self.kept_here.note():
            log.warn(
                "A message to group {group} stays on this host: {reason} ({count} so far)",
                group=group,
                reason=outcome,
                count=self.kept_here.count,
            )

    # Members

    def add(self, group: str, channel: str) -> None:
        """See `Hub.group_add`."""
        inbox = self._inboxes.get(owner_of(channel))
        if inbox is None:
            self._change_elsewhere(group, channel, is_member=True)
            return
        with self._lock:
            if channel in inbox:
                self._groups.add(group, channel, inbox)
                self._register(operations.join, group, channel)

    def discard(self, group: str, channel: str) -> None:
        """See `Hub.group_discard`."""
        if owner_of(channel) not in self._inboxes:
            self._change_elsewhere(group, channel, is_member=False)
            return
        with self._lock:
            self._groups.discard(group, channel)
            self._register(operations.leave, group, channel)

    def _change_elsewhere(self, group: str, channel: str, *, is_member: bool) -> None:
        hub = self._hub
        if home_of(channel) is not None:
            hub.homes.change(group, channel, is_member=is_member)
            return
        link = hub.routes.to_member(group, channel)
        make = hub.writer.add if is_member else hub.writer.discard
        link.submit(make(group, channel, link.time), partial(report_membership, channel))

    def is_elsewhere(self, channel: str) -> bool:
        """Whether another hub owns *channel*."""
        return address_of(channel) is not None and owner_of(channel) not in self._inboxes

    def add_elsewhere(self, group: str, channel: str, done: Done) -> Link:
        """Make another hub's *channel* a member. Returns: where *done* is told when that was.

        Raises: LayerUnavailable.
        """
        link = self._hub.routes.to_member(group, channel)
        link.submit(self._hub.writer.add(group, channel, link.time), done)
        return link

    def leave_all(self, channel: str) -> None:
        """End every membership of *channel*."""
        with self._lock:
            for group in self._groups.memberships(channel):
                self._groups.discard(group, channel)
                self._register(operations.leave, group, channel)

    def _register(
        self, make: Callable[[str, str, str], Operation], group: str, channel: str
    ) -> None:
        """Tell Redis of a member that came or went; with the lock held, so in that order."""
        address = address_of(channel)
        if address is None:
            return
        asked = self._order.ask((group, channel))
        answered = partial(self._answered, group, channel, asked)
        try:
            self._hub.routes.to_group(group).submit(make(group, address, channel), answered)
        except LayerUnavailable:
            self._order.answered((group, channel), asked, None)

    def _answered(self, group: str, channel: str, asked: Any, outcome: int | LayerError) -> None:
        """Thread: the reactor's."""
        stamp = None if isinstance(outcome, LayerError) else outcome
        with self._lock:
            if self._order.answered((group, channel), asked, stamp):
                self._say_again(group, channel)

    def _say_again(self, group: str, channel: str) -> None:
        """Tell Redis what holds here; with the lock held."""
        is_member = group in self._groups.memberships(channel)
        self._register(operations.join if is_member else operations.leave, group, channel)

    def registrations(self, link: Link) -> Iterator[Operation]:
        """What the server is to know of them. With the lock held."""
        for group, inbox, channels in self._groups.owned():
            if self._hub.routes.to_group(group) is link and inbox.prefix.startswith(OWNED):
                for channel in channels:
                    yield operations.join(group, inbox.prefix, channel)

    def registered(self, link: Link) -> None:
        """Note that the server is told of all of them, and when it was. With the lock held."""
        self._registered[link] = math.inf
        try:
            link.submit(operations.stamp(), partial(self._stamped, link))
        except LayerUnavailable:
            pass

    def _stamped(self, link: Link, outcome: int | LayerError) -> None:
        if not isinstance(outcome, LayerError):
            self._registered[link] = outcome

    # What other hubs have changed. Thread: the reactor's

    def add_here(self, link: Link, group: str, channel: str, stamp: int | None) -> None:
        """Note a membership that another hub has registered; undo it if *channel* is closed.

        Args:
            link: To the server where that was.
            stamp: When it was there.
        """
        if self._hub.homes.is_home_of(channel):
            self._hub.homes.change_here(group, channel, is_member=True)
            return
        inbox = self._inboxes.get(owner_of(channel))
        with self._lock:
            if inbox is not None and channel in inbox:
                self._groups.add(group, channel, inbox)
                self._keep_order(link, group, channel, stamp)
            else:
                self._register(operations.leave, group, channel)

    def discard_here(self, link: Link, group: str, channel: str, stamp: int | None) -> None:
        """Note the end of one."""
        if self._hub.homes.is_home_of(channel):
            self._hub.homes.change_here(group, channel, is_member=False)
            return
        with self._lock:
            self._groups.discard(group, channel)
            self._keep_order(link, group, channel, stamp)

    def _keep_order(self, link: Link, group: str, channel: str, stamp: int | None) -> None:
        """Say again what holds, if Redis has done the other's change before ours."""
        if stamp is None:
            return
        is_crossed = self._order.is_crossed((group, channel), stamp)
        if is_crossed or stamp < self._registered.get(link, 0.0):
            self._say_again(group, channel)
