"""The layer's face for programs that are not the daemon: a shell, Celery, a cron job.

Each call is one round trip on a connection of redis-py's pool, which is safe across
threads and forks. Nothing is ever sent twice: a call whose answer did not come fails, as
one that may have been done (`Unanswered`).
"""

from __future__ import annotations

import random
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
from txchannels.layers.interfaces import GROUP, IBlockingLayer, Message, Send
from txchannels.layers.names import check_channel, check_channels, check_group, make_name
from txchannels.layers.redis import pages
from txchannels.layers.redis.homewait import TAKEN, is_lasting, wait_for_home
from txchannels.layers.redis.operations import FULL, Operation, Script, error_of, write
from txchannels.layers.redis.outcomes import Outcome
from txchannels.layers.redis.places import (
    address_of,
    home_of,
    list_key,
    member_shard,
    name_in,
    shard_of,
    unowned_key,
)
from txchannels.layers.redis.reading import read_waiting
from txchannels.layers.redis.shard import Shard
from txchannels.layers.redis.writer import Config, Writer
from txchannels.messages import copy_message

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host

__all__ = ["DirectBlocking"]

RECEIVE_SECONDS = 5.0
RETRY_SECONDS = 0.02

OPERATIONS = Script("operations")
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
        self._shards = [Shard(host) for host in hosts]
        self._turn = 0
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
        outcomes: list[Outcome] = []
        batches: dict[Shard, list[tuple[Outcome, Operation]]] = {}
        for send in sends:
            kind, name, message = send
            make = self._writer.group if kind == GROUP else self._writer.message
            shards = self._shards if kind == GROUP else [self._shard_of(name)]
            outcome = Outcome(send, shards)
            outcomes.append(outcome)
            for shard in shards:
                try:
                    operation = make(name, message, shard.synchronise())
                    batches.setdefault(shard, []).append((outcome, operation))
                except LayerError as error:
                    outcome.errors.append(error)
        until = self._clock() + wait
        for shard, batch in batches.items():
            self._send_batch(shard, batch, until)
        return [(outcome.send, outcome.failure()) for outcome in outcomes if outcome.errors]

    def _send_batch(
        self, shard: Shard, batch: list[tuple[Outcome, Operation]], until: float
    ) -> None:
        """Send all, and until it is too late again what found no room."""
        while batch:
            try:
                verdicts = self._operate(shard, [operation for _, operation in batch])
            except LayerError as error:
                for outcome, _ in batch:
                    outcome.errors.append(error)
                return
            full = []
            for (outcome, operation), verdict in zip(batch, verdicts, strict=True):
                kind, name, _ = outcome.send
                if kind == GROUP:
                    continue
                if verdict == FULL:
                    full.append((outcome, operation))
                elif (failure := error_of(verdict, name)) is not None:
                    outcome.errors.append(failure)
            if not full or self._clock() >= until:
                for outcome, _ in full:
                    outcome.errors.append(_full(outcome.send[1]))
                return
            Event().wait(RETRY_SECONDS)
            batch = full

    def send_group(self, group: str, message: Message) -> int:
        outcome = Outcome(("group", check_group(group), copy_message(message)), self._shards)
        full = 0
        for shard in self._shards:
            try:
                operation = self._writer.group(group, outcome.send[2], shard.synchronise())
                full += self._operate(shard, [operation])[0]
            except LayerUnavailable as error:
                outcome.errors.append(error)  # the members on other servers get it all the same
        if outcome.errors:
            raise outcome.failure()
        return full

    def _operate(self, shard: Shard, batch: list[Operation]) -> list[int]:
        now, *verdicts = shard.run(OPERATIONS, write(self._prefix, batch))
        shard.seen(now)
        return [int(verdict) for verdict in verdicts]

    # Receiving

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        names = check_channels(channels)
        if len(names) > 1:
            random.shuffle(names)  # a busy channel must not starve a quiet one
        keys = [list_key(self._prefix, name) for name in names]
        until = self._clock() + (RECEIVE_SECONDS if timeout is None else timeout)
        while True:
            for shard in self._take_turns():
                while (taken := self._pop(shard, keys)) is not None:
                    received = self._read(shard, *taken)
                    if received is not None:
                        return received
            left = until - self._clock()
            if not block or left <= 0:
                return None, None
            received = self._wait(keys, left)
            if received is not None:
                return received

    def _take_turns(self) -> list[Shard]:
        self._turn = turn = (self._turn + 1) % len(self._shards)
        return self._shards[turn:] + self._shards[:turn]

    def _pop(self, shard: Shard, keys: list[str]) -> tuple[bytes, bytes] | None:
        taken = shard.call("LMPOP", len(keys), *keys, "LEFT")
        return None if taken is None else (taken[0], taken[1][0])

    def _wait(self, keys: list[str], seconds: float) -> tuple[str, Message] | None:
        """Wait for a message on one server; of several, only a moment on each."""
        shard = self._shards[self._turn]
        several = len(self._shards) > 1
        seconds = min(seconds, 0.1 if several else 1.0)
        taken = shard.call("BLMPOP", f"{seconds:.3f}", len(keys), *keys, "LEFT")
        return None if taken is None else self._read(shard, taken[0], taken[1][0])

    def _read(self, shard: Shard, key: bytes, data: bytes) -> tuple[str, Message] | None:
        """What was taken; None if it has expired, or is nothing that this layer wrote."""
        try:
            return read_waiting(
                self._config.codec, name_in(self._prefix, key)[1], data, shard.synchronise().now()
            )
        except ElementError:
            return None

    # The rest

    def new_channel(self, pattern: str) -> str:
        while True:
            name = make_name(pattern)
            key = list_key(self._prefix, name)
            if not self._shard_of(name).call("EXISTS", key):
                return name

    def group_add(self, group: str, channel: str) -> None:
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
        return [name.decode() for shard in self._shards for name in shard.run(MEMBERS, arguments)]

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
        for shard in self._shards:
            now = shard.synchronise().now()
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
        at = shard_of(channel, len(self._shards))
        return self._take_turns()[0] if at is None else self._shards[at]

    def _member_shard(self, group: str, channel: str) -> Shard:
        return self._shards[member_shard(group, channel, len(self._shards))]


def _full(channel: str) -> ChannelFull:
    return ChannelFull(f"Channel {channel} is full")
