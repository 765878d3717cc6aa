"""Under a steady load, workers are killed and reloaded, also with broken code.

The clients keep account of what they see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.storm import Account, Storm, kill_workers, lost_with
from tests.integration.supervised import Site, Supervised, stopped, workers_of

pytestmark = pytest.mark.slow

KILLS = 100
RELOADS = 30
SOCKETS = 500
VISITORS = 2

#: Seconds between two messages of a socket: all of them send 100 in a second.
PAUSE = SOCKETS / 100

THREADS = 8

#: What is not ready in so many seconds has hung. On a slow machine, good code must need less.
START_SECONDS = 15

#: Edits that break the site: the file, what it says then, and what the operator is told. What
#: begins with an empty line is added to it.
BROKEN = (
    ("views.py", "def hello(:\n", "SyntaxError"),
    ("models.py", "\nimport no_such_module\n", "No module named 'no_such_module'"),
    (
        "models.py",
        """
from django.core.checks import Error, register


@register()
def look(**_):
    return [Error("the site is not fit", id="site.E001")]
""",
        "the site is not fit",
    ),
    (
        "models.py",
        "\nimport threading\n\nthreading.Event().wait(600)\n",
        f"not ready within {START_SECONDS} s",
    ),
    ("routing.py", "routing = [\n", "SyntaxError"),
    ("routing.py", "\nfrom supervised_site.doing import no_such_name\n", "no_such_name"),
    (
        "models.py",
        """
from django.db import models


class Orphan(models.Model):
    parent = models.ForeignKey("nobody.Nothing", on_delete=models.CASCADE)
""",
        "fields.E300",
    ),
    (
        "routing.py",
        "\nimport threading\n\nthreading.Event().wait(600)\n",
        f"not ready within {START_SECONDS} s",
    ),
    ("settings.py", "SECRET_KEY = (\n", "SyntaxError"),
    ("views.py", "\nraise RuntimeError('no views today')\n", "no views today"),
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def daemon(site: Site, processes: int) -> Iterator[Supervised]:
    with stopped(supervised(site, processes)) as daemon:
        yield daemon


def supervised(site: Site, processes: int, *options: str) -> Supervised:
    """A daemon that does not lose patience on a slow machine, but for what *options* say."""
    patient = (f"--threads={THREADS}", "--ws-serial-timeout=600", "--response-timeout=600")
    environment = {"BUSY_SECONDS": "0.03"}
    return Supervised(site, *patient, *options, processes=processes, environment=environment)


def load(daemon: Supervised) -> Storm:
    return Storm(daemon, sockets=SOCKETS, visitors=VISITORS, pause=PAUSE)


def check_sockets(account: Account) -> None:
    assert account.closed == []
    assert account.duplicates == []
    assert account.out_of_order == []
    assert account.sent == account.answered + len(account.lost)


def check_nothing_is_noticed(account: Account) -> None:
    check_sockets(account)
    assert account.lost == []
    assert account.statuses.keys() == {200}
    assert account.errors == []


def begun(site: Site) -> Counter[str]:
    """How often each message was begun, in whichever worker."""
    return Counter(text for _, text in site.notes["begun"])


@pytest.mark.parametrize("processes", [4])
@pytest.mark.timeout(600)
def test_kills_cost_what_was_running_and_no_socket(daemon: Supervised, site: Site) -> None:
    with load(daemon) as storm:
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


@pytest.mark.parametrize("processes", [2])
@pytest.mark.timeout(600)
def test_reloads_cost_nothing(daemon: Supervised, site: Site) -> None:
    with load(daemon) as storm:
        for _ in range(RELOADS):
            daemon.reload()
        storm.goes_on()
    told = daemon.tells()
    check_nothing_is_noticed(storm.account)
    assert told["generation"] == RELOADS + 1
    assert (told["lost"], told["restarts"]) == (0, 0)
    assert set(begun(site).values()) == {1}


@pytest.mark.timeout(600)
def test_broken_code_costs_nothing(site: Site) -> None:
    """Whatever is broken, the old workers serve on, with the old code."""
    with supervised(site, 2, f"--start-timeout={START_SECONDS}") as daemon:
        workers = daemon.workers
        with load(daemon) as storm:
            site.set_version("two")
            for broken in BROKEN:
                reload_in_vain(daemon, *broken)
                assert daemon.workers == workers
                storm.goes_on()
                assert daemon.get("hello").text.split()[0] == "one"
            daemon.reload()
            storm.goes_on()
            assert daemon.get("hello").text.split()[0] == "two"
        told = daemon.tells()
        assert not set(daemon.workers) & set(workers)
        assert daemon.stop() == 0, daemon.log
    check_nothing_is_noticed(storm.account)
    assert (told["lost"], told["restarts"]) == (0, 0)
    assert set(begun(site).values()) == {1}
    assert not workers_of(site)


def reload_in_vain(daemon: Supervised, name: str, text: str, told: str) -> None:
    """Break the file *name* for one reload, which must fail, and say why."""
    site, generation = daemon.site, daemon.tells()["generation"]
    if text.startswith("\n"):
        site.append(name, text)
    else:
        site.edit(name, text)
    ended = site.order("reload")
    site.mend(name)
    assert ended.returncode == 1, f"{name} was {text!r}"
    assert told in ended.stderr
    assert f"Generation {generation} goes on" in ended.stderr
    assert daemon.tells()["generation"] == generation
