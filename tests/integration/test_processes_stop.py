"""How a daemon with worker processes ends: all that runs is finished, and nothing is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.supervised import WAIT, Site, Supervised, is_alive, wait, workers_of

pytestmark = pytest.mark.slow

#: A worker process gives its interpreter ten minutes; here, seconds.
SOONER = """
import faulthandler

later = faulthandler.dump_traceback_later
faulthandler.dump_traceback_later = lambda seconds, **more: later(7.0, **more)
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def daemon(site: Site) -> Iterator[Supervised]:
    with Supervised(site, "--drain-timeout=600", "--response-timeout=600") as daemon:
        yield daemon
    assert not workers_of(site), "it leaves no process, whatever happens"


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


def close_code(socket) -> int | None:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(WAIT)
    received = caught.value.rcvd
    return received and received.code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_sockets_are_closed_and_what_runs_is_finished(
    daemon: Supervised,
    site: Site,
    others: ThreadPoolExecutor,
    gate: Path,
    number: int,
) -> None:
    workers = daemon.workers
    with ExitStack() as stack:
        sockets = [stack.enter_context(daemon.connect("echo")) for _ in range(10)]
        view = others.submit(daemon.get, "wait", gate=gate)
        wait(lambda: site.waiting(gate), "it waits")
        daemon.signal(number)
        daemon.wait_for("stopping, within")
        assert set(map(int, workers)) == {pid for pid in workers if is_alive(pid)}
        gate.touch()
        assert view.result(WAIT).status_code == 200
        assert {close_code(socket) for socket in sockets} == {1012}
    assert daemon.wait() == 0
    assert site.notes["disconnects"] == [["/echo", "1012"]] * 10
    assert not [pid for pid in workers if is_alive(pid)]
    assert not site.socket.exists()
    daemon.check_log()
    assert "killed" not in daemon.log


def test_a_second_signal_stops_now(
    daemon: Supervised, site: Site, others: ThreadPoolExecutor, gate: Path
) -> None:
    view = others.submit(daemon.get, "wait", gate=gate)
    wait(lambda: site.waiting(gate), "it waits")
    daemon.signal(signal.SIGTERM)
    daemon.wait_for("stopping, within")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert isinstance(view.exception(WAIT), httpx.TransportError)
    assert "ViewConsumer on http.request" in daemon.log, "it says what it has given up"


def test_what_is_not_finished_in_time_is_given_up(
    site: Site, others: ThreadPoolExecutor, gate: Path
) -> None:
    with Supervised(site, "--drain-timeout=1", processes=1) as daemon:
        view = others.submit(daemon.get, "wait", gate=gate)
        wait(lambda: site.waiting(gate), "it waits")
        assert daemon.stop() == 0
        assert isinstance(view.exception(WAIT), httpx.TransportError)
        assert "ViewConsumer on http.request" in daemon.log
    assert not workers_of(site)


def test_it_stops_while_workers_start(site: Site) -> None:
    daemon = Supervised(site, processes=2).start("(pid")
    try:
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    assert not workers_of(site)


def test_it_stops_during_a_reload(daemon: Supervised, site: Site) -> None:
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("Worker 1 of generation 2 (pid")
    assert daemon.stop() == 0


def test_it_stops_with_a_worker_that_is_stopped(site: Site) -> None:
    """It hears nothing and does nothing; it is killed when the time is up."""
    with Supervised(site, "--drain-timeout=1", processes=2) as daemon:
        os.kill(daemon.workers[0], signal.SIGSTOP)
        assert daemon.stop() == 0
    assert not workers_of(site)


@pytest.mark.parametrize("busy", ["idle", "view", "consumer"])
def test_workers_end_when_the_daemon_is_killed(
    daemon: Supervised, site: Site, others: ThreadPoolExecutor, tmp_path: Path, busy: str
) -> None:
    never = tmp_path / "never"
    with ExitStack() as stack:
        if busy == "view":
            others.submit(daemon.get, "wait", gate=never)
        elif busy == "consumer":
            stack.enter_context(daemon.connect("wait")).send(str(never))
        if busy != "idle":
            wait(lambda: site.waiting(never), "it runs")
        assert workers_of(site)
        daemon.process.kill()
        daemon.process.wait()
        wait(lambda: not workers_of(site), "the workers end")
    assert site.socket.exists(), "a killed daemon removes nothing"
    with Supervised(site) as again:
        assert again.get("hello").status_code == 200
        assert again.stop() == 0


def test_one_that_holds_the_interpreter_ends_when_the_daemon_is_killed(site: Site) -> None:
    """Code in C that never returns lets none of its threads see that the daemon is gone."""
    (site.folder / "sitecustomize.py").write_text(SOONER)
    with Supervised(site, processes=1) as daemon, daemon.connect("die") as socket:
        socket.send("die hang")
        wait(lambda: site.notes["dying"], "it hangs")
        daemon.process.kill()
        daemon.process.wait()
        wait(lambda: not workers_of(site), "it ends")


def test_a_second_daemon_is_refused_the_path_and_gets_it_after_a_stop(
    daemon: Supervised, site: Site
) -> None:
    second = Supervised(site)
    with pytest.raises(AssertionError):
        second.start()
    assert "another daemon serves there" in second.log
    assert second.process.returncode == 1
    assert daemon.get("hello").status_code == 200
    assert daemon.stop() == 0
    with Supervised(site) as third:
        assert third.get("hello").status_code == 200
        assert third.stop() == 0
