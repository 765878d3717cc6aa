"""Hosts that ask sentinels where the master is follow it to where it goes.

Redis replicates after it has answered. So what a host takes from the old master while another
becomes the master may be there, too, and come again: of what was under way then, nothing more
is promised than that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.joined import Host, Notes, started, wait
from tests.integration.visiting import Load, first_to_all, load, several, told_meanwhile
from tests.servers import RedisServer, SentinelTrio

pytestmark = pytest.mark.slow

#: Before any host has told so much after the new master takes writes, all is as before; a
#: forced fail-over is noticed by asking. They tell about thirty times a second, or less often.
RECOVERY_TELLS = 450

REPLICAS = 2


@pytest.fixture(scope="module")
def trio() -> Iterator[SentinelTrio]:
    with SentinelTrio(replicas=REPLICAS) as trio:
        yield trio


@pytest.fixture(scope="module")
def hosts(trio: SentinelTrio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    notes = Notes(tmp_path_factory.mktemp("notes"))
    hosts = [Host(name, trio.url, notes, "--threads=16") for name in ("one", "two")]
    with started(*hosts):
        yield hosts


def replicated(trio: SentinelTrio) -> float:
    """Wait until the replicas have done all that was done until now. Returns: when they had."""
    with trio.master.client() as client:
        client.set("a write of this connection", 1)
        # An old master becomes a replica some 10 seconds after a fail-over.
        wait(lambda: client.wait(REPLICAS, 1000) == REPLICAS, "all is replicated", 60.0)
    return time.monotonic()


def times_connected(host: Host) -> int:
    return host.log.count("is connected")


def forgive_what_was_under_way(work: Load, begun: float, back: float) -> int:
    """Take out what came twice, and may. Returns: how much that was.

    It was told before the new master took writes, and taken from the old one while that was
    being replaced.
    """
    told = {text: at for teller in work.tellers for text, at in list(teller.told.items())}
    forgiven = 0
    for member in work.members:
        for text, times in several(member.got).items():
            if times == 2 and told[text] < back and member.when[text] > begun:
                member.got[text] = 1
                forgiven += 1
    return forgiven


@pytest.mark.parametrize("change", [SentinelTrio.failover, SentinelTrio.kill_master])
def test_hosts_follow_the_master(
    trio: SentinelTrio, hosts: list[Host], change: Callable[[SentinelTrio], RedisServer]
) -> None:
    with load(hosts) as work:
        work.goes_on()
        begun = replicated(trio)
        connected = {host: times_connected(host) for host in hosts}
        master = change(trio)
        back = time.monotonic()
        for host in hosts:
            wait(lambda one=host: times_connected(one) > connected[one], f"{host.name} follows")
        # What comes twice comes before what is told from now on.
        whole = first_to_all(work.tellers, work.members, time.monotonic())
        work.goes_on()
        print(f"\n{change.__name__}: whole again after {whole - back:.2f} s")  # noqa: T201
        with master.client() as client:
            hubs = client.keys("txchannels:{i:*}")
        assert hubs, "the hosts are registered at the new master"
        twice = forgive_what_was_under_way(work, begun, back)
        print(f"{twice} copies came twice")  # noqa: T201
        work.check(begun)
    assert told_meanwhile(work.tellers, back, whole) < RECOVERY_TELLS
