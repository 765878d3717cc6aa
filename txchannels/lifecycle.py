"""Services that start one after the other, and stop in the reverse order, each waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger

__all__ = ["OrderedService"]

log = Logger()


class OrderedService(Service):
    """Starts *children* in their order; stops them in the reverse one.

    Twisted's ``MultiService`` asks all children to stop at once.
    """

    def __init__(self, children: Sequence[Service]) -> None:
        self._children = list(children)

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        for child in self._children:
            child.privilegedStartService()

    def startService(self) -> None:
        super().startService()
        for child in self._children:
            child.startService()

    @inlineCallbacks
    def stopService(self) -> Any:
        super().stopService()
        for child in reversed(self._children):
            try:
                yield child.stopService()
            except Exception:
                log.failure("Stopping {child} failed", child=type(child).__name__)
