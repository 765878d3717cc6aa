"""The real thing: a `twistd channels` process on a port of the system's choice, or a worker's."""

from __future__ import annotations

import os
import signal as signals
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

__all__ = [
    "ROOT",
    "TWISTD",
    "WAIT_SECONDS",
    "Daemon",
    "bare_environment",
    "run_twistd",
    "wait_until",
]

ROOT = Path(__file__).resolve().parents[2]
TWISTD = Path(sys.executable).parent / "twistd"
LISTENING = "Listening on http://"
WORKING = "Working for "

#: A guard against hanging, not a measure: nothing comes near it.
WAIT_SECONDS = 30.0

#: Options that say themselves where to listen.
_ADDRESSES = ("--endpoint", "--bind", "--port", "--unix-socket")

#: Becomes the program of its arguments, with the open file of its first as systemd would pass it.
_ACTIVATE = """
import os, sys
if (passed := int(sys.argv[1])) != 3:
    os.dup2(passed, 3)
    os.close(passed)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="a")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Daemon:
    """One daemon, or a worker. As a context, it is started, and killed at the end if it still runs.

    Args:
        settings: The site's settings module; None leaves that to the environment.
        options: More options of *command*; `channels` without an address among them uses a
            free port.
        environment: More environment variables; None removes one.
        folder: Where it is started.
        paths: Folders to put on the Python path; the repository is there in any case.
        max_files: How many files it may have open at most.
        command: What twistd is to run.
        passed: A listening socket that it is started with, as by systemd.
        prefix: A program, and its arguments, that runs it.

    Attributes:
        port: The first TCP port that it listens on; 0 before that.
    """

    def __init__(
        self,
        settings: str | None,
        *options: str,
        environment: Mapping[str, str | None] | None = None,
        folder: Path = ROOT,
        paths: Sequence[Path] = (),
        max_files: int | None = None,
        command: str = "channels",
        passed: socket.socket | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.command = command
        self.max_files = max_files
        self.passed = [] if passed is None else [passed.fileno()]
        self.prefix = list(prefix)
        self.options = list(options)
        if command == "channels" and not any(one.startswith(_ADDRESSES) for one in options):
            self.options.append("--port=0")
        self.environment = bare_environment(*paths, **(environment or {}))
        self.folder = folder
        self.port = 0
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._is_log_complete = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    def start(self, until: str = "") -> Self:
        """Start it and wait for the log's line that has *until* in it: that it is there."""
        until = until or (LISTENING if self.command == "channels" else WORKING)
        command = twistd_command(self.settings, *self.options, command=self.command)
        if self.max_files is not None:
            command = ["sh", "-c", f'ulimit -n {self.max_files}; exec "$@"', "sh", *command]
        if self.passed:
            command = [sys.executable, "-c", _ACTIVATE, *map(str, self.passed), *command]
        self._reader = threading.Thread(target=self._read_log)
        self.process = subprocess.Popen(
            [*self.prefix, *command],
            pass_fds=self.passed,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        try:
            self._reader.start()
            line = self.wait_for(until)
            if LISTENING in line:
                self.port = int(line.rstrip().rstrip("/").rpartition(":")[2])
        except BaseException:
            self.kill()
            raise
        return self

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._is_log_complete = True
            self._changed.notify_all()

    # What it says

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def log(self) -> str:
        """All that it has printed, to standard output and error."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, text: str, seconds: float = WAIT_SECONDS) -> str:
        """Wait for a line of the log with *text* in it; returns the first."""
        found: list[str] = []

        def is_there() -> bool:
            found.extend(line for line in self._lines if text in line)
            return bool(found) or self._is_log_complete

        with self._changed:
            self._changed.wait_for(is_there, seconds)
        assert found, f"no {text!r} in the log:\n{self.log}"
        return found[0]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def rss(self) -> int:
        """Its resident memory, in bytes."""
        return self._status("VmRSS") * 1024

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def open_files(self) -> list[str]:
        """What each of its open files is."""
        found = []
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found.append(str(entry.readlink()))
            except FileNotFoundError:
                pass
        return found

    def _status(self, field: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))

    # How it ends

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(seconds)
        if self._reader.ident is not None:
            self._reader.join(seconds)
        elif self.process.stdout is not None:  # the thread that closes it could not be started
            self.process.stdout.close()
        return code

    def stop(self, number: int = signals.SIGTERM, seconds: float = WAIT_SECONDS) -> int:
        """Ask it to stop; returns the exit code."""
        self.signal(number)
        return self.wait(seconds)

    def kill(self) -> None:
        """End it as a crash does; nothing happens if it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


def run_twistd(
    *options: str,
    environment: Mapping[str, str | None] | None = None,
    folder: Path = ROOT,
    paths: Sequence[Path] = (),
    settings: str | None = None,
    command: str = "channels",
) -> subprocess.CompletedProcess[str]:
    """`twistd` with one of our commands that ends by itself, with what it printed."""
    return subprocess.run(
        twistd_command(settings, *options, command=command),
        cwd=folder,
        env=bare_environment(*paths, **(environment or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def twistd_command(settings: str | None, *options: str, command: str = "channels") -> list[str]:
    named = [] if settings is None else [f"--settings={settings}"]
    return [str(TWISTD), "-n", "--pidfile=", command, *named, *options]


def bare_environment(*paths: Path, **more: str | None) -> dict[str, str]:
    """This process's environment without Django's variables and its Python path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    kept["PYTHONPATH"] = os.pathsep.join(map(str, [*paths, ROOT]))
    return {name: value for name, value in {**kept, **more}.items() if value is not None}


def wait_until(is_done: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Look every 10 ms whether *is_done*: for what tells nobody, like the number of threads."""
    pause = threading.Event()
    for _ in range(int(seconds * 100)):
        if is_done():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen")
