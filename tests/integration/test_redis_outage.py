"""Redis goes away under load and comes back, emptied: hosts with workers do not notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.integration.joined import Host, Notes, started, wait
from tests.integration.visiting import Load, Visitor, first_to_all, load, told_meanwhile
from tests.servers import Cuttable, RedisServer

pytestmark = pytest.mark.slow

#: Before any host has told so much after Redis answers again, all is as before. They tell
#: about thirty times a second, and less often on a slow machine.
RECOVERY_TELLS = 180

#: How late, in seconds, a host may read an answer; less than it takes to notice a silence.
READ_SECONDS = 1.5

#: How long a server that does not answer at all is away; it is noticed after two seconds.
SILENT_SECONDS = 3.0
LONG_SECONDS = 10.0

#: What tells of an outage, and nothing else.
LOSS = " is lost: "
RETURN = " is connected"
GAP = "The layer's server was away"
FORGOTTEN = "has forgotten this hub"


class Site:
    """Two hosts with workers, and the server that joins them, behind a line that can be cut."""

    def __init__(self, server: RedisServer, line: Cuttable, hosts: Sequence[Host]) -> None:
        self.server = server
        self.line = line
        self.hosts = hosts


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    return Notes(tmp_path_factory.mktemp("notes"))


def _hosts(url: str, notes: Notes, tag: str) -> list[Host]:
    return [
        Host(f"{tag}-one", url, notes, "--threads=16"),
        Host(f"{tag}-two", url, notes, "--threads=16", gap_by="channel"),
    ]


@pytest.fixture(scope="module")
def site(notes: Notes) -> Iterator[Site]:
    """Hosts that reach the server directly: its port refuses while it is away."""
    with RedisServer() as server, Cuttable(server.port) as line:
        hosts = _hosts(server.url, notes, "direct")
        with started(*hosts):
            yield Site(server, line, hosts)


@pytest.fixture(scope="module")
def far_site(notes: Notes) -> Iterator[Site]:
    """Hosts whose line to the server can be cut."""
    with RedisServer() as server, Cuttable(server.port) as line:
        hosts = _hosts(f"redis://127.0.0.1:{line.port}", notes, "far")
        with started(*hosts):
            yield Site(server, line, hosts)


def wall_clock() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def stay_away(seconds: float) -> None:
    threading.Event().wait(seconds)


class Absence:
    """What goes on while the server is away, for some seconds at least.

    Attributes:
        walls: Wall clock times: before it goes, when it is away for certain, before it comes.
    """

    def __init__(self, work: Load) -> None:
        self._work = work
        self.walls = [wall_clock()]

    def __call__(self, seconds: float = 0.0) -> None:
        self.walls.append(wall_clock())
        stay_away(seconds)
        self._work.goes_on()
        self.walls.append(wall_clock())


def killed(site: Site, during: Absence) -> None:
    site.server.kill()
    during()
    site.server.start()


def stopped(site: Site, during: Absence) -> None:
    site.server.stop()
    during()
    site.server.start()


def paused(site: Site, during: Absence) -> None:
    site.server.pause()
    during(SILENT_SECONDS)
    site.server.resume()


def silenced(site: Site, during: Absence) -> None:
    site.line.silence()
    during(SILENT_SECONDS)
    site.line.mend()


def cut(site: Site, during: Absence) -> None:
    site.line.cut()
    during()
    site.line.mend()


def emptied(site: Site, during: Absence) -> None:
    with site.server.client() as client:
        client.flushall()


NEAR = [killed, stopped, paused, emptied]
FAR = [silenced, cut]


@pytest.mark.parametrize("outage", NEAR, ids=lambda one: one.__name__)
def test_hosts_with_workers_live_through_it(site: Site, notes: Notes, outage) -> None:
    _live_through(site, notes, outage)


@pytest.mark.parametrize("outage", FAR, ids=lambda one: one.__name__)
def test_hosts_with_workers_live_through_a_line_that_is(
    far_site: Site, notes: Notes, outage
) -> None:
    _live_through(far_site, notes, outage)


def _live_through(site: Site, notes: Notes, outage: Callable[..., None]) -> None:
    logs = [len(host.log) for host in site.hosts]
    gaps = len(notes["gaps"])
    with load(site.hosts) as work:
        work.goes_on()
        begun, absence = time.monotonic(), Absence(work)
        outage(site, absence)
        back, [_, away, *_] = time.monotonic(), [*absence.walls, wall_clock()]
        whole = first_to_all(work.tellers, work.members, back)
        print(f"\n{outage.__name__}: whole again after {whole - back:.2f} s")  # noqa: T201
        work.goes_on()
        work.check_all_came(whole)
        work.check(begun)
    assert 0 < told_meanwhile(work.tellers, back, whole) < RECOVERY_TELLS
    wait(lambda: len(notes["gaps"]) >= gaps + 2, "both hosts are told of the gap")
    told = notes["gaps"][gaps:]
    assert sorted(line[:2] for line in told) == sorted(
        [host.name, "signal" if host is site.hosts[0] else "channel"] for host in site.hosts
    )
    for _, _, since, until in told:
        assert float(since) <= away + READ_SECONDS
        assert float(until) >= absence.walls[-1]
    for host, start in zip(site.hosts, logs, strict=True):
        check_log(host, start, is_emptied=outage is emptied)


def check_log(host: Host, start: int, *, is_emptied: bool) -> None:
    """One line for the loss, one for the return, one for the gap, and hardly any other."""
    expected = [FORGOTTEN, GAP] if is_emptied else [LOSS, RETURN, GAP]
    wait(lambda: all(text in host.log[start:] for text in expected), "all is in the log")
    log = host.log[start:]
    lines = [line for line in log.splitlines() if line]
    for text in expected:
        assert sum(text in line for line in lines) == 1, log
    assert len(lines) <= len(expected) + 3, log


def test_memory_stays_bounded_while_groups_are_sent_to(site: Site) -> None:
    (one, two), size = site.hosts, 4000
    with load(site.hosts) as work:
        work.goes_on()
        before = [one.rss, two.rss]
        site.server.kill()
        begun = time.monotonic()
        with Visitor(one, "tell", group="elsewhere", text="x", size=size, count=50) as flood:
            stay_away(LONG_SECONDS)
            enough = 64 * 2**20 // (50 * size)
            wait(lambda: flood.count > enough or flood.failures, "enough is sent to tell", 60.0)
            assert not flood.failures
        grown = [host.rss - rss for host, rss in zip((one, two), before, strict=True)]
        site.server.start()
        whole = first_to_all(work.tellers, work.members, time.monotonic())
        work.goes_on()
        work.check_all_came(whole)
        work.check(begun)
    print(f"\nRSS grew by {[size // 1024 for size in grown]} KiB")  # noqa: T201
    assert max(grown) < 32 * 2**20
