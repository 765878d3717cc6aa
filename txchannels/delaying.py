"""The clock of delayed messages: it has one of the workers send what is due.

It keeps no message and knows no database. It sends a tick to a channel that workers read,
and the next one when the worker has reported: a second later, or sooner if something is
due by then, or much later if the database is away. Workers that store a message for less
than a second tell all clocks. So there is never a second tick while one is waiting.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.logger import Logger

from txchannels.errors import LayerError
from txchannels.messages import DELAY_TICK_CHANNEL, DelayTick
from txchannels.workers.restarts import Backoff

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from txchannels.settings import WorkerSettings

__all__ = ["DelayService"]

log = Logger()

TICK_SECONDS = 1.0

#: What is due between the report and then can wait so long.
LEAST_SECONDS = 0.005

#: A tick that nobody has reported on by then was lost, perhaps with another host.
REPORT_SECONDS = 90.0

#: How often a worker looks after what is seldom looked after.
FIRST_SECONDS = 60.0

FAILING_SECONDS = 30.0


class DelayService(Service):
    """See the module.

    Args:
        reactor: The reactor.
        layer: The reactor's face of the layer.
        settings: Whether the daemon is to send delayed messages at all.
        channels: What its workers read. They read the ticks if the site has
            ``txchannels.django.delay`` installed.

    Attributes:
        sent: How many delayed messages its workers have sent.
        lost: How many they know to be lost.

    Thread: the reactor's.
    """

    def __init__(
        self,
        reactor: Any,
        layer: Any,
        settings: WorkerSettings,
        channels: Collection[str] = (),
    ) -> None:
        self.sent = 0
        self.lost = 0
        self._reactor = reactor
        self._layer = layer
        self._settings = settings
        self._channels = channels
        self._inbox: Any = None
        self._channel = ""
        self._order = 0
        self._report: Mapping[str, Any] | None = None
        self._due_at = float("inf")
        self._first_at = 0.0
        self._next: IDelayedCall | None = None
        self._unreported: IDelayedCall | None = None
        self._backoff = Backoff(first=TICK_SECONDS, second=TICK_SECONDS, ceiling=FAILING_SECONDS)
        self._failing_since: float | None = None

    def startService(self) -> None:
        super().startService()
        self._begin()

    def stopService(self) -> None:
        super().stopService()
        self._end()

    def follow(self, channels: Collection[str]) -> None:
        """The workers read these channels from now on: tick, or no more."""
        self._channels = channels
        if not self._is_wanted:
            self._end()
        elif not self._channel:
            self._begin()

    def use(self, layer: Any, settings: WorkerSettings) -> None:
        """Use these, in the place of those with which no worker has been."""
        self._end()
        self._layer = layer
        self._settings = settings
        self._inbox = None
        self._begin()

    @property
    def _is_wanted(self) -> bool:
        return DELAY_TICK_CHANNEL in self._channels and not self._settings.no_delay

    def _begin(self) -> None:
        if not self.running or not self._is_wanted:
            return
        if self._inbox is None:
            prefix = f"txchannels.delay.{secrets.token_hex(6)}!"
            self._inbox = self._layer.open_inbox(prefix, self._told)
            self._layer.when_expired(self._expired)
        self._channel = self._inbox.open(f"{self._order}")
        self._first_at = self._reactor.seconds()
        self._wait(0.0)

    def _end(self) -> None:
        for call in (self._next, self._unreported):
            if call is not None:
                call.cancel()
        self._next = self._unreported = None
        if self._channel:
            self._inbox.close(self._channel)
            self._channel = ""

    def _wait(self, seconds: float) -> None:
        """Tick in so many seconds."""
        if self._next is not None:
            self._next.cancel()
        self._next = self._reactor.callLater(seconds, self._tick)

    def _tick(self) -> None:
        self._next = None
        now = self._reactor.seconds()
        self._report = None
        self._due_at = float("inf")
        self._order += 1
        is_first = now >= self._first_at
        message: DelayTick = {
            "reply_channel": self._channel,
            "order": self._order,
            "is_first": is_first,
        }
        try:
            wanted = self._layer.is_wanted(DELAY_TICK_CHANNEL)
            is_taken = wanted and self._layer.offer(DELAY_TICK_CHANNEL, message)
        except LayerError as error:
            log.debug("No tick: {error!r}", error=error)
            is_taken = False
        if not is_taken:
            self._wait(TICK_SECONDS)
            return
        if is_first:
            self._first_at = now + FIRST_SECONDS
        self._unreported = self._reactor.callLater(REPORT_SECONDS, self._give_up)

    def _expired(self, channel: str, message: Mapping[str, Any]) -> None:
        is_mine = message.get("reply_channel") == self._channel
        if channel == DELAY_TICK_CHANNEL and is_mine and message.get("order") == self._order:
            self._give_up()

    def _give_up(self) -> None:
        """Nobody will report on the tick any more."""
        if self._unreported is None:
            return
        if self._unreported.active():
            self._unreported.cancel()
        self._unreported = None
        self._first_at = self._reactor.seconds()
        self._wait(0.0)

    # What workers tell

    def _told(self, batch: list[tuple[Any, Mapping[str, Any]]]) -> None:
        for _, message in batch:
            due_in = message.get("due_in")
            if isinstance(due_in, float | int):
                self._due_at = min(self._due_at, self._reactor.seconds() + max(0.0, due_in))
            if message.get("order") == self._order:
                self._report = message
            elif self._order in (message.get("consumed"), message.get("lost")):
                self._reported()
        if self._next is not None and self._failing_since is None:
            self._come_earlier()

    def _come_earlier(self) -> None:
        """Something is due before the next tick."""
        assert self._next is not None
        seconds = max(LEAST_SECONDS, self._due_at - self._reactor.seconds())
        if self._reactor.seconds() + seconds < self._next.getTime():
            self._wait(seconds)

    def _reported(self) -> None:
        """The worker has come to its end with the tick, whatever that was."""
        if self._unreported is None:
            return
        self._unreported.cancel()
        self._unreported = None
        report, self._report = self._report, None
        if report is None:
            self._first_at = self._reactor.seconds()
            self._failed("a worker did not come to the end; its log says more")
        elif "failed" in report:
            self._failed(str(report["failed"]))
        else:
            self._worked(report)

    def _worked(self, report: Mapping[str, Any]) -> None:
        self.sent += int(report.get("sent", 0))
        self.lost += int(report.get("given_up", 0))
        if self._failing_since is not None:
            log.info(
                "Delayed messages are sent again, after {seconds:.0f} s",
                seconds=self._reactor.seconds() - self._failing_since,
            )
            self._failing_since = None
            self._backoff.reset()
        left = self._due_at - self._reactor.seconds()
        self._wait(TICK_SECONDS if left >= TICK_SECONDS else max(LEAST_SECONDS, left))

    def _failed(self, why: str) -> None:
        if self._failing_since is None:
            self._failing_since = self._reactor.seconds()
            log.error(
                "Delayed messages cannot be sent: {why}. They wait; trying again until it works",
                why=why,
            )
        self._wait(self._backoff.next())
