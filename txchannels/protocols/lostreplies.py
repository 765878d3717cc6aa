"""Requests whose replies may have been lost with the layer's server: patience is shorter for them.

A reply that other hosts send while the server is away is gone, and nothing tells so. What is
unanswered when the server is back has some seconds left; then it is answered 504. A reply
that comes sooner is delivered as ever: it was late, not lost.

Thread: the reactor's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.protocols.exchange import Exchange

if TYPE_CHECKING:
    from txchannels.protocols.site import Site

__all__ = ["LostReplies"]

log = Logger()


class LostReplies:
    """The exchanges that were unanswered when the layer's server came back.

    What has begun its response is none of them, nor is an event stream or a long poll.

    Args:
        site: Whose exchanges they are; says how long they are waited for.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._since: dict[Exchange, float] = {}

    def doubt(self, targets: Iterable[Any], now: float) -> None:
        """Any of *targets*, read from reply channels, may have missed its answer before *now*."""
        if not self._site.http.lost_reply_timeout_seconds:
            return
        for target in targets:
            if isinstance(target, Exchange) and _is_waited_for(target):
                since = self._since.setdefault(target, now)
                if target.moved_at > since:
                    self._since[target] = now

    def check(self, now: float) -> None:
        """Answer those that were waited for long enough; called again and again."""
        if not self._since:
            return
        patience = self._site.http.lost_reply_timeout_seconds
        lost = []
        for exchange, since in list(self._since.items()):
            # One whose body has been read on since is known to run.
            if not _is_waited_for(exchange) or exchange.moved_at > since:
                del self._since[exchange]
            elif now - since > patience and not exchange.waits_for_body:
                del self._since[exchange]
                lost.append(exchange)
        for exchange in lost:
            self._site.count("http.reply_lost")
            exchange.fail(504, "The answer was lost while a server of the site was away.")
        if lost:
            log.warn(
                "{count} requests are answered 504: no reply came within {seconds:g} s after the "
                "layer's server was back; it was lost, or the view takes longer "
                "(--lost-reply-timeout)",
                count=len(lost),
                seconds=patience,
            )


def _is_waited_for(exchange: Exchange) -> bool:
    return not (exchange.status or exchange.is_over or exchange.is_live)
