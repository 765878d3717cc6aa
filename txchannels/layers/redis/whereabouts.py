"""What a hub knows of the others: who reads what, which channels are closed, where they wait."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock

__all__ = ["Whereabouts"]

MAX_REMEMBERED = 10_000

#: How often the home of a channel is asked, as long as a reader waits.
ASK_AGAIN_SECONDS = 5.0


class Whereabouts:
    """See the module; of each kind, the last names are remembered.

    Args:
        expiry: Seconds after which a message that nobody read is gone.
        clock: The time in seconds; only differences count.

    Attributes:
        read_elsewhere: The channels that other hubs read.

    Thread: any.
    """

    def __init__(self, expiry: float, clock: Callable[[], float]) -> None:
        self.read_elsewhere: frozenset[str] = frozenset()
        self._expiry = expiry
        self._clock = clock
        self._lock = Lock()
        self._reads: dict[Hashable, frozenset[str]] = {}
        self._closed: OrderedDict[str, float] = OrderedDict()
        self._away: OrderedDict[str, float] = OrderedDict()
        self._asked: OrderedDict[str, float] = OrderedDict()

    def saw_reads(self, server: Hashable, reads: Sequence[str]) -> None:
        """Take note of what the hubs read that are known to *server*, each between blanks."""
        self._reads[server] = frozenset(name for one in reads for name in one.split())
        self.read_elsewhere = frozenset().union(*self._reads.values())

    def note_closed(self, channel: str, seconds: float = math.inf) -> None:
        """Remember for some time that nobody reads *channel* any more."""
        self._remember(self._closed, channel, self._clock() + seconds)

    def is_closed(self, channel: str) -> bool:
        """Whether that is known."""
        until = self._closed.get(channel)
        return until is not None and until > self._clock()

    def note_away(self, name: str) -> None:
        """Remember that the single reader of *name* finds its next messages in Redis."""
        self._remember(self._away, name, self._clock())

    def is_away(self, name: str) -> bool:
        """Whether there is something in Redis that what comes now must not overtake."""
        since = self._away.get(name)
        return since is not None and self._clock() - since < self._expiry

    def has_left(self, name: str) -> bool:
        """Whether messages of *name* have ever gone to Redis."""
        return name in self._away

    def note_asked(self, channel: str) -> None:
        """Remember that the home of *channel* was asked for its messages."""
        self._remember(self._asked, channel, self._clock())

    def has_asked(self, channel: str) -> bool:
        """Whether it was, a short time ago: the question may have been lost with a server."""
        asked = self._asked.get(channel)
        return asked is not None and self._clock() - asked < ASK_AGAIN_SECONDS

    def forget_asked(self) -> None:
        """Have every home be asked anew."""
        with self._lock:
            self._asked.clear()

    def _remember(self, names: OrderedDict[str, float], name: str, value: float) -> None:
        with self._lock:
            names[name] = value
            names.move_to_end(name)
            if len(names) > MAX_REMEMBERED:
                names.popitem(last=False)
