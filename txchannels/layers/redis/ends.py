"""The two ends of a link: the server it leads to, and what it asks of the hub it comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from txchannels.layers.queues import Subscription
    from txchannels.layers.redis.connection import Connection
    from txchannels.layers.redis.link import Link

__all__ = ["LinkOwner", "Server"]


@dataclass(frozen=True)
class Server:
    """How a server is reached.

    Attributes:
        name: What people know it by; no secret is in it.
        connect: Makes a connection within some seconds.
        find_master: Where the sentinels, if there are any, say that it is.
    """

    name: str
    connect: Callable[[float], Deferred[Connection]]
    find_master: Callable[[float], Deferred[tuple[str, int] | None]] | None = None


class LinkOwner(Protocol):
    """What a link asks of the hub it belongs to. Thread: the reactor's."""

    def addresses(self) -> list[str]: ...

    def reads(self) -> str: ...

    def open(self, link: Link) -> None: ...

    def demanding(self, link: Link) -> list[Subscription]: ...

    def took(self, link: Link, key: bytes, elements: Sequence[bytes]) -> None: ...

    def give_back(self) -> None: ...

    def saw_others(self, link: Link, reads: Sequence[str]) -> None: ...

    def came_up(self, link: Link, since: float | None) -> None: ...

    def went_down(self, link: Link) -> None: ...
