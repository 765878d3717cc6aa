"""A program's sends, each to its server; all servers at the same time, and again where full.

What a server has not taken, of a channel that is bound to none, another one gets.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from txchannels.errors import ChannelFull, LayerError, LayerUnavailable, Unanswered
from txchannels.layers.interfaces import GROUP
from txchannels.layers.redis.operations import (
    FAILED,
    FULL,
    Operation,
    Script,
    error_of,
    failure_of,
    write,
)
from txchannels.layers.redis.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from txchannels.layers.interfaces import Send
    from txchannels.layers.redis.shard import Question, Shard
    from txchannels.layers.redis.shards import Shards
    from txchannels.layers.redis.writer import Writer

__all__ = ["OPERATIONS", "Sends"]

OPERATIONS = Script("operations")


class _Part(NamedTuple):
    """What one server is to do of one send."""

    outcome: Outcome
    operation: Operation


class Sends:
    """See the module.

    Args:
        sends: What is sent, in order.
        prefix: The start of every key.
    """

    def __init__(self, shards: Shards, writer: Writer, prefix: str, sends: Iterable[Send]) -> None:
        self._shards = shards
        self._writer = writer
        self._prefix = prefix
        self._parts: dict[Shard, list[_Part]] = {}
        self._full: dict[Shard, list[_Part]] = {}
        self._tried: dict[Outcome, set[Shard]] = {}
        self._nowhere: LayerUnavailable | None = None
        self.outcomes = [Outcome(send, self._servers(send)) for send in sends]

    @property
    def is_waiting(self) -> bool:
        """Whether some have found no room, and all else is done."""
        return bool(self._full)

    def _servers(self, send: Send) -> list[Shard]:
        """Where *send* goes; nowhere in particular if that is nothing."""
        kind, name, _ = send
        if kind == GROUP:
            return list(self._shards)
        bound = self._shards.of(name)
        return [] if bound is None else [bound]

    def place(self) -> None:
        """Find the servers for all."""
        known = [shard for outcome in self.outcomes for shard in outcome.servers]
        lost = self._shards.meet_all(dict.fromkeys(known))
        for outcome in self.outcomes:
            if not outcome.servers:
                self._pass_on(outcome)
            for shard in outcome.servers:
                if shard in lost:
                    outcome.errors.append(lost[shard])
                else:
                    self._put(shard, outcome)

    def go(self) -> None:
        """Send what is placed, and what has found no room before."""
        parts, self._parts = {**self._parts}, {}
        for shard, full in self._full.items():
            parts[shard] = full + parts.get(shard, [])
        self._full = {}
        while parts:
            answers = self._shards.ask_all(parts, partial(self._ask, parts))
            for shard, tried in parts.items():
                if isinstance(answer := answers[shard], LayerUnavailable):
                    self._failed(shard, tried, answer)
                else:
                    self._answered(shard, tried, answer)
            parts, self._parts = self._parts, {}

    def give_up(self) -> None:
        """Let what has found no room be."""
        for full in self._full.values():
            for outcome, _ in full:
                outcome.errors.append(ChannelFull(f"Channel {outcome.send[1]} is full"))
        self._full = {}

    def _pass_on(self, outcome: Outcome) -> None:
        """Send what any server will do for to the next."""
        tried = self._tried.setdefault(outcome, set())
        if self._nowhere is None:
            try:
                self._put(self._shards.pick(tried), outcome)
                return
            except LayerUnavailable as error:
                if not tried:
                    self._nowhere = error  # the next need not find that out, too
                outcome.errors.append(error)
        else:
            outcome.errors.append(self._nowhere)

    def _put(self, shard: Shard, outcome: Outcome) -> None:
        kind, name, message = outcome.send
        make = self._writer.group if kind == GROUP else self._writer.message
        try:
            part = _Part(outcome, make(name, message, shard.time))
        except LayerError as error:
            outcome.errors.append(error)
        else:
            self._parts.setdefault(shard, []).append(part)

    def _ask(self, parts: dict[Shard, list[_Part]], shard: Shard) -> Question:
        operations = [operation for _, operation in parts[shard]]
        return shard.begin(OPERATIONS, write(self._prefix, operations))

    def _answered(self, shard: Shard, parts: list[_Part], answer: list[bytes]) -> None:
        now, *verdicts = answer
        shard.seen(int(now))
        for part, verdict in zip(parts, map(int, verdicts), strict=True):
            kind, name, _ = part.outcome.send
            if verdict == FAILED:
                part.outcome.errors.append(failure_of(part.operation))
            elif kind == GROUP:
                continue
            elif verdict == FULL:
                self._full.setdefault(shard, []).append(part)
            elif (failure := error_of(verdict, name)) is not None:
                part.outcome.errors.append(failure)

    def _failed(self, shard: Shard, parts: list[_Part], error: LayerUnavailable) -> None:
        for outcome, _ in parts:
            tried = self._tried.get(outcome)
            if tried is None or isinstance(error, Unanswered):
                outcome.errors.append(error)
                continue
            tried.add(shard)
            if len(tried) < len(self._shards):
                self._pass_on(outcome)
            else:
                outcome.errors.append(error)
