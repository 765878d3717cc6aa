"""Single-reader channels that a hub has made: their *home*, which knows their groups.

What waits in such a channel stays at its home until a reader elsewhere asks for it. So what
the home sends to a group has to go to these members on the way that its other messages to
them go, or it would be overtaken. Who changes a membership elsewhere has the home do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from twisted.logger import Logger

from txchannels.errors import LayerError, LayerUnavailable
from txchannels.layers.groups import Groups
from txchannels.layers.redis.operations import CLOSED, FULL
from txchannels.layers.redis.places import home_of
from txchannels.messages import copy_message

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.link import Link
    from txchannels.layers.redis.operations import Operation
    from txchannels.layers.redis.whereabouts import Whereabouts

__all__ = ["Homes", "report_membership"]

log = Logger()


class Homes:
    """See the module.

    Args:
        hub: The hub whose channels they are, or that asks others for theirs.
        lock: The hub's.
        known: What is known of the other hubs.
        expiry: Seconds after which a membership lapses.

    Thread: any, unless a method says otherwise.
    """

    def __init__(self, hub: JoinedHub, lock: Lock, known: Whereabouts, expiry: float) -> None:
        self._hub = hub
        self._lock = lock
        self._known = known
        self._groups = Groups(expiry, hub.seconds)

    def is_home_of(self, channel: str) -> bool:
        """Whether this hub has made *channel*."""
        return home_of(channel) == self._hub.address

    def ask(self, channels: Iterable[str]) -> None:
        """Ask the hubs that made single-reader *channels* to let their messages go."""
        hub = self._hub
        for channel in channels:
            home = home_of(channel)
            if home is None or home == hub.address or self._known.has_asked(channel):
                continue
            try:
                link = hub.routes.to_inbox(home)
                link.submit(
                    hub.writer.want(home, channel, link.time), partial(self._asked, channel)
                )
            except LayerUnavailable:
                continue

    def _asked(self, channel: str, outcome: int | LayerError) -> None:
        if outcome == 0:
            self._known.note_asked(channel)

    # Memberships

    def change(self, group: str, channel: str, *, is_member: bool) -> None:
        """Make *channel*, that a hub has made, a member of *group*, or none.

        Raises: LayerUnavailable: That hub cannot be told.
        """
        home = home_of(channel)
        hub = self._hub
        if home is None or home == hub.address:
            with self._lock:
                self._change(group, channel, is_member=is_member)
            return
        link = hub.routes.to_inbox(home)
        operation = hub.writer.tell_home(home, group, channel, link.time, is_member=is_member)
        link.submit(operation, partial(self._told, group, channel, is_member))

    def change_here(self, group: str, channel: str, *, is_member: bool) -> None:
        """Do what another hub has asked for. Thread: the reactor's."""
        try:
            self.change(group, channel, is_member=is_member)
        except LayerUnavailable as error:
            report_membership(channel, error)

    def _told(self, group: str, channel: str, is_member: bool, outcome: int | LayerError) -> None:
        if outcome == CLOSED:  # its home is gone: nothing of it waits anywhere but in Redis
            self.register(group, channel, is_member=is_member)
        else:
            report_membership(channel, outcome)

    def register(self, group: str, channel: str, *, is_member: bool) -> None:
        """Change what Redis knows, and nothing else."""
        link = self._hub.routes.to_member(group, channel)
        try:
            link.submit(
                self._operation(link, group, channel, is_member=is_member),
                partial(report_membership, channel),
            )
        except LayerUnavailable as error:
            report_membership(channel, error)

    def _change(self, group: str, channel: str, *, is_member: bool) -> None:
        """With the lock held, so that Redis hears of it in the same order."""
        link = self._hub.routes.to_member(group, channel)
        link.submit(
            self._operation(link, group, channel, is_member=is_member),
            partial(report_membership, channel),
        )
        if is_member:
            self._groups.add(group, channel, None)
        else:
            self._groups.discard(group, channel)

    def _operation(self, link: Link, group: str, channel: str, *, is_member: bool) -> Operation:
        make = self._hub.writer.add if is_member else self._hub.writer.discard
        return make(group, channel, link.time)

    def leave_all(self, channel: str) -> None:
        """End the memberships of *channel*. With the lock held."""
        for group in self._groups.memberships(channel):
            try:
                self._change(group, channel, is_member=False)
            except LayerUnavailable:
                self._groups.discard(group, channel)

    def members(self, group: str) -> list[str]:
        """The members of *group* whose home this is."""
        with self._lock:
            return self._groups.unowned(group)

    def forget(self) -> None:
        """Forget all memberships. With the lock held."""
        self._groups.clear()

    def registrations(self, link: Link) -> Iterator[Operation]:
        """What Redis is to know of them. With the lock held."""
        for group, channel, seconds in self._groups.lapsing():
            if self._hub.routes.to_member(group, channel) is link:
                yield self._hub.writer.add(group, channel, link.time, seconds)

    def send(self, channels: Sequence[str], message: Message) -> int:
        """Send a copy to each of *channels*, in the order of what was sent to it before.

        Returns: How many had no room.
        """
        hub = self._hub
        full = 0
        for channel in channels:
            copied = copy_message(message)
            try:
                if hub.is_here(channel):
                    if not hub.offer(channel, copied):
                        hub.book_full(channel)
                        full += 1
                elif not hub.outgoing.post(channel, copied, _ignore, is_patient=False):
                    hub.book(channel, FULL)
                    full += 1
            except LayerError:  # booked; a group's message may miss a member
                continue
        return full


def report_membership(channel: str, outcome: int | LayerError) -> None:
    """Say that what should have become of a membership has not."""
    if outcome == FULL or isinstance(outcome, LayerError):
        reason = outcome if isinstance(outcome, LayerError) else "its host's inbox is full"
        log.warn("A membership of {channel} is lost: {reason}", channel=channel, reason=reason)


def _ignore(outcome: int | LayerError) -> None:
    """A group's message that finds no room is booked, and nobody is told."""
