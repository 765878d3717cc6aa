"""Worker processes that die cost what they were running, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.supervised import WAIT, Site, Supervised, is_alive, stopped, wait

pytestmark = pytest.mark.slow

#: How a process ends in the middle of a message, and what the log says of that.
DEATHS = {"SIGKILL": "SIGKILL", "exit": "exit code 7", "segfault": "SIGSEGV"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    """Nothing has a timeout of its own that could answer in a dead worker's place."""
    site = Site(tmp_path_factory.mktemp("site"))
    options = ("--response-timeout=600", "--ws-serial-timeout=600", "--ws-connect-timeout=600")
    with stopped(Supervised(site, *options, "--stuck-timeout=600")) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: Supervised) -> Supervised:
    shared.all_ready()
    return shared


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Supervised]:
    """One process with one thread."""
    options = ("--threads=1", "--response-timeout=600", "--stuck-timeout=600")
    with stopped(Supervised(Site(tmp_path), *options, processes=1)) as daemon:
        yield daemon


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def asked(
    threads: ThreadPoolExecutor, daemon: Supervised, path: str, **parameters: object
) -> Future[httpx.Response]:
    return threads.submit(daemon.get, path, **parameters)


def waits(daemon: Supervised, gate: Path) -> int:
    """Wait until somebody waits for *gate*; the process in which."""
    return wait(lambda: daemon.site.waiting(gate), "it waits")[0]


# In the middle of a message


@pytest.mark.parametrize("how", DEATHS)
def test_in_a_view_its_client_is_answered_502(daemon: Supervised, how: str) -> None:
    before = daemon.lost()
    with daemon.connect("echo") as socket:
        answer = daemon.get("die", how=how)
        assert answer.status_code == 502
        socket.send("still here")
        assert socket.recv(WAIT) == "still here"
    pid = daemon.site.notes["dying"][-1][0]
    wait(lambda: daemon.lost() == before + 1, "the loss is counted")
    assert f"(pid {pid}) has died: " in daemon.log
    assert DEATHS[how] in daemon.wait_for(f"(pid {pid}) has died: ")
    line = next(one for one in daemon.log.splitlines() if "Lost with" in one and pid in one)
    assert line.endswith("ViewConsumer was running a message of http.request")


@pytest.mark.parametrize("how", DEATHS)
def test_in_a_consumer_its_socket_gets_the_next_message(daemon: Supervised, how: str) -> None:
    before = daemon.lost()
    with daemon.connect("die") as socket:
        socket.send(f"die {how}")
        for number in range(20):
            socket.send(str(number))
        assert [socket.recv(WAIT) for _ in range(20)] == [str(number) for number in range(20)]
    pid = daemon.site.notes["dying"][-1][0]
    wait(lambda: daemon.lost() == before + 1, "the loss is counted")
    line = next(one for one in daemon.log.splitlines() if "Lost with" in one and pid in one)
    assert line.endswith("supervised_site.routing.die was running a message of websocket.receive")


def test_in_a_handshake_it_is_answered_502(daemon: Supervised) -> None:
    with pytest.raises(InvalidStatus) as caught:
        daemon.connect("dead")
    assert caught.value.response.status_code == 502


def test_asked_to_end_it_finishes_what_it_runs(daemon: Supervised) -> None:
    before = daemon.lost()
    answer = daemon.get("die", how="SIGTERM")
    assert (answer.status_code, answer.text) == (200, "alive")
    with daemon.connect("die") as socket:
        socket.send("die SIGTERM")
        socket.send("next")
        assert [socket.recv(WAIT), socket.recv(WAIT)] == ["die SIGTERM", "next"]
    for pid, _ in daemon.site.notes["dying"][-2:]:
        assert "ended by SIGTERM from outside; 0 messages" in daemon.wait_for(f"(pid {pid}) has ")
    daemon.all_ready()
    assert daemon.lost() == before


# Between messages


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name)
def test_idle_it_loses_nothing_and_is_replaced(daemon: Supervised, number: int) -> None:
    before, workers = daemon.lost(), daemon.workers
    with daemon.connect("echo") as socket:
        for pid in workers:
            os.kill(pid, number)
        wait(lambda: not any(map(is_alive, workers)), "they have ended")
        socket.send("hello")
        assert socket.recv(WAIT) == "hello"
        assert daemon.get("hello").status_code == 200
    daemon.all_ready()
    assert not set(daemon.workers) & set(workers)
    assert daemon.lost() == before


def test_the_messages_that_wait_are_not_lost(
    single: Supervised, others: ThreadPoolExecutor, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with single.connect("echo") as socket:
        running = asked(others, single, "wait", gate=gate)
        pid = waits(single, gate)
        waiting = [asked(others, single, "hello") for _ in range(8)]
        for number in range(10):
            socket.send(str(number))
        os.kill(pid, signal.SIGKILL)
        assert running.result(WAIT).status_code == 502
        assert {one.result(WAIT).status_code for one in waiting} == {200}
        assert [socket.recv(WAIT) for _ in range(10)] == [str(number) for number in range(10)]
    assert single.lost() == 1


def test_what_was_handed_to_it_and_not_begun_is_not_lost(
    single: Supervised, others: ThreadPoolExecutor
) -> None:
    (pid,) = single.workers
    os.kill(pid, signal.SIGSTOP)
    answer = asked(others, single, "hello")
    wait(lambda: single.tells()["workers"][0]["running"] == 1, "it is handed out")
    os.kill(pid, signal.SIGKILL)
    assert answer.result(WAIT).status_code == 200
    assert single.lost() == 0


def test_all_that_it_runs_is_lost_and_each_is_told(
    daemon: Supervised, others: ThreadPoolExecutor, tmp_path: Path
) -> None:
    before, gate = daemon.lost(), tmp_path / "gate"
    running = [asked(others, daemon, "wait", gate=gate) for _ in range(10)]
    wait(lambda: len(daemon.site.waiting(gate)) == 10, "all run")
    pids = daemon.site.waiting(gate)
    victim = pids[0]
    os.kill(victim, signal.SIGKILL)
    wait(lambda: daemon.lost() == before + pids.count(victim), "the losses are counted")
    gate.touch()
    statuses = sorted(one.result(WAIT).status_code for one in running)
    survivors = len(pids) - pids.count(victim)
    assert statuses == [200] * survivors + [502] * pids.count(victim)


def test_a_stream_that_has_begun_is_cut(daemon: Supervised, tmp_path: Path) -> None:
    """Its client must not take a part for the whole."""
    url = f"{daemon.url}/parts?count=1&gate={tmp_path / 'gate'}"
    with httpx.stream("GET", url, timeout=WAIT) as response:
        pieces = response.iter_bytes()
        os.kill(int(next(pieces)), signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            list(pieces)


def test_an_upload_that_was_being_read_is_answered_502(daemon: Supervised, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    answers: list[httpx.Response | Exception] = []

    def upload() -> None:
        try:
            body = os.urandom(8 * 2**20)
            answers.append(
                httpx.post(f"{daemon.url}/upload?gate={gate}", content=body, timeout=WAIT)
            )
        except httpx.TransportError as error:
            answers.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    os.kill(waits(daemon, gate), signal.SIGKILL)
    thread.join(WAIT)
    # Whether a client that still sends reads the answer is up to it.
    (answer,) = answers
    assert isinstance(answer, httpx.TransportError) or answer.status_code == 502
    assert daemon.get("hello").status_code == 200


def test_what_it_has_started_holds_nothing_up(tmp_path: Path) -> None:
    """A child has its files, and lives on: neither its end nor the daemon's waits for that."""
    with Supervised(Site(tmp_path), processes=1) as daemon:
        pid, child = map(int, daemon.get("leave_child").text.split())
        try:
            # The view has answered, and may still run.
            wait(lambda: daemon.tells()["workers"][0]["running"] == 0, "nothing runs")
            os.kill(pid, signal.SIGKILL)
            assert daemon.get("hello").status_code == 200
            daemon.all_ready()
            assert daemon.lost() == 0
            assert daemon.stop() == 0
            assert is_alive(child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_code_that_dies_at_once_is_condemned_and_answered_503(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with Supervised(site, processes=1) as daemon:
        site.append("models.py", "import os; os._exit(9)")
        (pid,) = daemon.workers
        os.kill(pid, signal.SIGKILL)
        daemon.wait_for("THE SITE'S CODE IS BROKEN")
        answer = wait(lambda: _is_503(daemon), "it is answered 503")
        assert int(answer.headers["Retry-After"]) > 0
        assert daemon.tells()["is_broken"]
        site.mend("models.py")
        daemon.reload()
        assert daemon.get("hello").status_code == 200
        assert daemon.stop() == 0


def _is_503(daemon: Supervised) -> httpx.Response | None:
    answer = daemon.get("hello")
    return answer if answer.status_code == 503 else None
