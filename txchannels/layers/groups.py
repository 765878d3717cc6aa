"""Who is a member of which group.

A channel that an inbox owns is a member until it is discarded or its owner closes it;
any other lapses some time after it was last added (ASGI version 1, "Group expiry").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Groups"]


class _Group:
    """The members of one group: by the inbox that owns them, and those that none owns."""

    __slots__ = ("_snapshots", "lapsing", "owned")

    def __init__(self) -> None:
        self.owned: dict[Any, dict[str, None]] = {}
        self.lapsing: dict[str, float] = {}
        self._snapshots: dict[Any, tuple[str, ...]] = {}

    def add_owned(self, owner: Any, channel: str) -> None:
        self.lapsing.pop(channel, None)
        self.owned.setdefault(owner, {})[channel] = None
        self._snapshots.pop(owner, None)

    def discard(self, channel: str) -> None:
        self.lapsing.pop(channel, None)
        for owner, members in list(self.owned.items()):
            if channel in members:
                del members[channel]
                self._snapshots.pop(owner, None)
                if not members:
                    del self.owned[owner]

    def snapshot(self, owner: Any) -> tuple[str, ...]:
        """The members that *owner* holds; the same tuple until one comes or goes."""
        snapshot = self._snapshots.get(owner)
        if snapshot is None:
            snapshot = self._snapshots[owner] = tuple(self.owned[owner])
        return snapshot


class Groups:
    """All groups and their members.

    Args:
        expiry: Seconds for which an unowned channel stays a member after it was added.
        clock: The time in seconds; only differences count.

    Thread: whoever holds the layer's lock.
    """

    def __init__(self, expiry: float, clock: Callable[[], float]) -> None:
        self._expiry = expiry
        self._clock = clock
        self._groups: dict[str, _Group] = {}
        self._memberships: dict[str, set[str]] = {}

    def add(self, name: str, channel: str, owner: Any | None) -> None:
        """Make *channel* a member; *owner* is the inbox that owns it, if one does."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group()
        if owner is None:
            group.lapsing[channel] = self._clock() + self._expiry
        else:
            group.add_owned(owner, channel)
        self._memberships.setdefault(channel, set()).add(name)

    def discard(self, name: str, channel: str) -> None:
        """End one membership, if it exists."""
        group = self._groups.get(name)
        if group is None:
            return
        group.discard(channel)
        if not group.owned and not group.lapsing:
            del self._groups[name]
        groups = self._memberships.get(channel)
        if groups is not None:
            groups.discard(name)
            if not groups:
                del self._memberships[channel]

    def memberships(self, channel: str) -> tuple[str, ...]:
        """The groups that *channel* is a member of."""
        return tuple(self._memberships.get(channel, ()))

    def leave_all(self, channel: str) -> None:
        """End every membership of *channel*."""
        for name in self.memberships(channel):
            self.discard(name, channel)

    def owned(self) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
        """Every group's owned members, as (group, owner, channels)."""
        for name, group in self._groups.items():
            for owner in group.owned:
                yield name, owner, group.snapshot(owner)

    def snapshots(self, name: str) -> Iterator[tuple[Any, tuple[str, ...]]]:
        """The owned members of a group, as (owner, channels)."""
        group = self._groups.get(name)
        if group is not None:
            for owner in group.owned:
                yield owner, group.snapshot(owner)

    def unowned(self, name: str) -> list[str]:
        """The members of a group that no inbox owns and that have not lapsed."""
        group = self._groups.get(name)
        if group is None or not group.lapsing:
            return []
        self._lapse(name, group)
        return list(group.lapsing)

    def lapsing(self) -> Iterator[tuple[str, str, float]]:
        """Every unowned member, as (group, channel, seconds until it lapses)."""
        self.sweep()
        now = self._clock()
        for name, group in self._groups.items():
            for channel, until in group.lapsing.items():
                yield name, channel, until - now

    def members(self, name: str) -> list[str]:
        """All members of a group."""
        owned = [channel for _, channels in self.snapshots(name) for channel in channels]
        return owned + self.unowned(name)

    def sweep(self) -> None:
        """Forget every membership that has lapsed."""
        for name, group in list(self._groups.items()):
            self._lapse(name, group)

    def clear(self) -> None:
        """Forget every group."""
        self._groups.clear()
        self._memberships.clear()

    def _lapse(self, name: str, group: _Group) -> None:
        now = self._clock()
        for channel in [one for one, until in group.lapsing.items() if until <= now]:
            self.discard(name, channel)
