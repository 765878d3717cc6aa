"""New code comes with a new generation of workers; where it cannot run, the old code runs on."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.supervised import WAIT, Site, Supervised, is_alive, wait

pytestmark = pytest.mark.slow

#: How an edit breaks the site: the file, what it says then, and what the operator is told.
#: What begins with an empty line is added to it.
BROKEN = {
    "syntax": ("views.py", "def hello(:\n", "SyntaxError"),
    "import": ("routing.py", "import no_such_module\n", "No module named 'no_such_module'"),
    "settings": ("settings.py", "SECRET_KEY = 1 / 0\n", "ZeroDivisionError"),
    "models": ("models.py", "raise RuntimeError('no models today')\n", "no models today"),
    "exit": ("models.py", "import os\n\nos._exit(5)\n", "exit code 5"),
    "killed": (
        "models.py",
        "import os\n\nos.kill(os.getpid(), 9)\n",
        "killed by SIGKILL",
    ),
    "hang": (
        "models.py",
        "import threading\n\nthreading.Event().wait(600)\n",
        "not ready within 12 s",
    ),
    "check": (
        "models.py",
        """
from django.core.checks import Error, register


@register()
def look(**_):
    return [Error("the site is not fit", id="site.E001")]
""",
        "the site is not fit",
    ),
    "views": ("settings.py", "\nROOT_URLCONF = 'no.such.views'\n", "No module named 'no'"),
    "database": (
        "settings.py",
        "\nDATABASES['default']['NAME'] = '/no/such/folder/site.sqlite3'\n",
        "unable to open database file",
    ),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    site = Site(tmp_path_factory.mktemp("site"))
    with Supervised(site, "--threads=4", "--response-timeout=600", processes=2) as daemon:
        yield daemon
        assert daemon.stop() == 0


@pytest.fixture
def daemon(shared: Supervised) -> Supervised:
    shared.all_ready()
    return shared


def version(daemon: Supervised) -> str:
    return daemon.get("hello").text.split()[0]


def test_sighup_brings_new_code_to_open_sockets(daemon: Supervised) -> None:
    generation = daemon.tells()["generation"]
    with daemon.connect("version") as socket:
        socket.send("which")
        before = str(socket.recv(WAIT)).split()[0]
        daemon.site.set_version("by-signal")
        daemon.signal(signal.SIGHUP)
        daemon.all_ready(generation + 1)
        socket.send("which")
        assert str(socket.recv(WAIT)).split()[0] == "by-signal" != before
    assert version(daemon) == "by-signal"


def test_the_order_ends_when_the_new_code_runs(daemon: Supervised) -> None:
    daemon.site.set_version("by-order")
    ended = daemon.site.order("reload")
    generation = daemon.tells()["generation"]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"Reloaded: generation {generation} runs\n"
    assert version(daemon) == "by-order"


def test_who_asks_during_a_reload_gets_what_is_on_the_disk_then(daemon: Supervised) -> None:
    generation = daemon.tells()["generation"]
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(daemon.site.order, "reload")
        daemon.wait_for(f"workers of generation {generation + 1} are started")
        daemon.site.set_version("asked-meanwhile")
        others = [threads.submit(daemon.site.order, "reload") for _ in range(2)]
        endings = [one.result(WAIT) for one in (first, *others)]
    assert {one.returncode for one in endings} == {0}
    assert version(daemon) == "asked-meanwhile"
    # Both of those who asked during it may have been one, or not: there is no third.
    assert generation + 2 <= daemon.tells()["generation"] <= generation + 3


def test_what_runs_ends_in_the_old_code_and_what_is_new_begins_in_the_new(
    daemon: Supervised, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    daemon.site.set_version("old")
    daemon.reload()
    with (
        daemon.connect("wait") as busy,
        daemon.connect("version") as other,
        ThreadPoolExecutor(1) as threads,
    ):
        busy.send(str(gate))
        view = threads.submit(daemon.get, "wait", gate=gate)
        wait(lambda: len(daemon.site.waiting(gate)) == 2, "both wait")
        daemon.site.set_version("new")
        daemon.reload()
        for _ in range(10):
            other.send("which")
            assert str(other.recv(WAIT)).split()[0] == "new"
        busy.send("next")
        assert not view.done()
        gate.touch()
        assert busy.recv(WAIT) == f"{gate} old"
        assert busy.recv(WAIT) == "next new"
        assert view.result(WAIT).text.split()[0] == "old"
        old = daemon.site.waiting(gate)
    assert len(old) == 2, "nothing was run by both"
    wait(lambda: not any(map(is_alive, old)), "the old ones end")
    assert daemon.lost() == 0


def test_streams_and_uploads_go_on_over_a_reload(daemon: Supervised, tmp_path: Path) -> None:
    gate, body = tmp_path / "gate", os.urandom(2**20) * 8
    before = daemon.lost()
    url = f"{daemon.url}/parts?count=100&gate={gate}"
    with httpx.stream("GET", url, timeout=WAIT) as response, ThreadPoolExecutor(1) as threads:
        pieces = response.iter_bytes()
        streaming = int(next(pieces))
        uploading = threads.submit(
            httpx.post, f"{daemon.url}/upload?gate={gate}", content=body, timeout=WAIT
        )
        wait(lambda: len(daemon.site.waiting(gate)) == 2, "both wait")
        daemon.reload()
        assert streaming not in daemon.workers or "draining" in daemon.tells()["status"]
        gate.touch()
        assert sum(map(len, pieces)) == 100 * 50_000
        digest = hashlib.sha256(body).hexdigest()
        assert uploading.result(WAIT).json() == {"size": len(body), "sha256": digest}
    assert daemon.lost() == before


def test_an_old_worker_that_does_not_finish_is_killed_in_the_end(tmp_path: Path) -> None:
    never = tmp_path / "never"
    options = ("--drain-timeout=1", "--response-timeout=600")
    with (
        Supervised(Site(tmp_path), *options, processes=1) as daemon,
        daemon.connect("wait") as socket,
    ):
        socket.send(str(never))
        wait(lambda: daemon.site.waiting(never), "it waits")
        socket.send("next")
        daemon.reload()
        assert socket.recv(WAIT) == "next one"
        assert "has not finished in time: it is killed" in daemon.log
        assert 'doing.py", line' in daemon.log, "where it was"
        assert daemon.lost() == 1
        assert daemon.stop() == 0


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    """A hanging import is given 12 s: on a slow machine, all others must need less."""
    site = Site(tmp_path_factory.mktemp("site"))
    with Supervised(site, "--start-timeout=12", processes=1) as daemon:
        yield daemon
        assert daemon.stop() == 0


@pytest.mark.parametrize("how", BROKEN)
def test_broken_code_is_told_and_the_old_runs_on(impatient: Supervised, how: str) -> None:
    daemon, site = impatient, impatient.site
    name, text, told = BROKEN[how]
    daemon.all_ready()
    workers, before = daemon.workers, daemon.tells()["generation"]
    site.set_version(f"before-{how}")
    if text.startswith("\n"):
        site.append(name, text)
    else:
        site.edit(name, text)
    with daemon.connect("version") as socket:
        ended = site.order("reload")
        assert ended.returncode == 1
        assert "txchannels: the reload failed: " in ended.stderr
        assert f"Generation {before} goes on" in ended.stderr
        assert told in ended.stderr
        assert told in daemon.log
        status = site.order("status")
        assert status.returncode == 0
        assert "the last reload failed: worker 1 of generation" in status.stdout
        assert daemon.workers == workers, "the old ones are still there"
        assert daemon.tells()["generation"] == before
        socket.send("which")
        assert str(socket.recv(WAIT)).split()[1] == str(workers[0])
        site.mend(name)
        ended = site.order("reload")
        assert (ended.returncode, ended.stderr) == (0, "")
        socket.send("which")
        assert str(socket.recv(WAIT)).split()[0] == f"before-{how}"
    assert version(daemon) == f"before-{how}"
    assert "failed" not in daemon.tells()["status"]


def test_a_worker_that_dies_while_the_code_is_broken_comes_back_when_it_is_mended(
    daemon: Supervised,
) -> None:
    """What is started for the old generation cannot import former code: the others serve on."""
    site = daemon.site
    site.edit("views.py", "def hello(:\n")
    assert site.order("reload").returncode == 1
    with daemon.connect("die") as socket:
        socket.send("die SIGKILL")
        daemon.wait_for(f"(pid {wait(lambda: site.notes['dying'], 'it dies')[-1][0]}) has died")
        for number in range(10):
            socket.send(str(number))
            assert socket.recv(WAIT) == str(number)
        assert daemon.get("hello").status_code == 200
        site.mend("views.py")
        assert site.order("reload").returncode == 0
        socket.send("again")
        assert socket.recv(WAIT) == "again"
    daemon.all_ready()


def test_nobody_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    ended = site.order("reload")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"txchannels: {site.socket}: no daemon serves there")


def test_the_status_shows_every_worker_and_what_it_runs(daemon: Supervised, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with ThreadPoolExecutor(1) as threads:
        view = threads.submit(daemon.get, "wait", gate=gate)
        (pid,) = wait(lambda: daemon.site.waiting(gate), "it waits")
        shown = daemon.site.order("status").stdout
        gate.touch()
        assert view.result(WAIT).status_code == 200
    assert f"process {daemon.pid}: 1 connections; 2 workers of generation" in shown
    assert f"({pid}): " in shown
    assert "    runs txchannels.django.handler.ViewConsumer on http.request" in shown
