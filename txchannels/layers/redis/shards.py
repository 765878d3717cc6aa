"""All servers, as programs reach them: which one to ask, and several at the same time.

A server that could not be reached a moment ago is passed over where another will do. What may
have been done on one server is never asked of another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis import patience
from txchannels.layers.redis.places import shard_of
from txchannels.layers.redis.shard import Question, Shard, undone

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host

__all__ = ["Shards"]

#: What a server that was lost is given to show that it is back, while others are there.
DOUBT_SECONDS = 0.5


class Shards(Sequence[Shard]):
    """See the module. Thread: any.

    Args:
        hosts: In the order that all members of the site have them in.
    """

    def __init__(self, hosts: Iterable[Host]) -> None:
        self._shards = [Shard(host) for host in hosts]
        self._turn = 0

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, at: Any) -> Any:
        return self._shards[at]

    def of(self, channel: str) -> Shard | None:
        """The server that *channel* is bound to; None if any will do."""
        at = shard_of(channel, len(self._shards))
        return None if at is None else self._shards[at]

    def take_turns(self) -> list[Shard]:
        """All, another one first at each call, and last those that are away."""
        self._turn = turn = (self._turn + 1) % len(self._shards)
        turned = self._shards[turn:] + self._shards[:turn]
        return sorted(turned, key=lambda shard: shard.is_away)

    def pick(self, tried: Collection[Shard] = ()) -> Shard:
        """A server for what any will do for: the next that answers, but none of *tried*.

        Raises: LayerUnavailable: None does, and nothing was done.
        """
        lost: dict[Shard, LayerUnavailable] = {}
        left = [shard for shard in self.take_turns() if shard not in tried]
        for shard in self.meet_in_turn(left, lost, patient=True):
            return shard
        raise next(iter(lost.values()))

    def meet_in_turn(
        self, shards: Sequence[Shard], lost: dict[Shard, LayerUnavailable], *, patient: bool
    ) -> Iterator[Shard]:
        """Those of *shards* that answer; the others come into *lost*.

        Args:
            patient: Whether those that are away are asked, too, where no other has answered.
        """
        is_any_here = not all(shard.is_away for shard in shards)
        for at, shard in enumerate(shards):
            if shard.is_away and is_any_here and not patient:
                lost[shard] = undone(LayerUnavailable(str(shard.loss)))
                continue
            try:
                self._meet(shard, len(shards) - at)
            except LayerUnavailable as error:
                lost[shard] = error
            else:
                yield shard

    def _meet(self, shard: Shard, to_go: int) -> None:
        if shard.is_time_known and shard.loss is None:
            return
        with patience.share(to_go + 1):
            if shard.loss is not None and to_go > 1:
                with patience.within(DOUBT_SECONDS):
                    shard.meet()
            else:
                shard.meet()

    def meet_all(self, shards: Iterable[Shard]) -> dict[Shard, LayerUnavailable]:
        """Have all of *shards* tell their time who never have; those that do not answer."""
        with patience.share(2):
            lost = self.ask_time([shard for shard in shards if not shard.is_time_known])
            return {shard: undone(error) for shard, error in lost.items()}

    def ask_time(self, shards: Sequence[Shard]) -> dict[Shard, LayerUnavailable]:
        """Have all of *shards* tell their time now. Returns: those that do not answer."""
        lost: dict[Shard, LayerUnavailable] = {}
        for shard, answer in self.ask_all(shards, lambda shard: shard.ask(["TIME"])).items():
            if isinstance(answer, LayerUnavailable):
                lost[shard] = answer
            else:
                shard.tell_time(answer)
        return lost

    def ask_all(
        self, shards: Iterable[Shard], ask: Callable[[Shard], Question]
    ) -> dict[Shard, Any]:
        """What each of *shards* answers, or the LayerUnavailable that it comes to.

        All are asked before the first answer is waited for: silent ones are waited for together.

        Raises: ConfigurationError: One can never work.
        """
        asked: dict[Shard, Question] = {}
        answers: dict[Shard, Any] = {}
        ordered = sorted(shards, key=lambda shard: shard.loss is not None)
        try:
            for at, shard in enumerate(ordered):
                try:
                    with patience.share(len(ordered) - at + 1):
                        asked[shard] = ask(shard)
                except LayerUnavailable as error:
                    answers[shard] = error
            for shard, question in asked.items():
                try:
                    answers[shard] = question.answer()
                except LayerUnavailable as error:
                    answers[shard] = error
        finally:
            for question in asked.values():
                question.drop()
        return answers
