"""What cannot be sent because the layer's server is away: all of it is counted, a burst said once.

Hundreds of answers may fail in a second, all for the same reason and none by a fault of the
code that has sent them: a line, or a traceback, for each would bury the rest of the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock

__all__ = ["REPORT_SECONDS", "Unsent", "unsent"]

logger = logging.getLogger("django.channels")

#: What is lost is said once in so many seconds.
REPORT_SECONDS = 10.0


class Unsent:
    """See the module.

    Args:
        clock: The time in seconds; only differences count.

    Attributes:
        count: How many messages could not be sent until now.

    Thread: any.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._lock = Lock()
        self._next_report = float("-inf")

    def note(self, channel: str, reason: Exception) -> None:
        """Count a message to *channel*; say it if nothing was said for some seconds."""
        with self._lock:
            self.count += 1
            count, now = self.count, self._clock()
            if now < self._next_report:
                return
            self._next_report = now + REPORT_SECONDS
        logger.error(
            "Failed to send queued message to channel %r: %r (%d so far)", channel, reason, count
        )


unsent = Unsent()
