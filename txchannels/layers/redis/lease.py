"""A hub's lease on one server: while it lasts, the hub is alive for all others.

Each renewal tells the server what the hub reads, and the hub what the others read. A lease
that the server has lost means that all else is lost there, too: it is registered again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis.operations import Script

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from txchannels.layers.redis.link import Link

__all__ = ["LEASE", "Lease", "wall_clock"]

log = Logger()

LEASE = Script("lease")
LEAVE = Script("leave")

#: What txredisapi raises, by its name: to import it would install the reactor.
REFUSED = "txredisapi.ResponseError"

LEASE_SECONDS = 10.0
RENEW_SECONDS = 1.0

#: How often memberships are registered anew; Redis keeps them for two days.
REGISTER_SECONDS = 6 * 3600.0


class Lease:
    """See the module.

    Args:
        link: To the server.
        reactor: The reactor.

    Thread: the reactor's.
    """

    def __init__(self, link: Link, reactor: Any) -> None:
        self._link = link
        self._reactor = reactor
        self._last: float | None = None
        self._reported = ""
        self._registered = 0.0
        self._renewal = LoopingCall(self.renew)
        self._renewal.clock = reactor

    def start(self, *, now: bool = False) -> None:
        """Renew it again and again; the first time *now*, or when a lease just taken is due."""
        if not now:
            self._last = wall_clock()
        self._registered = self._reactor.seconds()
        self._renewal.start(RENEW_SECONDS, now=now)

    def stop(self) -> None:
        """Renew it no more."""
        if self._renewal.running:
            self._renewal.stop()

    def take(self) -> Deferred[int]:
        """Take it, or prolong it. Returns: 1 if the server had none of this hub."""
        link = self._link
        hub, *others = link.owner.addresses()
        milliseconds = int(LEASE_SECONDS * 1000)
        leased = link.run(LEASE, link.prefix, milliseconds, hub, link.owner.reads(), *others)
        return leased.addCallback(self._taken)

    def _taken(self, reply: list[Any]) -> int:
        self._link.time.seen(reply[0])
        self._link.owner.saw_others(self._link, [one.decode() for one in reply[2]])
        return int(reply[1])

    def renew(self) -> Any:
        """Renew it, now."""
        if not self._link.is_connected:
            return None
        self._link.look_for_master()
        renewed = self.take()
        renewed.addCallback(self._renewed, self._last)
        renewed.addErrback(self._report)
        return renewed

    def _report(self, failure: Any) -> None:
        """Say why it was not renewed: once, until another reason comes or it is renewed."""
        reason = f"{failure.type.__name__}: {failure.value}"
        if failure.check(LayerUnavailable) is not None or reason == self._reported:
            return
        self._reported = reason
        if failure.check(REFUSED) is None:
            log.failure("{link}: the lease was not renewed", failure=failure, link=self._link.name)
            return
        log.error(
            "{link} refuses to renew this host's lease, without which other hosts take it for gone "
            "after {seconds:g} s: {reason}",
            link=self._link.name,
            seconds=LEASE_SECONDS,
            reason=failure.value,
        )

    def _renewed(self, lapsed: int, since: float | None) -> None:
        """The server has lost our lease without losing us: it was emptied, or we slept."""
        link = self._link
        self._reported = ""
        self._last = link.note_answer()
        if lapsed:
            log.warn("{link} has forgotten this hub; registering again", link=link.name)
        elif self._reactor.seconds() - self._registered < REGISTER_SECONDS:
            return
        self.register()
        if lapsed:
            link.owner.came_up(link, since)

    def register(self) -> None:
        """Register all that the hub holds, and let operations follow."""
        self._registered = self._reactor.seconds()
        self._link.owner.open(self._link)
        self._link.flush()

    def end(self) -> Deferred[Any]:
        """Give it up: the server forgets this hub."""
        hub, *others = self._link.owner.addresses()
        return self._link.run(LEAVE, self._link.prefix, hub, hub, *others)


def wall_clock() -> float:
    """Seconds since the epoch, to be shown."""
    return time.clock_gettime(time.CLOCK_REALTIME)
