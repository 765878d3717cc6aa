"""How the daemon starts and ends: its parts in order, its signals, its exit code."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

__all__ = [
    "OrderedService",
    "Stop",
    "give_up",
    "ignore_reloads",
    "on_rotation",
    "tell_operator",
]

log = Logger()

POLL_SECONDS = 0.02

#: How long threads that the site itself has started may hold up the end.
EXIT_SECONDS = 2.0


class OrderedService(Service):
    """Starts *children* in their order; stops them in the reverse one, waiting for each.

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
                yield maybeDeferred(child.stopService)
            except Exception:
                log.failure("Stopping {child} failed", child=type(child).__name__)


class Stop:
    """How the daemon ends: by signals, in bounded time.

    Args:
        reactor: The reactor.
        seconds: How long a stop may take, all its steps together.

    Attributes:
        reload: Called at each SIGHUP; without it, that stops the daemon as SIGTERM does.

    Thread: the reactor's.
    """

    def __init__(self, reactor: Any, seconds: float) -> None:
        self.reload: Callable[[], object] | None = None
        self._reactor = reactor
        self._seconds = seconds
        self._since: float | None = None
        self._is_now = False
        self._exit_code = 0

    def install(self) -> None:
        """Take the signals: now, and again when the reactor has set its own handlers."""
        self._take_signals()
        self._reactor.callWhenRunning(self._take_signals)
        self._reactor.addSystemEventTrigger("after", "shutdown", self._end)

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        # nohup has it ignored
        if self.reload is not None or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._signalled)

    def _signalled(self, number: int, frame: Any) -> None:
        if number == signal.SIGHUP and self.reload is not None:
            self._reactor.callFromThread(self._asked_to_reload)
        else:
            self._reactor.callFromThread(self.asked, signal.Signals(number).name)

    def _asked_to_reload(self) -> None:
        if self._since is None and self.reload is not None:
            self.reload()

    def asked(self, name: str) -> None:
        """Stop; asked for a second time, at once."""
        if self._since is None:
            log.info(
                "{name}: stopping, within {seconds:g} s; once more stops now",
                name=name,
                seconds=self._seconds,
            )
            self._stop()
        else:
            log.info("{name}: stopping now", name=name)
            self._is_now = True

    def fail(self) -> None:
        """Stop with exit code 1."""
        self._exit_code = 1
        if self._since is None:
            self._reactor.callWhenRunning(self._stop)

    def _stop(self) -> None:
        if self._since is None:
            self._begin()
            self._reactor.stop()

    def _begin(self) -> None:
        if self._since is None:
            self._since = self._reactor.seconds()

    def seconds_left(self, part: float = 1.0) -> float:
        """How much of *part* of the stop's time is left; nothing if it is to end at once."""
        if self._is_now:
            return 0.0
        passed = 0.0 if self._since is None else self._reactor.seconds() - self._since
        return max(0.0, self._seconds * part - passed)

    def wait_until(self, is_done: Callable[[], bool], part: float = 1.0) -> Deferred[None]:
        """Fires when *is_done*, or when *part* of the stop's time is up."""
        self._begin()
        return self._poll(is_done, self._seconds * part)

    def wait_for(self, is_done: Callable[[], bool], seconds: float) -> Deferred[None]:
        """Fires when *is_done*, or after *seconds*, whatever is left of the stop's time."""

        @inlineCallbacks
        def poll() -> Any:
            until = self._reactor.seconds() + seconds
            while not is_done() and self._reactor.seconds() < until:
                yield deferLater(self._reactor, POLL_SECONDS)

        waited: Deferred[None] = poll()
        return waited

    @inlineCallbacks
    def _poll(self, is_done: Callable[[], bool], seconds: float) -> Any:
        assert self._since is not None
        until = self._since + seconds
        while not is_done() and not self._is_now and self._reactor.seconds() < until:
            yield deferLater(self._reactor, POLL_SECONDS)

    def _end(self) -> None:
        """The reactor has stopped: nothing may keep the process much longer."""
        if self._exit_code:
            atexit.register(_exit, self._exit_code)
        timer = threading.Timer(EXIT_SECONDS, _exit, [self._exit_code])
        timer.daemon = True
        timer.start()


def ignore_reloads() -> None:
    """Let SIGHUP, and so in what is started meanwhile, do nothing until a `Stop` takes it.

    What is to be loaded anew then has not been loaded yet.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def on_rotation(reactor: Any, rotated: Callable[[], None]) -> None:
    """Call *rotated* at each SIGUSR1, and what twistd has set: it rotates its own log file."""
    former = signal.getsignal(signal.SIGUSR1)

    def signalled(number: int, frame: Any) -> None:
        reactor.callFromThread(rotated)
        if callable(former):
            former(number, frame)

    signal.signal(signal.SIGUSR1, signalled)


def tell_operator(message: object) -> None:
    """Say why the daemon does not run: on standard error, or in the log of one without."""
    if _is_detached():
        log.critical("{message}", message=f"txchannels: {message}")
    else:
        # sys.stderr is twistd's log by now
        os.write(2, f"txchannels: {message}\n".encode(errors="backslashreplace"))


def give_up(*problems: Exception) -> NoReturn:
    """Tell the operator and end the program, with exit code 1, before the reactor runs."""
    for problem in problems:
        tell_operator(problem)
    if _is_detached():
        # The twistd that was started waits until its child says how it went: only an
        # exception makes it say so. The log has the message; a traceback adds nothing.
        sys.excepthook = lambda *_: None
        raise problems[0]
    raise SystemExit(1)


def _is_detached() -> bool:
    """Whether twistd has become a daemon in the background."""
    return os.path.samestat(os.fstat(2), Path(os.devnull).stat())


def _exit(code: int) -> None:
    """End the process with *code*; twistd knows only success."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
