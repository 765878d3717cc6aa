"""A reader of channels at a daemon's hub, in another process: what it asks for, said sparingly."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from txchannels.errors import LayerUnavailable
from txchannels.layers.interfaces import ISubscription, Message
from txchannels.layers.ipc.frames import Word, encode

if TYPE_CHECKING:
    from txchannels.layers.ipc.link import Link

__all__ = ["LinkSubscription"]


@implementer(ISubscription)
class LinkSubscription:
    """See `ISubscription`.

    Attributes:
        deliver: Gets the message's number, its channel and itself.
    """

    def __init__(
        self, link: Link, at: int, deliver: Callable[[int, str, Message], None], slack: int = 0
    ) -> None:
        self.deliver = deliver
        self._link = link
        self._at = at
        self._slack = slack
        self._is_cancelled = False
        self._finished: deque[int] = deque()
        self._lock = threading.Lock()
        self._wanted = 0

    def request(self, count: int) -> None:
        with self._lock:
            self._wanted += count
            if 0 < self._wanted <= self._slack and not self._is_cancelled:
                return
        self.flush()

    def finish(self, number: int) -> None:
        """A message was run to its end; said with the next `request`, whoever's that is."""
        self._finished.append(number)
        if self._is_cancelled:
            self.flush()  # there may be no next one

    def flush(self) -> None:
        """Send what waits to be asked and said."""
        frame = self.take_frame()
        if frame:
            try:
                self._link.request(frame)
            except LayerUnavailable:
                pass  # there is nobody to ask; whoever owns the link is told of its end

    def take_frame(self) -> bytes:
        """What waits to be asked and said; empty if there is nothing."""
        with self._lock:
            wanted, self._wanted = self._wanted, 0
            finished = [self._finished.popleft() for _ in range(len(self._finished))]
        if self._is_cancelled:
            wanted = 0
        return encode(Word.REQUEST, self._at, wanted, finished) if wanted or finished else b""

    def cancel(self) -> int:
        if self._is_cancelled:
            return 0
        self._is_cancelled = True
        with self._lock:
            unsaid = self._wanted
        self.flush()
        return unsaid + self._link.cancel(self._at)
