"""One of twistd's commands as a service: its signals, its parts in their order, its status."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

from txchannels.lifecycle import OrderedService, Stop, on_rotation
from txchannels.notify import Notifier

__all__ = ["Command"]

STATUS_SECONDS = 5.0


class Command(OrderedService):
    """See the module.

    Args:
        reactor: The reactor.
        stop: How it ends.
        parts: In the order of their start.
        environ: Where systemd says how to be told of all that.
    """

    def __init__(
        self, reactor: Any, stop: Stop, parts: Sequence[Service], environ: Any = None
    ) -> None:
        super().__init__(parts)
        self._reactor = reactor
        self._stop = stop
        self._notifier = Notifier(os.environ if environ is None else environ, reactor)
        self._status = LoopingCall(self._tell_status)
        self._status.clock = reactor

    def privilegedStartService(self) -> None:
        self._stop.install()
        on_rotation(self._reactor, self._rotated)
        super().privilegedStartService()

    def startService(self) -> None:
        super().startService()
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection need look at it again
        self._reactor.callWhenRunning(self._runs)

    def stopService(self) -> Any:
        self._notifier.stopping("Stopping")
        self._notifier.extend(self._stop.seconds_left())
        if self._status.running:
            self._status.stop()
        return super().stopService().addBoth(self._stopped)

    def status(self) -> str:
        """What there is to say of it now, in one line for people."""
        return "Running"

    def _runs(self) -> None:
        """The reactor runs: whatever listens answers now."""
        self._notifier.ready(self.status())
        self._watch()

    def _watch(self) -> None:
        """Show from now on that the reactor turns, and what it is at."""
        self._notifier.start_watchdog(lambda: True)
        self._status.start(STATUS_SECONDS, now=False)

    def _stopped(self, result: Any) -> Any:
        self._notifier.stop()
        return result

    def _tell_status(self) -> None:
        self._notifier.status(self.status())

    def _rotated(self) -> None:
        """Open anew what is written to. SIGUSR1 ends no command, even if nothing is."""
