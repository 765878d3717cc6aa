"""Under a steady load, workers are killed and reloaded: clients keep account of what they see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.storm import Account, Storm, kill_workers, lost_with
from tests.integration.supervised import Site, Supervised, stopped

pytestmark = pytest.mark.slow

KILLS = 100
RELOADS = 30
SOCKETS = 50

WORKERS = 4
THREADS = 8


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def daemon(site: Site, processes: int) -> Iterator[Supervised]:
    environment = {"BUSY_SECONDS": "0.03"}
    options = (f"--threads={THREADS}", "--ws-serial-timeout=600", "--response-timeout=600")
    with stopped(
        Supervised(site, *options, processes=processes, environment=environment)
    ) as daemon:
        yield daemon


def check_sockets(account: Account) -> None:
    assert account.closed == []
    assert account.duplicates == []
    assert account.out_of_order == []
    assert account.sent == account.answered + len(account.lost)


def begun(site: Site) -> Counter[str]:
    """How often each message was begun, in whichever worker."""
    return Counter(text for _, text in site.notes["begun"])


@pytest.mark.parametrize("processes", [WORKERS])
@pytest.mark.timeout(600)
def test_kills_cost_what_was_running_and_no_socket(daemon: Supervised, site: Site) -> None:
    with Storm(daemon, sockets=SOCKETS, visitors=2, pause=0.3) as storm:
        kill_workers(daemon, KILLS, at_once=2)
        storm.goes_on()
    account, told, booked = storm.account, daemon.tells(), lost_with(daemon)
    check_sockets(account)
    assert told["restarts"] == KILLS
    assert told["lost"] == booked.total(), "each loss is counted and logged"
    assert told["lost"] <= KILLS * THREADS
    # A message was lost for its socket at most when its worker was, and it had been begun; one
    # that was answered just before its worker's end may be among the lost.
    assert 0 < len(account.lost) <= booked["websocket.receive"]
    times = begun(site)
    assert set(times.values()) == {1}, "nothing was begun twice"
    # A kill may come between a message's beginning and its consumer's first line: seldom.
    assert len(set(account.lost) - set(times)) <= KILLS // 10, "what waited was not lost"
    assert set(account.statuses) <= {200, 502}
    assert account.errors == []
    assert account.failed <= booked["http.request"]


@pytest.mark.parametrize("processes", [1])
@pytest.mark.timeout(600)
def test_reloads_cost_nothing(daemon: Supervised, site: Site) -> None:
    with Storm(daemon, sockets=SOCKETS, visitors=2, pause=0.3) as storm:
        for _ in range(RELOADS):
            daemon.reload()
        storm.goes_on()
    account, told = storm.account, daemon.tells()
    check_sockets(account)
    assert account.lost == []
    assert account.statuses.keys() == {200}
    assert account.errors == []
    assert told["generation"] == RELOADS + 1
    assert (told["lost"], told["restarts"]) == (0, 0)
    assert set(begun(site).values()) == {1}
