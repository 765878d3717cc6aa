"""What the daemon says of itself to systemd: ready, reloading, stopping, and that it lives.

Turns each word into one datagram for the socket that ``$NOTIFY_SOCKET`` names. Where there is
none, nothing happens. No word raises, blocks or is needed: the daemon does the same without.

Source: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5).
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.logger import Logger

__all__ = ["Notifier"]

log = Logger()

#: A longer status is cut: it is one line in ``systemctl status``.
MAX_STATUS_CHARACTERS = 200

#: Words that wait for room in systemd's socket; the oldest goes first when there are more.
MAX_WAITING = 16
RETRY_SECONDS = 0.5

#: systemd asks for half the interval at least; a third leaves room for one that is late.
WATCHDOG_PART = 1 / 3

_FULL = (errno.EAGAIN, errno.ENOBUFS)


class Notifier:
    """The daemon's line to systemd.

    Args:
        environ: Where the socket's address is taken out of, so that no child speaks for us.
        reactor: The reactor, or a clock.

    Thread: the reactor's.
    """

    def __init__(self, environ: MutableMapping[str, str], reactor: Any) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        interval = environ.pop("WATCHDOG_USEC", "")
        process = environ.pop("WATCHDOG_PID", "")
        self._reactor = reactor
        self._address = _address_of(address)
        self._watchdog_seconds = _watchdog_seconds(interval, process) * WATCHDOG_PART
        self._status: str | None = None
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._socket: socket.socket | None = None
        self._retry: Any = None
        self._beat: Any = None
        self._was_alive = True
        self._is_stopping = False
        self._has_failed = False
        if self._address:
            self._open()
        elif address:
            self._failed(f"{address!r} is no address of a Unix socket")

    # What it is doing

    def ready(self, status: str = "") -> None:
        """Say that the start is complete."""
        self._say_unless_stopping("READY=1", status)

    def reloading(self, status: str = "") -> None:
        """Say that a reload begins; `reloaded` must follow.

        Source: systemd.service(5), Type=notify-reload: it compares the time with its own.
        """
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._say_unless_stopping(f"RELOADING=1\nMONOTONIC_USEC={now}", status)

    def reloaded(self, status: str = "") -> None:
        """Say that a reload is over; how it went, *status* tells.

        Source: sd_notify(3): READY=1 ends a reload, also one that has failed.
        """
        self._say_unless_stopping("READY=1", status)

    def stopping(self, status: str = "") -> None:
        """Say that the stop begins; what else would end with READY=1 is not told any more."""
        self._say("STOPPING=1", status)
        self._is_stopping = True

    def status(self, text: str) -> None:
        """Say in one line what it does; the same line is said once."""
        if _line(text) != self._status:
            self._say("", text)

    def extend(self, seconds: float) -> None:
        """Ask for *seconds* from now on for the start, reload or stop that goes on."""
        self._send(f"EXTEND_TIMEOUT_USEC={max(0, round(seconds * 1e6))}")

    # That it lives

    def start_watchdog(self, is_alive: Callable[[], bool]) -> None:
        """Say from time to time that the daemon lives, as long as *is_alive* says so.

        The reactor does it: when that hangs, systemd restarts the daemon (``WatchdogSec=``).
        """
        if self._socket is not None and self._watchdog_seconds and self._beat is None:
            self._say_alive(is_alive)

    def stop(self) -> None:
        """Say nothing any more. The last step: a daemon that is stopping is watched, too."""
        if self._socket is not None:
            self._send_waiting()
            self._socket.close()
            self._socket = None
        for call in (self._beat, self._retry):
            if call is not None:
                call.cancel()
        self._beat = self._retry = None

    def _say_alive(self, is_alive: Callable[[], bool]) -> None:
        self._beat = self._reactor.callLater(self._watchdog_seconds, self._say_alive, is_alive)
        was_alive, self._was_alive = self._was_alive, self._asked(is_alive)
        if self._was_alive:
            if not self._waiting:
                self._send("WATCHDOG=1")
        elif was_alive:
            log.critical("The daemon does not work; systemd, no longer told that it lives, ends it")

    def _asked(self, is_alive: Callable[[], bool]) -> bool:
        try:
            return is_alive()
        except Exception:
            if self._was_alive:
                log.failure("Whether the daemon works cannot be said")
            return False

    # The socket

    def _open(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        except OSError as error:
            self._failed(str(error))

    def _say_unless_stopping(self, state: str, status: str) -> None:
        if not self._is_stopping:
            self._say(state, status)

    def _say(self, state: str, status: str) -> None:
        self._status = _line(status)
        self._send(f"{state}\nSTATUS={self._status}".lstrip())

    def _send(self, words: str) -> None:
        if self._socket is None:
            return
        if self._waiting and _is_status(words) and _is_status(self._waiting[-1]):
            self._waiting.pop()
        self._waiting.append(words)
        if self._retry is None:
            self._send_waiting()

    def _send_waiting(self) -> None:
        assert self._socket is not None
        while self._waiting:
            try:
                self._socket.sendto(self._waiting[0].encode(), self._address)
            except OSError as error:
                self._failed(str(error))
                if error.errno in _FULL:
                    self._wait()
                    return
            self._waiting.popleft()

    def _wait(self) -> None:
        if self._retry is None:
            self._retry = self._reactor.callLater(RETRY_SECONDS, self._send_again)

    def _send_again(self) -> None:
        self._retry = None
        self._send_waiting()

    def _failed(self, reason: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.warn("systemd cannot be told how the daemon is: {reason}", reason=reason)


def _address_of(name: str) -> bytes:
    """The address of the socket *name*; empty if it is none that is known.

    Source: sd_notify(3): a path, or an abstract name after an @.
    """
    if name.startswith("@"):
        return b"\0" + os.fsencode(name[1:])
    return os.fsencode(name) if name.startswith("/") else b""


def _watchdog_seconds(interval: str, process: str) -> float:
    """How long systemd waits for a sign of life; 0 if it does not watch this process.

    Source: sd_watchdog_enabled(3): a WATCHDOG_PID must be ours.
    """
    if process and process != str(os.getpid()):
        return 0.0
    try:
        return max(0, int(interval)) / 1e6
    except ValueError:
        return 0.0


def _is_status(words: str) -> bool:
    return words.startswith("STATUS=")


def _line(text: str) -> str:
    """*text* as one line of characters that can be printed, not too long."""
    words = "".join(one if one.isprintable() else " " for one in text).split()
    return " ".join(words)[:MAX_STATUS_CHARACTERS]
