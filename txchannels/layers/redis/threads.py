"""The joined hub's face for worker threads: what stays here is local, the rest one round trip."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.errors import ChannelClosed, ChannelFull, LayerError, LayerUnavailable
from txchannels.layers.blocking import RECEIVE_SECONDS, HubBlocking
from txchannels.layers.interfaces import CHANNEL, GROUP, Message, Send
from txchannels.layers.names import check_channel, check_channels, check_group, owner_of
from txchannels.layers.redis import pages
from txchannels.layers.redis.awaited import Answers, AwaitedSends, Crossing
from txchannels.layers.redis.homes import report_membership
from txchannels.layers.redis.homewait import TAKEN, is_lasting, wait_for_home
from txchannels.layers.redis.link import MEMBERS
from txchannels.layers.redis.losses import Losses
from txchannels.layers.redis.operations import FULL, Script
from txchannels.layers.redis.places import (
    address_of,
    home_of,
    list_key,
    unowned_key,
)
from txchannels.messages import copy_message

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.link import Link

__all__ = ["JoinedBlocking"]

log = Logger()

RETRY_SECONDS = 0.02


class JoinedBlocking(HubBlocking):
    """See `IBlockingLayer`.

    Args:
        hub: The joined hub.
        call_from_thread: Runs a callable in the reactor's thread.
    """

    def __init__(
        self, hub: JoinedHub, call_from_thread: Callable[[Callable[[], None]], object]
    ) -> None:
        super().__init__(hub)
        self._joined = hub
        crossing = Crossing(call_from_thread)
        self._ask = crossing.ask
        self._call = crossing.call
        self._lost = Losses(self._clock)
        self.flush = self._flush

    # Sending

    def send(self, channel: str, message: Message, *, wait: float = 0.0) -> bool:
        copied = copy_message(message)
        if self._joined.is_here(check_channel(channel)):
            try:
                self._send(channel, copied, self._clock() + wait)
            except ChannelClosed:
                return False
            return True
        until = self._clock() + wait
        if address_of(channel) is not None:
            try:
                self._post(channel, copied, until)
            except ChannelClosed:
                return False
            return True
        away = AwaitedSends(self._joined, until, self._clock)
        away.send((CHANNEL, channel, copied))
        for _, error in away.wait():
            if isinstance(error, ChannelClosed):
                return False
            raise error
        return True

    def send_many(
        self, sends: Iterable[Send], *, wait: float = 0.0
    ) -> list[tuple[Send, LayerError]]:
        failed: list[tuple[Send, LayerError]] = []
        until = self._clock() + wait
        away: AwaitedSends | None = None  # most of what a consumer sends stays here
        is_here = self._joined.is_here
        for send in sends:
            kind, name, message = send
            try:
                if kind == GROUP:
                    self._hub.send_group(name, message)
                elif not is_here(name):
                    if address_of(name) is None:
                        away = away or AwaitedSends(self._joined, until, self._clock)
                        away.send(send)
                    else:
                        self._post(name, message, until)
                elif not self._hub.offer(name, message):
                    self._send(name, message, until)
            except LayerError as error:
                failed.append((send, error))
        return failed if away is None else failed + away.wait()

    def send_group(self, group: str, message: Message) -> int:
        """See `IBlockingLayer.send_group`.

        Returns: How many members had no room here. Those of other hosts and those that nobody
            owns are not among them: Redis' answer would have to be waited for.
        """
        return super().send_group(group, message)

    def _post(self, channel: str, message: Message, until: float) -> None:
        """Send to a socket or request of another host, without waiting for the verdict.

        Raises: ChannelFull: There was no room in time. ChannelClosed: As the owner has said.
        """
        outgoing = self._joined.outgoing
        while not outgoing.post(channel, message, partial(self._report, channel)):
            room = Event()
            left = until - self._clock()
            if left <= 0:
                self._joined.book(channel, FULL)
                raise ChannelFull(f"Channel {channel} is full")
            if outgoing.when_room(channel, room.set):
                room.wait(left)
                outgoing.forget_room(channel, room.set)
            else:
                room.wait(min(left, RETRY_SECONDS))  # crowded by others

    def _report(self, channel: str, outcome: int | LayerError) -> None:
        """A reply was given up after its consumer had ended: only the log can be told.

        Thread: the reactor's.
        """
        if isinstance(outcome, ChannelClosed):
            return
        if not self._lost.note():
            return
        reason = outcome if isinstance(outcome, LayerError) else "its channel stayed full"
        log.warn(
            "A reply to {channel} is lost: {reason} ({count} so far)",
            channel=channel,
            reason=reason,
            count=self._lost.count,
        )

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        names = check_channels(channels)
        self._joined.ask_homes(names)
        taken = self._hub.take(names) or self._fetch(names)
        if taken is None and block:
            taken = self._receive_later(names, RECEIVE_SECONDS if timeout is None else timeout)
        return taken or (None, None)

    def _fetch(self, names: Sequence[str]) -> tuple[str, Message] | None:
        """Take one message from Redis, which may have to be asked several times."""
        for link in self._joined.links:
            keys = [list_key(link.prefix, owner_of(name)) for name in names]
            random.shuffle(keys)  # a busy channel must not starve a quiet one
            while link.is_up:
                reply = self._ask(link, partial(_pop, link, keys))
                if reply is None:
                    break
                taken = self._call(partial(self._take_over, link, reply))
                if taken is not None:
                    return taken
        return None

    def _take_over(
        self, link: Link, reply: tuple[bytes, list[bytes]]
    ) -> tuple[str, Message] | None:
        """What is next, now that this came. Thread: the reactor's."""
        key, [element] = reply
        return self._joined.incoming.receive(link, key, element)

    # Groups and the rest

    def group_add(self, group: str, channel: str) -> None:
        if self._joined.memberships.is_elsewhere(check_channel(channel)):
            self._add_elsewhere(check_group(group), channel)
            return
        super().group_add(group, channel)
        self._wait_for_home(group, channel, is_member=True)
        # What is sent next may go by another way: it must not be faster.
        if len(self._joined.links) > 1 or not self._joined.is_here(channel):
            for link in self._joined.links:
                self._wait_for(link)

    def group_discard(self, group: str, channel: str) -> None:
        super().group_discard(group, channel)
        self._wait_for_home(group, channel, is_member=False)

    def _add_elsewhere(self, group: str, channel: str) -> None:
        """Make another hub's *channel* a member, and wait until that hub knows."""
        answers = Answers()
        link = self._joined.memberships.add_elsewhere(group, channel, answers.expect())
        [outcome] = answers.wait()
        report_membership(channel, outcome)
        if isinstance(outcome, LayerError) or outcome < 0:
            return
        ask = partial(link.run, TAKEN, link.prefix, address_of(channel), outcome)
        try:
            wait_for_home(lambda: bool(self._ask(link, ask)), self._clock)
        except LayerUnavailable:
            pass

    def _wait_for_home(self, group: str, channel: str, *, is_member: bool) -> None:
        """Wait until the hub that made *channel*, if another has, has changed its membership."""
        if home_of(channel) in (None, self._joined.address):
            return
        link = self._joined.routes.to_member(group, channel)
        ask = partial(link.call, "HGET", unowned_key(link.prefix, group), channel)

        def has_changed() -> bool:
            return is_lasting(self._ask(link, ask), link.time.now()) is is_member

        if not wait_for_home(has_changed, self._clock):
            self._joined.homes.register(group, channel, is_member=is_member)
            self._wait_for(link)

    def _wait_for(self, link: Link) -> None:
        """Wait until all that was asked before is done."""
        try:
            self._ask(link, link.finish)
        except LayerUnavailable:
            pass

    def group_channels(self, group: str) -> list[str]:
        check_group(group)
        members = dict.fromkeys(self._joined.local_members(group))
        for link in self._joined.links:
            if link.is_up:
                found = self._ask(link, partial(link.run_after, MEMBERS, group))
                members.update(dict.fromkeys(name.decode() for name in found))
        return list(members)

    def _flush(self) -> None:
        self._hub.flush()
        hub = self._joined
        for link in hub.links:
            pages.flush(partial(self._run, link), hub.config, hub.writer, link.time)

    def global_statistics(self) -> dict[str, float]:
        return self._statistics(None)

    def channel_statistics(self, channel: str) -> dict[str, float]:
        return self._statistics(check_channel(channel))

    def _statistics(self, channel: str | None) -> dict[str, float]:
        """Those of this hub and, where they can be reached, of the servers."""
        found = self._hub.statistics(channel)
        for link in self._joined.links:
            if not link.is_up:
                continue
            there = pages.look(partial(self._run, link), link.prefix, channel)
            found["messages_count"] += there.counted
            found["channel_full_count"] += there.full
            found["messages_pending"] += there.pending
            if there.first is not None:
                age = (link.time.now() - there.first) / 1000 + self._joined.expiry_seconds
                found["messages_max_age"] = max(found["messages_max_age"], age)
        return found

    def _run(self, link: Link, script: Script, *arguments: Any) -> Any:
        """What a script of `pages` returns."""
        if script in pages.FIRST_SCRIPTS:
            return self._ask(link, partial(link.run_after, script, *arguments))
        return self._ask(link, partial(link.run, script, link.prefix, *arguments))


def _pop(link: Link, keys: Sequence[str]) -> Deferred[Any]:
    return link.call("LMPOP", len(keys), *keys, "LEFT")
