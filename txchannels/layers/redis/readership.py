"""Who reads what on this host: what the others are told, and what is asked of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txchannels.layers.queues import Subscription

__all__ = ["Readership"]

#: The most channels of which others are told.
MAX_READS = 1_000


class Readership:
    """The subscriptions of one hub.

    Attributes:
        shared: The channels that are read here, and perhaps elsewhere.
        has_workers: Whether anybody reads such channels now.
        has_read: Whether anybody has ever read here.

    Thread: any.
    """

    def __init__(self) -> None:
        self.shared: frozenset[str] = frozenset()
        self.has_workers = False
        self.has_read = False
        self._subscriptions: set[Subscription] = set()
        self._is_draining = False

    def add(self, subscription: Subscription) -> None:
        self._subscriptions.add(subscription)
        self.has_read = True
        self._changed()

    def discard(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        self._changed()

    def _changed(self) -> None:
        """Note who reads what, for `JoinedHub.is_here`, which has to be quick."""
        shared = [one for one in tuple(self._subscriptions) if _is_shared(one)]
        self.has_workers = bool(shared)
        self.shared = frozenset(queue.name for one in shared for queue in one.queues)

    def drain(self) -> None:
        """Ask for no more work."""
        self._is_draining = True

    def demanding(self) -> list[Subscription]:
        """The subscriptions that ask for messages now."""
        return [
            one
            for one in tuple(self._subscriptions)
            if one.requested > 0 and one.queues and not (self._is_draining and _is_shared(one))
        ]

    def told(self) -> str:
        """The channels that are read here, between blanks."""
        asking = () if self._is_draining else tuple(self._subscriptions)
        names = {queue.name for one in asking for queue in one.queues}
        shared = sorted(name for name in names if "?" not in name and "!" not in name)
        return f" {' '.join(shared[:MAX_READS])} "

    def single(self) -> Iterator[str]:
        """The channels with one reader that are read here."""
        for one in tuple(self._subscriptions):
            yield from (queue.name for queue in one.queues if "?" in queue.name)


def _is_shared(subscription: Subscription) -> bool:
    """Whether others may read what *subscription* does."""
    return not any("?" in queue.name or "!" in queue.name for queue in subscription.queues)
