"""In which order Redis has done what two hubs have changed of one membership.

What its owner changes is done at once there, and later in Redis. What another hub changes is
done at once in Redis, and later at the owner, which finds it in its inbox. So what the two
have asked for at the same time may be done in one order here and in the other one there. Each
is stamped with the server's time when Redis does it; by that the owner knows, and says again
what holds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Order"]

#: How long it is known when Redis has done what this hub asked for: what was done before that
#: has come here by then.
KEPT_SECONDS = 10.0
MAX_KEPT = 10_000

Membership = tuple[str, str]


class _Asked:
    """A change that Redis has not answered, and the first of others' that came meanwhile."""

    __slots__ = ("heard",)

    def __init__(self) -> None:
        self.heard: float | None = None


class Order:
    """See the module.

    Only the last change that this hub has asked for counts: it was asked for after all others
    that had come here by then.

    Args:
        clock: The time in seconds; only differences count.

    Thread: whoever holds the hub's lock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked: dict[Membership, _Asked] = {}
        self._done: OrderedDict[Membership, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._asked) + len(self._done)

    def ask(self, membership: Membership) -> _Asked:
        """Note that Redis is asked to change *membership*. Returns: what `answered` is told."""
        self._done.pop(membership, None)
        asked = self._asked[membership] = _Asked()
        return asked

    def answered(self, membership: Membership, asked: _Asked, stamp: float | None) -> bool:
        """Note that it was done at *stamp*; None when it is to be done anew, or nobody knows.

        Returns: whether Redis has done it after what came here meanwhile, or may have.
        """
        if self._asked.get(membership) is not asked:
            return False
        del self._asked[membership]
        if stamp is None:
            return asked.heard is not None
        self._done[membership] = stamp, self._clock()
        self._forget_old()
        return asked.heard is not None and asked.heard < stamp

    def is_crossed(self, membership: Membership, stamp: float) -> bool:
        """Whether Redis had done what now came here, at *stamp*, before what this hub asked for.

        While that is not answered, `answered` says it.
        """
        asked = self._asked.get(membership)
        if asked is not None:
            asked.heard = stamp if asked.heard is None else min(stamp, asked.heard)
            return False
        done = self._done.get(membership)
        return done is not None and stamp < done[0]

    def _forget_old(self) -> None:
        done = self._done
        before = self._clock() - KEPT_SECONDS
        while len(done) > MAX_KEPT or next(iter(done.values()))[1] < before:
            done.popitem(last=False)
