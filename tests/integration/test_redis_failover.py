"""Hosts that ask sentinels where the master is follow it to where it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.joined import Host, Notes, started
from tests.integration.visiting import first_to_all, load, told_meanwhile
from tests.servers import RedisServer, SentinelTrio

pytestmark = pytest.mark.slow

#: Before any host has told so much after the new master takes writes, all is as before; a
#: forced fail-over is noticed by asking. They tell about thirty times a second, or less often.
RECOVERY_TELLS = 450


@pytest.fixture(scope="module")
def trio() -> Iterator[SentinelTrio]:
    with SentinelTrio(replicas=2) as trio:
        yield trio


@pytest.fixture(scope="module")
def hosts(trio: SentinelTrio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    notes = Notes(tmp_path_factory.mktemp("notes"))
    hosts = [Host(name, trio.url, notes, "--threads=16") for name in ("one", "two")]
    with started(*hosts):
        yield hosts


@pytest.mark.parametrize("change", [SentinelTrio.failover, SentinelTrio.kill_master])
def test_hosts_follow_the_master(
    trio: SentinelTrio, hosts: list[Host], change: Callable[[SentinelTrio], RedisServer]
) -> None:
    with load(hosts) as work:
        work.goes_on()
        begun = time.monotonic()
        master = change(trio)
        back = time.monotonic()
        whole = first_to_all(work.tellers, work.members, back)
        work.goes_on()
        print(f"\n{change.__name__}: whole again after {whole - back:.2f} s")  # noqa: T201
        with master.client() as client:
            hubs = client.keys("txchannels:{i:*}")
        assert hubs, "the hosts are registered at the new master"
        work.check(begun)
    assert told_meanwhile(work.tellers, back, whole) < RECOVERY_TELLS
