"""Which of a hub's links leads to what: to a channel, a group, a membership, an inbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from txchannels.layers.redis.places import group_shard, member_shard, shard_of

if TYPE_CHECKING:
    from txchannels.layers.redis.link import Link

__all__ = ["Routes"]


class Routes:
    """See the module.

    Args:
        links: One a shard, in the order that all hubs have them in.

    Thread: any.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links
        self._turn = 0

    @property
    def is_crowded(self) -> bool:
        """Whether so much is on its way to some server that what can wait should."""
        return any(link.outbox.is_crowded for link in self._links)

    def to_channel(self, channel: str) -> Link:
        """The link to *channel*: the one that it is bound to, or the next that is up."""
        links = self._links
        at = shard_of(channel, len(links))
        if at is not None:
            return links[at]
        self._turn = turn = self._turn + 1
        for offset in range(len(links)):
            link = links[(turn + offset) % len(links)]
            if link.is_up:
                return link
        return links[turn % len(links)]

    def to_inbox(self, address: str) -> Link:
        """The link to where the inbox at *address* is known to others."""
        return self._links[shard_of(address, len(self._links)) or 0]

    def to_group(self, group: str) -> Link:
        """The link to where the owners of *group*'s members are registered."""
        return self._links[group_shard(group, len(self._links))]

    def to_member(self, group: str, channel: str) -> Link:
        """The link to where the membership of *channel* is registered."""
        return self._links[member_shard(group, channel, len(self._links))]
