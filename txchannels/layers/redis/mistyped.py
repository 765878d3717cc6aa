"""Keys of channels that hold no list: left alone for a while, so that all others are read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import DeferredList
from twisted.logger import Logger

from txchannels.layers.redis.losses import Losses

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from txchannels.layers.redis.link import Link

__all__ = ["Mistyped", "is_mistyped"]

log = Logger()

#: How long such a key is left alone.
ALONE_SECONDS = 5.0


class Mistyped:
    """See the module.

    Args:
        link: To the server that has them.

    Thread: the reactor's.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._until: dict[str, float] = {}
        self._said = Losses(link.seconds)

    def without(self, keys: Iterable[str]) -> list[str]:
        """Those of *keys* that are to be read."""
        if not self._until:
            return list(keys)
        now = self._link.seconds()
        self._until = {key: until for key, until in self._until.items() if until > now}
        return [key for key in keys if key not in self._until]

    def find(self, keys: Iterable[str]) -> Deferred[bool]:
        """Leave those of *keys* alone that hold no list. Returns: whether there are some."""
        looks: list[Deferred[Any]] = []
        for key in keys:
            look = self._link.call("LLEN", key)
            looks.append(look.addErrback(self._note, key))
        return DeferredList(looks).addCallback(_is_any)

    def _note(self, failure: Any, key: str) -> bool | None:
        if not is_mistyped(failure):
            return None
        self._until[key] = self._link.seconds() + ALONE_SECONDS
        if self._said.note():
            log.error(
                "{link}: the key {key} holds what this layer has not written, so the channel is not"
                " read: delete it",
                link=self._link.name,
                key=key,
            )
        return True


def _is_any(looks: list[tuple[bool, Any]]) -> bool:
    return any(found is True for _, found in looks)


def is_mistyped(failure: Any) -> bool:
    """Whether a command has failed since a key holds something else."""
    return str(failure.value).startswith("WRONGTYPE ")
