"""How the daemon ends: what runs is finished, what is stuck is given up, and it says so."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.daemon import WAIT_SECONDS, Daemon, wait_until

pytestmark = pytest.mark.slow

WEBAPP = "tests.webapp.settings"
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


class Visitor(threading.Thread):
    """Asks for a page in a thread of its own."""

    def __init__(self, daemon: Daemon, gate: Path) -> None:
        super().__init__(daemon=True)
        self.url = f"{daemon.url}/wait/?for={gate}"
        self.answer: httpx.Response | Exception | None = None
        self.start()
        daemon.wait_for("a view waits")

    def run(self) -> None:
        try:
            self.answer = httpx.get(self.url, timeout=60)
        except httpx.TransportError as error:
            self.answer = error

    def ended(self) -> httpx.Response | Exception | None:
        self.join(30)
        return self.answer


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that a waiting view waits for."""
    return tmp_path / "gate"


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def number(request) -> signal.Signals:
    return request.param


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """It would wait far longer for what runs than any test does for it."""
    with Daemon(WEBAPP, "--drain-timeout=600", "--header-timeout=600") as daemon:
        yield daemon
        assert "Traceback" not in daemon.log


def is_refused(daemon: Daemon) -> bool:
    try:
        socket.create_connection(daemon.address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_idle_daemon_stops_at_once(daemon, number):
    assert daemon.stop(number) == 0
    assert f"{number.name}: stopping, within 600 s; once more stops now" in daemon.log


def test_a_running_view_is_finished_while_new_connections_are_refused(daemon, number, gate):
    visitor = Visitor(daemon, gate)
    daemon.signal(number)
    wait_until(lambda: is_refused(daemon))
    assert daemon.process.poll() is None
    gate.touch()
    answer = visitor.ended()
    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, answer.text) == (200, "done waiting")
    assert answer.headers.get("connection") == "close"
    assert daemon.wait() == 0
    assert "dropped" not in daemon.log
    assert "given up" not in daemon.log


def test_an_idle_connection_does_not_hold_it_up(daemon, number):
    with httpx.Client(base_url=daemon.url, timeout=WAIT_SECONDS) as client:
        assert client.get("/hello/").status_code == 200
        with socket.create_connection(daemon.address):
            # a client that does not look whether it is still connected is waited for a little
            assert daemon.stop(number) == 0
    assert "dropped" not in daemon.log


def test_half_a_request_does_not_hold_it_up_for_long(number):
    with Daemon(WEBAPP, "--drain-timeout=1", "--header-timeout=600") as daemon:
        with socket.create_connection(daemon.address) as half:
            half.sendall(b"GET /hello/ HTTP/1.1\r\nHost: a\r\n")
            httpx.get(f"{daemon.url}/hello/", timeout=WAIT_SECONDS)
            assert daemon.stop(number) == 0
        assert "Traceback" not in daemon.log


def test_a_second_signal_stops_now_and_tells_what_was_given_up(daemon, number, gate):
    visitor = Visitor(daemon, gate)
    daemon.signal(number)
    daemon.wait_for(f"{number.name}: stopping, within")
    daemon.signal(number)
    assert daemon.wait() == 0
    assert f"{number.name}: stopping now" in daemon.log
    assert isinstance(visitor.ended(), httpx.TransportError)


def test_a_view_that_is_stuck_is_told_with_its_stack(number, gate):
    with Daemon(WEBAPP, "--drain-timeout=0.5") as daemon:
        visitor = Visitor(daemon, gate)
        assert daemon.stop(number) == 0
        assert "1 connections are dropped" in daemon.log
        assert "is still running a message of http.request; given up" in daemon.log
        assert 'tests/webapp/views.py", line' in daemon.log
        assert ", in wait" in daemon.log
        assert "Traceback" not in daemon.log
        assert isinstance(visitor.ended(), httpx.TransportError)


def test_no_time_to_drain_is_at_once(gate):
    with Daemon(WEBAPP, "--drain-timeout=0") as daemon:
        Visitor(daemon, gate)
        assert daemon.stop() == 0


def test_a_rotation_goes_on_in_a_new_access_log(tmp_path):
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    with Daemon(WEBAPP, f"--access-log={path}") as daemon:
        httpx.get(f"{daemon.url}/hello/?before", timeout=WAIT_SECONDS)
        path.rename(old)
        daemon.signal(signal.SIGUSR1)
        wait_until(path.exists)
        httpx.get(f"{daemon.url}/hello/?after", timeout=WAIT_SECONDS)
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log
    assert ("?before" in old.read_text(), "?after" in old.read_text()) == (True, False)
    assert ("?before" in path.read_text(), "?after" in path.read_text()) == (False, True)


def test_a_rotation_without_an_access_log_harms_nothing(daemon):
    daemon.signal(signal.SIGUSR1)
    assert httpx.get(f"{daemon.url}/hello/", timeout=WAIT_SECONDS).status_code == 200
    assert daemon.stop() == 0
