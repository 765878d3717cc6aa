"""Work that waits here while another host could run it goes to Redis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from txchannels.errors import LayerError

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.layers.queues import Queue
    from txchannels.layers.redis.hub import JoinedHub

__all__ = ["Spill"]

#: How long a message waits here before it is offered to other hosts.
WAIT_SECONDS = 0.02
MAX_AT_ONCE = 100


class Spill:
    """See the module.

    Args:
        hub: Where messages wait.
        clock: The hub's time in seconds.

    Thread: the reactor's.
    """

    def __init__(self, hub: JoinedHub, clock: Callable[[], float]) -> None:
        self._hub = hub
        self._clock = clock

    def __call__(self) -> None:
        """Look what has waited too long; to be called often."""
        self._hub.end_vain_waits()
        for queue, entries in self._hub.give_away(self._clock() - WAIT_SECONDS, MAX_AT_ONCE):
            for entry in entries:
                self._send(queue, entry)

    def _send(self, queue: Queue, entry: tuple[float, str, Message]) -> None:
        expires, channel, message = entry
        gone = partial(self._hub.gave_away, queue, entry)
        try:
            link = self._hub.link_for(channel)
            left = max(1, int((expires - self._clock()) * 1000))
            line = channel if "?" in channel else None
            link.submit(self._hub.writer.message(channel, message, link.time, left), gone, line)
        except LayerError as error:
            gone(error)
