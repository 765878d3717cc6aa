"""The daemon of a live test: it starts, or says why not, and ends with the test."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connection

from tests.integration.daemon import bare_environment, wait_until
from txchannels.django import Channel, channel_layers
from txchannels.django.test import Client
from txchannels.django.test.daemon import Daemon, DaemonError
from txchannels.django.test.live import LiveServer, Serving

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent / "project"
ENVIRONMENT = {"PYTHONPATH": bare_environment(PROJECT)["PYTHONPATH"]}
OPTIONS = ("--settings=tests.integration.socket_site.settings", "--port=0", "--drain-timeout=1")

#: Starts one, says its port, and waits to be killed.
RUNNER = """
import sys
from pathlib import Path
from txchannels.django.test.daemon import Daemon

daemon = Daemon(sys.argv[1:], {}, Path.cwd())
daemon.start()
print(daemon.port, flush=True)
sys.stdin.read()
"""


def is_served(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_it_listens_when_it_has_started_and_not_when_it_has_stopped():
    daemon = Daemon(OPTIONS, ENVIRONMENT, PROJECT)
    daemon.start()
    port = daemon.port
    assert is_served(port)
    daemon.stop()
    assert not is_served(port)
    assert f"Listening on http://127.0.0.1:{port}" in daemon.log
    daemon.stop()


def test_one_that_cannot_start_shows_its_log():
    daemon = Daemon((*OPTIONS, "--threads=none"), ENVIRONMENT, PROJECT)
    with pytest.raises(DaemonError, match=r"The daemon has ended\. Its log:\n[\s\S]*--threads"):
        daemon.start()


def test_one_that_does_not_start_in_time_is_ended(monkeypatch):
    monkeypatch.setattr("txchannels.django.test.daemon.START_SECONDS", 0)
    daemon = Daemon(OPTIONS, ENVIRONMENT, PROJECT)
    with pytest.raises(DaemonError, match="has not started in 0 s"):
        daemon.start()


def test_it_ends_when_the_test_run_is_killed():
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, *OPTIONS],
        env=bare_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with runner:
        port = int(runner.stdout.readline())
        assert is_served(port)
        runner.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_served(port))


@pytest.mark.usefixtures("tables")
def test_a_live_server_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = channel_layers["default"]
    threads = set(threading.enumerate())
    with LiveServer(["default"]) as server:
        assert is_served(int(server.url.rpartition(":")[2]))
        # the layer is the daemon's, also for what nobody there reads
        Channel("jobs").send({"text": "a"})
        assert Client().get_next_message("jobs")["text"] == "a"
        assert list(tmp_path.iterdir())
    wait_until(lambda: set(threading.enumerate()) <= threads)
    assert channel_layers["default"] is before
    assert connection.is_in_memory_db()
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("tables")
def test_a_live_server_that_cannot_start_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = channel_layers["default"]
    with (
        pytest.raises(DaemonError, match="--no-such-option"),
        LiveServer(["default"], Serving(options=("--no-such-option",))),
    ):
        raise AssertionError
    assert channel_layers["default"] is before
    assert connection.is_in_memory_db()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", r"http://127\.0\.0\.1:\d+"), ("::1", r"http://\[::1\]:\d+")]
)
def test_the_urls_have_the_host(host, url):
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with LiveServer([], Serving(host=host)) as server:
        assert re.fullmatch(url, server.url)
        assert server.ws_url == server.url.replace("http", "ws", 1)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
