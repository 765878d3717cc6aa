"""A port that systemd holds: it outlives the daemon, and whoever connects meanwhile waits."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.daemon import WAIT_SECONDS, Daemon

pytestmark = pytest.mark.slow

WEBAPP = "tests.webapp.settings"
REQUEST = b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=["INET", "INET6"])
def domain(request) -> str:
    return request.param


@pytest.fixture
def port(domain) -> Iterator[socket.socket]:
    address, family = ("127.0.0.1", socket.AF_INET)
    if domain == "INET6":
        address, family = ("::1", socket.AF_INET6)
    with socket.create_server((address, 0), family=family, backlog=64) as port:
        yield port


def daemon(port: socket.socket, domain: str, *options: str) -> Daemon:
    return Daemon(WEBAPP, f"--endpoint=systemd:domain={domain}:index=0", *options, passed=port)


def ask(port: socket.socket) -> socket.socket:
    """Connect, and ask for a page."""
    client = socket.create_connection(port.getsockname()[:2], timeout=WAIT_SECONDS)
    client.sendall(REQUEST)
    return client


def answer(client: socket.socket) -> str:
    with client, client.makefile("rb") as lines:
        return lines.readline().decode()


def test_who_connects_while_no_daemon_runs_is_answered_by_the_next(port, domain):
    with daemon(port, domain) as first:
        assert "200" in answer(ask(port))
        assert first.stop() == 0
    waiting = [ask(port) for _ in range(20)]
    with daemon(port, domain) as second:
        assert {answer(client) for client in waiting} == {"HTTP/1.1 200 OK\r\n"}
        assert second.stop() == 0
        assert "Traceback" not in first.log + second.log


def test_who_connects_while_the_old_daemon_drains_is_answered_by_the_next(port, domain, tmp_path):
    gate = tmp_path / "gate"
    with daemon(port, domain) as first:
        visitor = threading.Thread(target=visit, args=(first.port, domain, gate, answers := []))
        visitor.start()
        first.wait_for("a view waits")
        first.signal(signal.SIGTERM)
        first.wait_for("Port ")  # "(TCP Port 8000 Closed)"
        client = ask(port)
        assert first.process.poll() is None
        gate.touch()
        assert first.wait() == 0
        visitor.join(WAIT_SECONDS)
        assert answers == ["done waiting"]
    with daemon(port, domain):
        assert "200" in answer(client)


def visit(port: int, domain: str, gate: Path, answers: list[str]) -> None:
    host = "127.0.0.1" if domain == "INET" else "[::1]"
    answers.append(httpx.get(f"http://{host}:{port}/wait/?for={gate}", timeout=60).text)


def test_a_killed_daemon_leaves_the_port_to_the_next(port, domain):
    with daemon(port, domain) as first:
        first.kill()
    client = ask(port)
    with daemon(port, domain):
        assert "200" in answer(client)


def test_the_port_survives_a_restart_of_a_daemon_with_worker_processes(port, domain, tmp_path):
    options = ("--processes=2", f"--socket={tmp_path / 'd.sock'}")
    with daemon(port, domain, *options) as first:
        assert "200" in answer(ask(port))
        assert first.stop() == 0
    waiting = [ask(port) for _ in range(20)]
    with daemon(port, domain, *options) as second:
        assert {answer(client) for client in waiting} == {"HTTP/1.1 200 OK\r\n"}
        assert second.stop() == 0
        assert "Traceback" not in first.log + second.log


def test_no_worker_process_keeps_the_port_of_a_killed_daemon(port, domain, tmp_path):
    options = ("--processes=2", f"--socket={tmp_path / 'd.sock'}")
    with daemon(port, domain, *options) as first:
        assert "200" in answer(ask(port))
        first.kill()
    client = ask(port)
    with daemon(port, domain, *options) as second:
        assert "200" in answer(client)
        assert second.stop() == 0
