"""The end of sockets at a stop: a few at a time, so that no herd of clients comes back at once.

Knows no transport and no message; time comes as numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Protocol

__all__ = ["Closable", "SocketDrain"]

#: So many new connections at once, and a second, harm no server: nobody waits for less.
BURST = 100
SOCKETS_PER_SECOND = 500.0


class Closable(Protocol):
    """A socket, or what else stays open, as far as its end goes."""

    @property
    def is_open(self) -> bool: ...

    def stop(self) -> None: ...


class SocketDrain:
    """Sockets that are to be closed, in random order: first a few, then evenly.

    Args:
        sockets: They are served until their turn comes.
        now: The time in seconds; only differences count.
        seconds: How long it may take at most; few sockets take less.
    """

    def __init__(self, sockets: Iterable[Closable], now: float, seconds: float) -> None:
        self._waiting = list(sockets)
        random.shuffle(self._waiting)
        self._since = now
        self._closed = 0
        count = len(self._waiting)
        self._burst = BURST if seconds > 0 else count
        self._rate = SOCKETS_PER_SECOND
        if count > self._burst:
            self._rate = max(self._rate, (count - self._burst) / seconds)

    def close_due(self, now: float) -> bool:
        """Close those whose turn has come. Whether none is left.

        Who has left by itself takes nobody's turn.
        """
        due = self._burst + self._rate * (now - self._since) - self._closed
        waiting = self._waiting
        while waiting and due >= 1:
            socket = waiting.pop()
            if socket.is_open:
                socket.stop()
                self._closed += 1
                due -= 1
        return not waiting
