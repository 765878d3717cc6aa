"""Hosts of one site that a Redis joins."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import Daemon

__all__ = ["SITE", "WAIT", "Host", "Notes", "started", "wait"]

SITE = "tests.integration.joined_site.settings"

#: A guard against hanging, not a measure.
WAIT = 30.0

#: What no log of these tests may have.
FAULTS = ("Traceback", "Unhandled", "CRITICAL")


class Notes:
    """The files in which the hosts write down what they are told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> list[list[str]]:
        file = self.folder / name
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


class Host(Daemon):
    """A daemon of the site, or with ``command="channels-worker"`` a worker.

    Args:
        name: Who it says it is.
        config: The layer's ``CONFIG``; a text is the only host.
        notes: Where it writes.
        gap_by: How it hears of gaps: ``signal`` or ``channel``.
    """

    def __init__(
        self,
        name: str,
        config: str | Mapping[str, Any],
        notes: Notes,
        *options: str,
        command: str = "channels",
        gap_by: str = "signal",
    ) -> None:
        config = {"hosts": [config]} if isinstance(config, str) else config
        environment = {
            "LAYER_CONFIG": json.dumps(config),
            "HOST_NAME": name,
            "NOTES": str(notes.folder),
            "GAP_BY": gap_by,
        }
        super().__init__(SITE, *options, environment=environment, command=command)
        self.name = name

    @property
    def is_worker(self) -> bool:
        return self.command == "channels-worker"

    def is_joined(self) -> Self:
        """Wait until it has found its Redis."""
        self.wait_for("is connected")
        return self

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
        """It has nothing that only a fault writes."""
        for fault in FAULTS:
            assert fault not in self.log, f"{self.name}:\n{self.log}"


def wait(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """What *condition* gives, as soon as that is true."""
    pause = threading.Event()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        pause.wait(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


@contextmanager
def started(*hosts: Host) -> Iterator[None]:
    """All of *hosts*, joined; they end in good order, the last first, and without a fault."""
    running: list[Host] = []
    try:
        for host in hosts:
            running.append(host)
            host.start()
        for host in hosts:
            host.is_joined()
        yield
        for host in reversed(running):
            if host.process.poll() is None:
                assert host.stop() == 0, host.log
            host.check_log()
    finally:
        for host in running:
            if hasattr(host, "process"):
                host.kill()
