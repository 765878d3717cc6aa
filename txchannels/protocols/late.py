"""Messages that must not be dropped lightly, and have found their channel full.

They say that a client is gone, so they come in bursts: ten thousand sockets may close at
once. Each waits in its channel's line, and goes when there is room. What finds the lines
full, too, is lost: booked by the layer as dropped, counted here, and logged once a burst.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from twisted.logger import Logger

from txchannels.errors import ChannelFull, LayerError

if TYPE_CHECKING:
    from txchannels.layers.interfaces import IReactorLayer, Message

__all__ = ["LEAST_LATE", "LateMessages"]

log = Logger()

#: So many may wait in any case, however few connections there may be.
LEAST_LATE = 10_000

#: A message counts once more for each of these in its path, which the client chooses.
PATH_CHARACTERS = 1024


class LateMessages:
    """See the module.

    Args:
        layer: Where they go.
        max_connections: So many of each kind may wait, but no fewer than `LEAST_LATE`: all
            connections may end at once. Channels with the same name before a ``?`` are of a kind.
        count: Told the name of each event that is worth it.

    Attributes:
        lost: How many were lost for want of a place.

    Thread: the reactor's.
    """

    def __init__(
        self, layer: IReactorLayer, max_connections: int, count: Callable[[str], None]
    ) -> None:
        self.lost = 0
        self._layer = layer
        self._limit = max(LEAST_LATE, max_connections)
        self._count = count
        self._lines: dict[str, deque[Message]] = {}
        self._weights: Counter[str] = Counter()
        self._burst: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def use(self, layer: IReactorLayer, max_connections: int) -> None:
        """Send by another layer from now on, also what waits."""
        self._layer = layer
        self._limit = max(LEAST_LATE, max_connections)
        for channel in list(self._lines):
            self._go_on(channel)

    def send(self, channel: str, message: Message) -> None:
        """Send *message* now, or when *channel* has room."""
        if channel not in self._lines:
            if self._offer(channel, message):
                return
        elif not self._has_place(channel, message):
            self._send_waiting(channel)  # there may be some room, though nobody was told
        if self._has_place(channel, message):
            self._enter(channel, message)
        else:
            self._send_last(channel, message)

    def _has_place(self, channel: str, message: Message) -> bool:
        return self._weights[_kind(channel)] + _weight(message) <= self._limit

    def _enter(self, channel: str, message: Message) -> None:
        self._weights[_kind(channel)] += _weight(message)
        if channel in self._lines:
            self._lines[channel].append(message)
        else:
            self._lines[channel] = deque((message,))
            self._wait(channel)

    def _send_last(self, channel: str, message: Message) -> None:
        """Have the layer take *message*, or book that it was dropped."""
        try:
            self._layer.send(channel, message)
        except ChannelFull:
            self._lose(channel)
        except LayerError:
            self._count("layer.unavailable")

    def _lose(self, channel: str) -> None:
        kind = _kind(channel)
        self.lost += 1
        self._count("layer.late_lost")
        self._burst[kind] += 1
        if self._burst[kind] == 1:
            log.error(
                "Messages to {kind} are lost: its channel is full, and {count} wait for room. "
                "Its consumers are too slow, or there are too few workers",
                kind=kind,
                count=len(self),
            )

    # When there is room

    def _wait(self, channel: str) -> None:
        self._layer.when_room(channel, partial(self._room_made, self._layer, channel))

    def _room_made(self, layer: IReactorLayer, channel: str) -> None:
        if layer is self._layer and channel in self._lines:
            self._go_on(channel)

    def _go_on(self, channel: str) -> None:
        """Send what waits for *channel*, as far as that goes; the rest waits on."""
        self._send_waiting(channel)
        if self._lines[channel]:
            self._wait(channel)
            return
        del self._lines[channel]
        kind = _kind(channel)
        if not self._weights[kind]:
            del self._weights[kind]
            if lost := self._burst.pop(kind, 0):
                log.info(
                    "{kind} has room again; {count} messages to it were lost", kind=kind, count=lost
                )

    def _send_waiting(self, channel: str) -> None:
        line, kind = self._lines[channel], _kind(channel)
        while line and self._offer(channel, line[0]):
            self._weights[kind] -= _weight(line.popleft())

    def _offer(self, channel: str, message: Message) -> bool:
        """Whether *message* need not be sent again: it is taken, or the layer is away."""
        try:
            return self._layer.offer(channel, message)
        except LayerError:
            self._count("layer.unavailable")
            return True


def _kind(channel: str) -> str:
    """The part of a channel's name that others of its kind have, too."""
    return channel.partition("?")[0]


def _weight(message: Message) -> int:
    """How many ordinary messages take as much memory."""
    return 1 + len(message.get("path", "")) // PATH_CHARACTERS
