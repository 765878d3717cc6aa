"""What a daemon with worker processes says to systemd, over a real socket."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.supervised import WAIT, Site, Supervised

pytestmark = pytest.mark.slow


class Systemd:
    """The socket that systemd would read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(WAIT)
        self.heard: list[dict[str, str]] = []

    def daemon(self, site: Site, *options: str, processes: int = 2, **more: str) -> Supervised:
        environment = {"NOTIFY_SOCKET": str(self.path), **more}
        return Supervised(site, *options, processes=processes, environment=environment)

    def until(self, key: str) -> dict[str, str]:
        """Read until a datagram has *key*; returns that."""
        while True:
            lines = self.socket.recv(65_536).decode().splitlines()
            self.heard.append(dict(line.split("=", 1) for line in lines))
            if key in self.heard[-1]:
                return self.heard[-1]

    def rest(self) -> list[dict[str, str]]:
        """What was sent since."""
        self.socket.setblocking(False)
        count = len(self.heard)
        try:
            self.until("no such key")
        except BlockingIOError:
            return self.heard[count:]
        finally:
            self.socket.settimeout(WAIT)
        raise AssertionError


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path)
    yield systemd
    systemd.socket.close()


def states(heard: list[dict[str, str]]) -> list[str]:
    return [one for said in heard for one in ("READY", "RELOADING", "STOPPING") if one in said]


def test_it_is_ready_reloads_is_ready_and_stops(systemd: Systemd, tmp_path: Path) -> None:
    with systemd.daemon(Site(tmp_path)) as daemon:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        ready = systemd.until("READY")
        assert "0 workers" not in ready["STATUS"]
        assert "of generation 1" in ready["STATUS"]
        daemon.signal(signal.SIGHUP)
        reloading = systemd.until("RELOADING")
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert before <= int(reloading["MONOTONIC_USEC"]) <= now
        assert "2 workers of generation 2" in systemd.until("READY")["STATUS"]
        assert daemon.stop() == 0
    systemd.rest()
    assert states(systemd.heard) == ["READY", "RELOADING", "READY", "STOPPING"]
    assert not any("WATCHDOG" in said for said in systemd.heard)


def test_a_watched_daemon_shows_that_it_lives(systemd: Systemd, tmp_path: Path) -> None:
    with systemd.daemon(Site(tmp_path), processes=1, WATCHDOG_USEC="300000") as daemon:
        for _ in range(5):
            systemd.until("WATCHDOG")
        assert daemon.stop() == 0


def test_a_stop_during_a_reload_is_not_taken_back(systemd: Systemd, tmp_path: Path) -> None:
    site = Site(tmp_path)
    with systemd.daemon(site) as daemon:
        systemd.until("READY")
        site.append("models.py", "import threading\n\nthreading.Event().wait(600)")
        daemon.signal(signal.SIGHUP)
        systemd.until("RELOADING")
        daemon.signal(signal.SIGTERM)
        assert systemd.until("STOPPING")["STATUS"] == "Stopping"
        assert daemon.wait() == 0
    assert not any("READY" in said or "STATUS" in said for said in systemd.rest())


def test_it_asks_for_the_time_that_each_start_may_take(systemd: Systemd, tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.append("models.py", "import threading\n\nthreading.Event().wait(600)")
    daemon = systemd.daemon(site, "--start-timeout=3", processes=1)
    daemon.start()
    try:
        ready = systemd.until("READY")
        assert "answering 503" in ready["STATUS"]
        key = "EXTEND_TIMEOUT_USEC"
        asked = [int(said[key]) for said in systemd.heard if key in said]
        assert len(asked) == 3, "once for each start"
        assert min(asked) > 3_000_000
        daemon.signal(signal.SIGHUP)
        systemd.until("RELOADING")
        assert int(systemd.until(key)[key]) > 3_000_000
        assert "the last reload failed" in systemd.until("READY")["STATUS"]
    finally:
        daemon.kill()
