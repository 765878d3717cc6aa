"""Delayed messages without the daemon: what ``manage.py rundelay`` does.

One thread: it takes what is sent to ``asgi.delay``, stores it, and sends what is due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Any

from django.db import Error, close_old_connections

from txchannels.django.delay.sending import look_after, send_due
from txchannels.django.delay.storing import store
from txchannels.errors import LayerError
from txchannels.messages import DELAY_CHANNEL

__all__ = ["DelayProgram"]

logger = logging.getLogger("django.channels")

#: A stop is heard of after so long, at most: nothing wakes who waits for a message.
LISTEN_SECONDS = 0.5

LOOK_AFTER_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 30.0


class DelayProgram:
    """See the module.

    Args:
        layer: As `channel_layers` gives it; other processes can reach it.
        sleep: Seconds from one look for what is due to the next.
        stopping: To be set when it is to end.

    Attributes:
        sent: How many messages it has sent.
        lost: How many it knows to be lost.
    """

    def __init__(self, layer: Any, sleep: float, stopping: Event) -> None:
        self.sent = 0
        self.lost = 0
        self._layer = layer
        self._sleep = sleep
        self._stopping = stopping
        self._in_hand: dict[str, Any] | None = None
        self._due_at = 0.0
        self._look_after_at = 0.0
        self._database = _Trouble("The database cannot be used: delayed messages wait", stopping)
        self._bus = _Trouble("The channel layer cannot be used: delayed messages wait", stopping)

    def run(self) -> None:
        """Work until it is to stop. What it has in hand then goes back, or is logged as lost."""
        while not self._stopping.is_set():
            try:
                self.step()
            except Error as error:
                self._database.seen(error)
            except LayerError as error:
                self._bus.seen(error)
            except Exception:
                logger.exception("rundelay goes on after an error:")
                self._stopping.wait(FIRST_PAUSE_SECONDS)
        self._put_back()

    def step(self) -> None:
        """Store the next message that comes before something is due; or send what is due.

        Raises: LayerError, django.db.Error: It does not work now; what is in hand stays so.
        """
        close_old_connections()
        if self._in_hand is None:
            left = self._due_at - time.monotonic()
            seconds = min(max(0.0, left), LISTEN_SECONDS)
            _, self._in_hand = self._layer.receive(
                [DELAY_CHANNEL], block=seconds > 0, timeout=seconds
            )
            self._bus.over()
        if self._in_hand is not None:
            row = store(self._layer.alias, self._in_hand)
            self._in_hand = None
            self._database.over()
            if row is not None and row.delay is not None:
                self._due_at = min(self._due_at, time.monotonic() + row.delay / 1000)
        if time.monotonic() >= self._due_at:
            self._send()

    def _send(self) -> None:
        now = time.monotonic()
        if now >= self._look_after_at:
            self._look_after_at = now + LOOK_AFTER_SECONDS
            self.lost += look_after(self._layer)
        # A program cannot always know whether what failed was sent.
        outcome = send_due(self._layer, trusts_refusals=False)
        self._database.over()
        self.sent += outcome.sent
        self.lost += outcome.lost
        seconds = self._sleep if outcome.due_in is None else min(self._sleep, outcome.due_in)
        self._due_at = time.monotonic() + seconds

    def _put_back(self) -> None:
        if self._in_hand is None:
            return
        try:
            self._layer.send(DELAY_CHANNEL, self._in_hand)
        except Exception as error:
            logger.error(
                "A message of %s for %s is lost at the stop: %r",
                DELAY_CHANNEL,
                self._in_hand.get("channel"),
                error,
            )


class _Trouble:
    """What fails for a while: said once, and waited for, each time longer.

    Args:
        what: What is said of it.
        stopping: Ends the waiting.
    """

    def __init__(self, what: str, stopping: Event) -> None:
        self._what = what
        self._pause: Callable[[float], bool] = stopping.wait
        self._seconds = 0.0

    def seen(self, error: Exception) -> None:
        """It has failed; returns when it may be tried again."""
        if not self._seconds:
            logger.error("%s; trying again until it works: %s", self._what, error)
        self._seconds = min(LAST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self._seconds))
        self._pause(self._seconds)

    def over(self) -> None:
        """It works."""
        if self._seconds:
            self._seconds = 0.0
            logger.warning("%s: this is over", self._what)
