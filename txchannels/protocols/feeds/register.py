"""All feeds of a site: those that are open, and those that are about to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

if TYPE_CHECKING:
    from txchannels.protocols.feeds.base import Feed

__all__ = ["Feeds"]

log = Logger()


class Feeds:
    """See the module. Thread: the reactor's."""

    def __init__(self) -> None:
        self._open: set[Feed] = set()
        self._answers: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def add(self, feed: Feed) -> None:
        """*feed* has begun."""
        self._open.add(feed)

    def discard(self, feed: Feed) -> None:
        """*feed* is over."""
        self._open.discard(feed)

    def all(self) -> list[Feed]:
        """Those that are open now."""
        return list(self._open)

    def after_batch(self, answer: Callable[[], None]) -> None:
        """Call *answer* when all has come that comes together."""
        self._answers.append(answer)

    def batch_delivered(self) -> None:
        """All has come that came together."""
        answers, self._answers = self._answers, []
        for answer in answers:
            try:
                answer()
            except Exception:
                log.failure("A poll could not be answered")

    def check(self, now: float) -> None:
        """Hold all to their times; called again and again."""
        for feed in list(self._open):
            try:
                feed.check(now)
            except Exception:
                log.failure("An event stream or poll could not be checked")
                feed.abort()
