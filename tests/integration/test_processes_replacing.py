"""Workers that are stuck are killed and replaced, those that have done enough are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.storm import Storm
from tests.integration.supervised import WAIT, Site, Supervised, stopped, wait

pytestmark = pytest.mark.slow

#: So often workers are replaced until it is said to work.
TIMES = 4


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


# Stuck


def test_one_without_a_free_thread_is_shown_and_replaced(
    site: Site, others: ThreadPoolExecutor, tmp_path: Path
) -> None:
    never = tmp_path / "never"
    options = ("--threads=2", "--stuck-timeout=2", "--response-timeout=600")
    with Supervised(site, *options, processes=1) as daemon, ExitStack() as stack:
        (pid,) = daemon.workers
        socket = stack.enter_context(daemon.connect("wait"))
        socket.send(str(never))
        view = others.submit(daemon.get, "wait", gate=never)
        answer = others.submit(daemon.get, "hello")
        assert view.result(WAIT).status_code == 502
        assert answer.result(WAIT).status_code == 200
        socket.send("next")
        assert socket.recv(WAIT) == "next one"
        log = daemon.log
        assert f"(pid {pid}) is stuck, and killed: no thread is free" in log
        assert "runs txchannels.django.handler.ViewConsumer on http.request" in log
        assert "runs supervised_site.routing.wait on websocket.receive" in log
        assert log.count('doing.py", line') >= 2, "the stacks of both threads"
        assert daemon.lost() == 2
        assert daemon.stop() == 0


def test_one_that_holds_the_interpreter_is_shown_and_replaced(site: Site) -> None:
    """It answers no ping, though a thread is free."""
    with (
        Supervised(site, "--threads=4", "--stuck-timeout=7", processes=1) as daemon,
        daemon.connect("die") as socket,
    ):
        socket.send("die hang")
        socket.send("next")
        assert socket.recv(WAIT) == "next"
        assert "is stuck, and killed: it shows no life for 7 s" in daemon.log
        assert "runs supervised_site.routing.die on websocket.receive" in daemon.log
        assert 'doing.py", line' in daemon.log, "the stack, though no Python code can run"
        assert daemon.lost() == 1
        assert daemon.stop() == 0


def test_one_that_is_busy_and_has_a_free_thread_is_left_alone(
    site: Site, others: ThreadPoolExecutor, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with stopped(Supervised(site, "--threads=4", "--stuck-timeout=1", processes=1)) as daemon:
        view = others.submit(daemon.get, "wait", gate=gate)
        (pid,) = wait(lambda: site.waiting(gate), "it waits")
        # A measure of time for what must not happen: slower machines make it longer.
        for _ in range(30):
            assert daemon.get("hello", seconds=0.1).text.split()[1] == str(pid)
        gate.touch()
        assert view.result(WAIT).status_code == 200
        assert daemon.workers == [pid]


# Enough


@pytest.mark.parametrize(
    ("option", "page", "why"),
    [
        ("--max-messages=100", "/hello", "it has done"),
        ("--max-age=3", "/hello", "s old"),
        ("--max-rss=120000000", "/grow?size=1000000", "bytes of memory"),
    ],
    ids=["messages", "age", "memory"],
)
def test_those_that_have_done_enough_are_replaced_and_no_client_notices(
    site: Site, option: str, page: str, why: str
) -> None:
    with (
        stopped(Supervised(site, option, "--threads=4", processes=2)) as daemon,
        Storm(daemon, sockets=10, visitors=2, pause=0.1, page=page) as storm,
    ):
        wait(lambda: daemon.tells()["recycled"] >= TIMES, "they are replaced")
        storm.goes_on()
        storm.end()
        told, account = daemon.tells(), storm.account
        assert (account.closed, account.lost) == ([], [])
        assert (account.duplicates, account.out_of_order, account.errors) == ([], [], [])
        assert account.statuses.keys() == {200}
        assert (told["lost"], told["restarts"]) == (0, 0)
        reasons = [line for line in daemon.log.splitlines() if "is replaced: " in line]
        assert len(reasons) >= TIMES
        assert all(why in line for line in reasons)
