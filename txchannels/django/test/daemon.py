"""A ``twistd channels`` process of a test: started, waited for, stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from txchannels.errors import TxchannelsError

__all__ = ["Daemon", "DaemonError"]

LISTENING = "Listening on http://"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

#: `twistd`, whether or not its script is on the path; it ends when who has started it does.
_TWISTD = """
import os, signal, sys, threading

def end_with_the_test():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end_with_the_test, daemon=True).start()
from twisted.scripts.twistd import run
sys.exit(run())
"""


class DaemonError(TxchannelsError):
    """The daemon of a live test does not run; its log is in the text."""


class Daemon:
    """One daemon.

    Args:
        options: Of ``twistd channels``.
        environment: Variables beside those of this process.
        folder: Where it is started.

    Attributes:
        port: The TCP port on which it listens; 0 before that.
    """

    def __init__(
        self, options: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.port = 0
        self._command = [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "channels", *options]
        self._environment = {**os.environ, **environment}
        self._folder = folder
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._has_ended = False

    @property
    def log(self) -> str:
        """All that it has printed."""
        with self._changed:
            return "".join(self._lines)

    def start(self) -> None:
        """Start it, and wait until it listens.

        Raises: DaemonError: It does not.
        """
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        self._reader = threading.Thread(target=self._read_log, name="txchannels-daemon-log")
        self._reader.start()
        try:
            self.port = self._wait_for_port()
        except BaseException:
            self._process.kill()
            self.stop()
            raise

    def _read_log(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _wait_for_port(self) -> int:
        def found() -> str | None:
            return next((line for line in self._lines if LISTENING in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._has_ended, START_SECONDS)
            line = found()
        if line is None:
            what = "has ended" if self._has_ended else f"has not started in {START_SECONDS:g} s"
            raise DaemonError(f"The daemon {what}. Its log:\n{self.log}")
        return int(line.rstrip().rstrip("/").rpartition(":")[2])

    def stop(self) -> None:
        """End it, kindly at first."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join()
