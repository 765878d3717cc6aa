"""Where the messages of some channels wait, and what is taken from there by a program."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from txchannels.errors import LayerUnavailable, Unanswered
from txchannels.layers.redis.places import list_key

if TYPE_CHECKING:
    from txchannels.layers.redis.shard import Shard
    from txchannels.layers.redis.shards import Shards

__all__ = ["Lists"]

#: How long one server is waited for: the only one, or one of several.
ALONE_SECONDS = 1.0
TURN_SECONDS = 0.1

#: What was taken, from where.
Taken = tuple["Shard", bytes, bytes]


class Lists:
    """The lists of *channels*: of one that is bound to a server there, of any other on all.

    A server that cannot be reached is passed over, but not where a channel is bound to it.
    """

    def __init__(self, shards: Shards, prefix: str, channels: Sequence[str]) -> None:
        self._shards = shards
        self._bound = {shard for name in channels if (shard := shards.of(name)) is not None}
        self._keys: dict[Shard, list[str]] = {}
        self._here: list[Shard] = []
        names = list(channels)
        random.shuffle(names)  # a busy channel must not starve a quiet one
        for name in names:
            bound = shards.of(name)
            for shard in shards if bound is None else [bound]:
                self._keys.setdefault(shard, []).append(list_key(prefix, name))

    def take(self) -> Iterator[Taken]:
        """All that waits, one after the other, until no more is asked for.

        Raises: LayerUnavailable: Nothing was taken, and a server cannot be asked that must be.
            Unanswered: A message may be lost.
        """
        lost: dict[Shard, LayerUnavailable] = {}
        self._here = []
        asked = [shard for shard in self._shards.take_turns() if shard in self._keys]
        for shard in self._shards.meet_in_turn(asked, lost, patient=False):
            try:
                while (taken := self._pop(shard)) is not None:
                    yield shard, taken[0], taken[1][0]
                self._here.append(shard)
            except Unanswered:
                raise
            except LayerUnavailable as error:
                lost[shard] = error
        missed = [shard for shard in lost if shard in self._bound]
        if missed or not self._here:
            raise lost[missed[0] if missed else asked[0]]

    def wait(self, seconds: float) -> Iterator[Taken]:
        """What comes within a moment to a server that has just answered."""
        shard = self._here[0]
        several = len(self._keys) > 1
        seconds = min(seconds, TURN_SECONDS if several else ALONE_SECONDS)
        keys = self._keys[shard]
        try:
            taken = shard.call("BLMPOP", f"{seconds:.3f}", len(keys), *keys, "LEFT")
        except Unanswered:
            raise
        except LayerUnavailable:
            if not several:
                raise
            return  # the next turn finds out who is there
        if taken is not None:
            yield shard, taken[0], taken[1][0]

    def _pop(self, shard: Shard) -> tuple[bytes, list[bytes]] | None:
        keys = self._keys[shard]
        found: tuple[bytes, list[bytes]] | None = shard.call("LMPOP", len(keys), *keys, "LEFT")
        return found
