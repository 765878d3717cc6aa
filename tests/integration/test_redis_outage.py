"""Redis goes away under load and comes back, emptied: hosts with workers do not notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.integration.joined import Host, Notes, started, wait
from tests.integration.visiting import Visitor, first_to_all, load
from tests.servers import Cuttable, RedisServer

pytestmark = pytest.mark.slow

#: Within so many seconds after Redis answers, all is as before.
RECOVERY_SECONDS = 2.0
#: What a busy machine may add to that.
GUARD_SECONDS = 4.0

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


def stay_away(seconds: float) -> None:
    threading.Event().wait(seconds)


def killed(site: Site, during: Callable[[], None]) -> None:
    site.server.kill()
    during()
    site.server.start()


def stopped(site: Site, during: Callable[[], None]) -> None:
    site.server.stop()
    during()
    site.server.start()


def paused(site: Site, during: Callable[[], None]) -> None:
    site.server.pause()
    stay_away(SILENT_SECONDS)
    during()
    site.server.resume()


def silenced(site: Site, during: Callable[[], None]) -> None:
    site.line.silence()
    stay_away(SILENT_SECONDS)
    during()
    site.line.mend()


def cut(site: Site, during: Callable[[], None]) -> None:
    site.line.cut()
    during()
    site.line.mend()


def emptied(site: Site, during: Callable[[], None]) -> None:
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
        begun, begun_wall = time.monotonic(), wall_clock()
        outage(site, work.goes_on)
        back, back_wall = time.monotonic(), wall_clock()
        whole = first_to_all(work.tellers, work.members, back)
        seconds = whole - back
        print(f"\n{outage.__name__}: whole again after {seconds:.2f} s")  # noqa: T201
        work.goes_on()
        work.check_all_came(whole)
        work.check(begun)
    assert 0 < seconds < RECOVERY_SECONDS + GUARD_SECONDS
    wait(lambda: len(notes["gaps"]) >= gaps + 2, "both hosts are told of the gap")
    told = notes["gaps"][gaps:]
    assert sorted(line[:2] for line in told) == sorted(
        [host.name, "signal" if host is site.hosts[0] else "channel"] for host in site.hosts
    )
    for _, _, since, until in told:
        assert float(since) <= begun_wall + 0.5
        assert float(until) >= back_wall - 0.5
    for host, start in zip(site.hosts, logs, strict=True):
        check_log(host.log[start:], is_emptied=outage is emptied)


def check_log(log: str, *, is_emptied: bool) -> None:
    """One line for the loss, one for the return, one for the gap, and hardly any other."""
    lines = [line for line in log.splitlines() if line]
    expected = [FORGOTTEN, GAP] if is_emptied else [LOSS, RETURN, GAP]
    for text in expected:
        assert sum(text in line for line in lines) == 1, log
    assert len(lines) <= len(expected) + 3, log


def wall_clock() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def test_memory_stays_bounded_while_groups_are_sent_to(site: Site) -> None:
    (one, two), size = site.hosts, 4000
    with load(site.hosts) as work:
        work.goes_on()
        before = [one.rss, two.rss]
        site.server.kill()
        begun = time.monotonic()
        with Visitor(one, "tell", group="elsewhere", text="x", size=size, count=50) as flood:
            stay_away(LONG_SECONDS - (time.monotonic() - begun))
            assert flood.count * 50 * size > 64 * 2**20, "too little was sent to tell"
        grown = [host.rss - rss for host, rss in zip((one, two), before, strict=True)]
        site.server.start()
        whole = first_to_all(work.tellers, work.members, time.monotonic())
        work.goes_on()
        work.check_all_came(whole)
        work.check(begun)
    print(f"\nRSS grew by {[size // 1024 for size in grown]} KiB")  # noqa: T201
    assert max(grown) < 32 * 2**20
