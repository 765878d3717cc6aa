"""The layer's face for programs that are not the daemon: a shell, Celery, a cron job.

Each call is one round trip on a connection of redis-py's pool, which is safe across
threads and forks. Nothing is ever sent twice: a call whose answer did not come fails, as
one that may have been done (`Unanswered`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from txchannels.errors import (
    ChannelClosed,
    ChannelFull,
    LayerError,
    LayerUnavailable,
    MessageTooLarge,
    Unanswered,
)
from txchannels.layers.codec import ElementError
from txchannels.layers.interfaces import IBlockingLayer, Message, Send
from txchannels.layers.names import check_channel, check_channels, check_group, make_name
from txchannels.layers.redis import pages, patience, pools
from txchannels.layers.redis.homewait import TAKEN, is_lasting, wait_for_home
from txchannels.layers.redis.lists import Lists
from txchannels.layers.redis.operations import FAILED, FULL, Operation, Script, failure_of, write
from txchannels.layers.redis.outcomes import Outcome
from txchannels.layers.redis.places import (
    address_of,
    home_of,
    list_key,
    member_shard,
    name_in,
    unowned_key,
)
from txchannels.layers.redis.reading import read_waiting
from txchannels.layers.redis.sends import OPERATIONS, Sends
from txchannels.layers.redis.shards import Shards
from txchannels.layers.redis.writer import Config, Writer
from txchannels.messages import copy_message

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host
    from txchannels.layers.redis.shard import Shard

__all__ = ["DirectBlocking"]

RECEIVE_SECONDS = 5.0
RETRY_SECONDS = 0.02

MEMBERS = Script("members")


@implementer(IBlockingLayer)
class DirectBlocking:
    """See `IBlockingLayer`.

    Args:
        hosts: The shards.
        config: What all parts of the layer share.
    """

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(
        self,
        hosts: Sequence[Host],
        config: Config,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.extensions = ["groups", "flush", "statistics"]
        self.group_expiry = config.group_expiry
        self._config = config
        self._prefix = config.prefix
        self._clock = clock
        self._shards = Shards(hosts)
        self._writer = Writer(config)

    # Sending

    def send(self, channel: str, message: Message, *, wait: float = 0.0) -> bool:
        sends = [("channel", check_channel(channel), copy_message(message))]
        for _, error in self.send_many(sends, wait=wait):  # type: ignore[arg-type]
            if isinstance(error, ChannelClosed):
                return False
            raise error
        return True

    def send_many(
        self, sends: Iterable[Send], *, wait: float = 0.0
    ) -> list[tuple[Send, LayerError]]:
        until = self._clock() + wait
        with patience.within(pools.COMMAND_SECONDS):
            work = Sends(self._shards, self._writer, self._prefix, sends)
            work.place()
            work.go()
        while work.is_waiting and self._clock() < until:
            Event().wait(RETRY_SECONDS)
            with patience.within(pools.COMMAND_SECONDS + min(0.0, until - self._clock())):
                work.go()
        work.give_up()
        outcomes = work.outcomes
        return [(outcome.send, outcome.failure()) for outcome in outcomes if outcome.errors]

    def send_group(self, group: str, message: Message) -> int:
        outcome = Outcome(("group", check_group(group), copy_message(message)), self._shards)
        full = 0
        with patience.within(pools.COMMAND_SECONDS):
            lost = self._shards.meet_all(self._shards)
            there = [shard for shard in self._shards if shard not in lost]
            operations = {
                shard: [self._writer.group(group, outcome.send[2], shard.time)] for shard in there
            }
            answers = self._shards.ask_all(
                there,
                lambda shard: shard.begin(OPERATIONS, write(self._prefix, operations[shard])),
            )
        for shard, answer in {**lost, **answers}.items():
            if isinstance(answer, LayerUnavailable):
                outcome.errors.append(answer)  # the members on other servers get it all the same
                continue
            [verdict] = self._verdicts(shard, answer)
            if verdict == FAILED:
                outcome.errors.append(failure_of(operations[shard][0]))
            else:
                full += verdict
        if outcome.errors:
            raise outcome.failure()
        return full

    def _operate(self, shard: Shard, batch: list[Operation]) -> list[int]:
        verdicts = self._verdicts(shard, shard.run(OPERATIONS, write(self._prefix, batch)))
        for operation, verdict in zip(batch, verdicts, strict=True):
            if verdict == FAILED:
                raise failure_of(operation)
        return verdicts

    def _verdicts(self, shard: Shard, answer: list[Any]) -> list[int]:
        now, *verdicts = answer
        shard.seen(now)
        return [int(verdict) for verdict in verdicts]

    # Receiving

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        names = check_channels(channels)
        until = self._clock() + (RECEIVE_SECONDS if timeout is None else timeout)
        lists = Lists(self._shards, self._prefix, names)
        while True:
            with patience.within(pools.COMMAND_SECONDS + min(0.0, until - self._clock())):
                for shard, key, data in lists.take():
                    received = self._read(shard, key, data)
                    if received is not None:
                        return received
            left = until - self._clock()
            if not block or left <= 0:
                return None, None
            with patience.within(pools.COMMAND_SECONDS + left):
                for shard, key, data in lists.wait(left):
                    received = self._read(shard, key, data)
                    if received is not None:
                        return received

    def _read(self, shard: Shard, key: bytes, data: bytes) -> tuple[str, Message] | None:
        """What was taken; None if it has expired, or is nothing that this layer wrote."""
        try:
            return read_waiting(
                self._config.codec, name_in(self._prefix, key)[1], data, shard.time.now()
            )
        except ElementError:
            return None

    # The rest

    def new_channel(self, pattern: str) -> str:
        lost: set[Shard] = set()
        with patience.within(pools.COMMAND_SECONDS):
            while True:
                name = make_name(pattern)
                shard = self._shard_of(name)
                if shard in lost:
                    continue
                try:
                    with patience.share(len(self._shards) - len(lost)):
                        if not shard.call("EXISTS", list_key(self._prefix, name)):
                            return name
                except LayerUnavailable:
                    lost.add(shard)  # another name may be bound to one that is there
                    if len(lost) == len(self._shards):
                        raise

    def group_add(self, group: str, channel: str) -> None:
        with patience.within(pools.COMMAND_SECONDS):
            self._add(group, channel)

    def _add(self, group: str, channel: str) -> None:
        shard = self._member_shard(check_group(group), check_channel(channel))
        if self._is_done_at_home(shard, group, channel, is_member=True):
            return
        operation = self._writer.add(group, channel, shard.synchronise())
        done = self._change(shard, operation, channel)
        if done > 0:  # Its owner must have heard of it before that sends to the group.
            known = [self._prefix, address_of(channel), done]
            with suppress(LayerUnavailable):  # it is a member, whoever has heard of it
                wait_for_home(lambda: bool(shard.run(TAKEN, known)), self._clock)

    def group_discard(self, group: str, channel: str) -> None:
        with patience.within(pools.COMMAND_SECONDS):
            self._discard(group, channel)

    def _discard(self, group: str, channel: str) -> None:
        shard = self._member_shard(check_group(group), check_channel(channel))
        if self._is_done_at_home(shard, group, channel, is_member=False):
            return
        operation = self._writer.discard(group, channel, shard.synchronise())
        self._change(shard, operation, channel)

    def _is_done_at_home(self, shard: Shard, group: str, channel: str, *, is_member: bool) -> bool:
        """Have the hub that made *channel* change its membership; False if none is there."""
        home = home_of(channel)
        if home is None:
            return False
        inbox = self._shard_of(home)
        time = inbox.synchronise()
        told = self._writer.tell_home(home, group, channel, time, is_member=is_member)
        verdict = self._operate(inbox, [told])[0]
        if verdict == FULL:
            raise ChannelFull(f"The host that made {channel} has no room in its inbox")
        key = unowned_key(self._prefix, group)

        def has_changed() -> bool:
            now = shard.synchronise().now()
            return is_lasting(shard.call("HGET", key, channel), now) is is_member

        try:
            return verdict == 0 and wait_for_home(has_changed, self._clock)
        except LayerUnavailable as error:
            raise Unanswered(f"{error}; {channel} may have been changed") from None

    def _change(self, shard: Shard, operation: Operation, channel: str) -> int:
        """Change a membership; that of a client that is gone needs no change."""
        verdict = self._operate(shard, [operation])[0]
        if verdict == FULL:
            raise ChannelFull(f"The host that owns {channel} has no room in its inbox")
        return verdict

    def group_channels(self, group: str) -> list[str]:
        arguments = [self._prefix, check_group(group)]
        with patience.within(pools.COMMAND_SECONDS):
            answers = self._shards.ask_all(
                self._shards, lambda shard: shard.begin(MEMBERS, arguments)
            )
        for answer in answers.values():
            if isinstance(answer, LayerUnavailable):
                raise answer
        return [name.decode() for shard in self._shards for name in answers[shard]]

    def flush(self) -> None:
        for shard in self._shards:
            pages.flush(partial(self._run, shard), self._config, self._writer, shard.synchronise())

    def global_statistics(self) -> dict[str, float]:
        return self._statistics(None)

    def channel_statistics(self, channel: str) -> dict[str, float]:
        return self._statistics(check_channel(channel))

    def _statistics(self, channel: str | None) -> dict[str, float]:
        counts = full = pending = 0
        age = 0.0
        with patience.within(pools.COMMAND_SECONDS):
            lost = self._shards.ask_time(self._shards)
        if len(lost) == len(self._shards):
            raise lost[self._shards[0]]
        for shard in self._shards:
            if shard in lost:  # as in the daemon: what can be reached is counted
                continue
            now = shard.time.now()
            found = pages.look(partial(self._run, shard), self._prefix, channel)
            counts += found.counted
            full += found.full
            pending += found.pending
            if found.first is not None:
                age = max(age, (now + self._config.expiry_ms - found.first) / 1000)
        return {
            "messages_count": counts,
            "messages_pending": pending,
            "messages_max_age": age,
            "channel_full_count": full,
        }

    def _run(self, shard: Shard, script: Script, *arguments: Any) -> Any:
        """What a script of `pages` returns."""
        return shard.run(script, [self._prefix, *arguments])

    def _shard_of(self, channel: str) -> Shard:
        """The server that *channel*, one with one reader, is bound to."""
        bound = self._shards.of(channel)
        assert bound is not None
        return bound

    def _member_shard(self, group: str, channel: str) -> Shard:
        return self._shards[member_shard(group, channel, len(self._shards))]
