"""No worker process outlives its daemon, whatever it runs when that is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.supervised import WAIT, Site, Supervised, wait, workers_of

pytestmark = pytest.mark.slow

#: Without an end: it keeps the interpreter's lock for longer than the universe will last.
REGEX = 're.match("(a+)+$", "a" * 100 + "b")'

#: A view that does so at once, or when it was told to finish: then 5 s or so are over.
VIEWS = f"""
import re

def hold(request):
    if "gate" in request.GET:
        doing.wait_for(request.GET["gate"])
    doing.note("holding", os.getpid())
    {REGEX}

urlpatterns.append(path("hold", hold))
"""


def killed(daemon: Supervised) -> None:
    """Kill the daemon; all of its workers end."""
    pids = workers_of(daemon.site)
    workers = [pid for pid in pids if pid != daemon.pid]
    assert workers
    daemon.signal(signal.SIGKILL)
    daemon.process.wait()
    wait(lambda: not any(map(is_running, workers)), f"{workers} have ended")
    daemon.kill()


def is_running(pid: int) -> bool:
    """Whether it has not ended; whoever is to wait for it may take a while."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def visit(url: str) -> None:
    try:
        httpx.get(url, timeout=None)  # it ends with the daemon
    except httpx.TransportError:
        pass


def importing(folder: Path, line: str) -> None:
    site = Site(folder)
    note = 'doing.note("importing", os.getpid())'
    site.append("routing.py", f"import re, time\n{note}\n{line}")
    daemon = Supervised(site, "--start-timeout=600").start()
    try:
        wait(lambda: len(site.notes["importing"]) == 2, "both import")
        killed(daemon)
    finally:
        daemon.kill()


def importing_for_ever(folder: Path) -> None:
    importing(folder, "time.sleep(100_000)")


def importing_with_the_interpreter_held(folder: Path) -> None:
    importing(folder, REGEX)


def whose_view_holds_the_interpreter(folder: Path) -> None:
    site = Site(folder)
    site.append("views.py", VIEWS)
    with ThreadPoolExecutor() as clients, Supervised(site, "--stuck-timeout=0") as daemon:
        clients.submit(visit, f"{daemon.url}/hold")
        wait(lambda: site.notes["holding"], "it is held")
        killed(daemon)


def draining_with_the_interpreter_held(folder: Path) -> None:
    """It finishes what it runs, after a reload."""
    site, gate = Site(folder), folder / "gate"
    site.append("views.py", VIEWS)
    options = ("--stuck-timeout=0", "--drain-timeout=600")
    with ThreadPoolExecutor() as clients, Supervised(site, *options, processes=1) as daemon:
        clients.submit(visit, f"{daemon.url}/hold?gate={gate}")
        (pid,) = wait(lambda: site.waiting(gate), "it runs")
        daemon.reload()
        gate.touch()
        wait(lambda: [str(pid)] in site.notes["holding"], "it is held")
        assert is_running(pid)
        killed(daemon)


def whose_view_holds_the_interpreter_soon_after(folder: Path) -> None:
    """What runs at the daemon's end may go on for a while, and do so then."""
    site, gate = Site(folder), folder / "gate"
    site.append("views.py", VIEWS)
    options = ("--stuck-timeout=0", "--drain-timeout=600")
    with ThreadPoolExecutor() as clients, Supervised(site, *options, processes=1) as daemon:
        clients.submit(visit, f"{daemon.url}/hold?gate={gate}")
        (pid,) = wait(lambda: site.waiting(gate), "it runs")
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        gate.touch()
        wait(lambda: not is_running(pid), "it has ended")


#: What a worker is at when its daemon is killed.
ORPHANS = (
    importing_for_ever,
    importing_with_the_interpreter_held,
    whose_view_holds_the_interpreter,
    draining_with_the_interpreter_held,
    whose_view_holds_the_interpreter_soon_after,
)


@pytest.fixture(scope="module")
def orphaned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """All of them at a time: each takes as long as an orphan may."""
    with ThreadPoolExecutor() as threads:
        yield {
            one.__name__: threads.submit(one, tmp_path_factory.mktemp("site")) for one in ORPHANS
        }


@pytest.mark.parametrize("name", [one.__name__ for one in ORPHANS])
def test_one_that_goes_on_is_ended(orphaned: dict[str, Future[None]], name: str) -> None:
    orphaned[name].result(3 * WAIT)


def test_those_that_run_nothing_or_finish_in_time(tmp_path: Path) -> None:
    """They end in good order: what runs may finish."""
    site, gate = Site(tmp_path), tmp_path / "gate"
    note = 'import atexit\natexit.register(doing.note, "exits", os.getpid())'
    site.append("routing.py", note)
    with ThreadPoolExecutor() as clients, Supervised(site) as daemon:
        workers = daemon.workers
        clients.submit(visit, f"{daemon.url}/wait?gate={gate}")
        wait(lambda: site.waiting(gate), "one runs something")
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        gate.touch()
        wait(lambda: not any(map(is_running, workers)), "they have ended")
        assert sorted(int(pid) for (pid,) in site.notes["exits"]) == sorted(workers)
