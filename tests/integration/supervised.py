"""A daemon with worker processes, and the site that they run, which can be edited."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import Daemon, bare_environment
from tests.integration.joined import Notes
from tests.integration.joined import wait as wait_for
from txchannels.layers.ipc.link import Link
from txchannels.layers.ipc.sockets import dial

__all__ = ["SETTINGS", "WAIT", "Site", "Supervised", "is_alive", "stopped", "wait", "workers_of"]

SETTINGS = "supervised_site.settings"
#: A guard against hanging, not a measure: processes that import Django need the processor, and
#: there may be many of them, and others.
WAIT = 90.0

TEMPLATE = Path(__file__).parent / "supervised_site"

_STATUS = re.compile(r"(?:(\d+) connections; )?(\d+) workers? of generation (\d+)(.*)")
_READY = re.compile(r"Worker \d+ of generation (\d+) \(pid (\d+)\) is ready")


def wait(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """What *condition* gives, as soon as that is true."""
    return wait_for(condition, what, seconds)


class Site:
    """A copy of `supervised_site` below *folder*, to be edited.

    Attributes:
        socket: Where its daemon is to have its Unix socket.
        notes: What its code notes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / TEMPLATE.name
        shutil.copytree(TEMPLATE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "notes").mkdir()
        self.notes = Notes(folder / "notes")
        self.socket = folder / "d.sock"

    def environment(self, **more: str | None) -> dict[str, str | None]:
        # A file that is edited twice in a second, to the same size, must be read anew.
        return {"NOTES": str(self.notes.folder), "PYTHONDONTWRITEBYTECODE": "1", **more}

    def set_version(self, version: str) -> None:
        self.edit("version.py", f'"""As it is now."""\n\nVERSION = "{version}"\n')

    def edit(self, name: str, text: str) -> None:
        """Put *text* in place of a file, in one step."""
        new = self.package / f"{name}.new"
        new.write_text(text)
        new.replace(self.package / name)

    def append(self, name: str, text: str) -> None:
        self.edit(name, f"{(self.package / name).read_text()}\n{text}\n")

    def mend(self, name: str) -> None:
        """Undo all edits of a file."""
        self.edit(name, (TEMPLATE / name).read_text())

    def waiting(self, gate: Path) -> list[int]:
        """Which processes run somebody who waits for *gate*."""
        return [int(pid) for pid, path in self.notes["waiting"] if path == str(gate)]

    def run(self, *command: str, **more: str | None) -> subprocess.CompletedProcess[str]:
        """A Python program beside the daemon."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=bare_environment(self.folder, **self.environment(**more)),
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    def order(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``python -m txchannels`` with *words*, for its daemon."""
        return self.run("-m", "txchannels", *words, f"--socket={self.socket}")


class Supervised(Daemon):
    """A daemon of *site* with worker processes."""

    def __init__(
        self,
        site: Site,
        *options: str,
        processes: int | None = 2,
        environment: Mapping[str, str | None] | None = None,
        command: str = "channels",
    ) -> None:
        named = [f"--socket={site.socket}"] if not any("--socket" in one for one in options) else []
        counted = [] if processes is None else [f"--processes={processes}"]
        super().__init__(
            SETTINGS,
            *counted,
            *named,
            *options,
            environment=site.environment(**(environment or {})),
            folder=site.folder,
            paths=[site.folder],
            command=command,
        )
        self.site = site
        self.count = processes or 1
        self._link: Link | None = None
        self._said: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def start(self, until: str = "") -> Self:
        super().start(until or ("" if self.command == "channels" else "is ready, after"))
        return self

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.all_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def wait_for(self, text: str, seconds: float = WAIT) -> str:
        return super().wait_for(text, seconds)

    def wait(self, seconds: float = WAIT) -> int:
        return super().wait(seconds)

    def stop(self, number: int = signal.SIGTERM, seconds: float = WAIT) -> int:
        return super().stop(number, seconds)

    def kill(self) -> None:
        if self._link is not None:
            self._link.close()
        super().kill()

    # What it says

    def tells(self) -> dict[str, Any]:
        """Its status, as `python -m txchannels status` has it."""
        return self._ask("status")

    def _ask(self, order: str) -> dict[str, Any]:
        if self._link is None or not self._link.is_open:
            self._link = dial(str(self.site.socket))
            self._link.told = lambda topic, value: self._said.put((topic, value))
        self._link.tell(order)
        topic, value = self._said.get(timeout=WAIT)
        assert topic in ("status", "outcome"), (topic, value)
        return value

    def serving(self) -> tuple[int, int, str]:
        """How many workers run messages, of which generation, and what else the status says."""
        text = self.tells()["status"]
        match = _STATUS.fullmatch(text)
        assert match, text
        return int(match[2]), int(match[3]), match[4]

    def all_still(self, why: str) -> None:
        """Wait until all workers run and nothing goes on, but for what the status says of it."""
        wait(lambda: self.serving()[0] == self.count and why in self.serving()[2], why)

    def all_ready(self, generation: int | None = None) -> None:
        """Wait until all workers run, and nobody else is there."""
        wait(
            lambda: self.serving() == (self.count, generation or self.serving()[1], ""),
            "all workers run",
        )

    @property
    def workers(self) -> list[int]:
        """The worker processes that were ready and have not ended."""
        # The status may be ahead of the log.
        wait(lambda: len(self._ready()) >= self._running(), "the log has all that run")
        return self._ready()

    def _running(self) -> int:
        match = _STATUS.fullmatch(self.tells()["status"])
        return int(match[2]) if match else 0

    def _ready(self) -> list[int]:
        there = {worker["pid"] for worker in self.tells()["workers"]}
        return [int(pid) for _, pid in _READY.findall(self.log) if int(pid) in there]

    def lost(self) -> int:
        return int(self.tells()["lost"])

    def reload(self) -> None:
        """Reload as `python -m txchannels reload` does, which must succeed."""
        outcome = self._ask("reload")
        assert outcome["ok"], f"{outcome}\n{self.log}"

    # What clients do

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return httpx.get(f"{self.url}/{path}", params=parameters, timeout=WAIT)

    def connect(self, path: str) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}/{path}",
            open_timeout=WAIT,
            close_timeout=WAIT,
            ping_interval=None,
            compression=None,
            proxy=None,
        )

    def check_log(self) -> None:
        """It has nothing that only a fault of the daemon writes."""
        for fault in ("Traceback", "Unhandled", "CRITICAL"):
            assert fault not in self.log, self.log


@contextmanager
def stopped(daemon: Supervised) -> Iterator[Supervised]:
    """Run it; it ends in good order, without a fault, and leaves no process."""
    with daemon:
        yield daemon
        pids = [worker["pid"] for worker in daemon.tells()["workers"]]
        assert daemon.stop() == 0, daemon.log
        daemon.check_log()
        assert not [pid for pid in pids if is_alive(pid)]
        assert not workers_of(daemon.site)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, dead or not, that was not waited for."""
    return Path(f"/proc/{pid}").exists()


def workers_of(site: Site) -> list[int]:
    """All processes that were started with the site's folder in their environment."""
    mark = f"NOTES={site.notes.folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            pass
    return [pid for pid in found if pid != os.getpid()]
