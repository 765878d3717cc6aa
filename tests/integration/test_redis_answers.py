"""A front whose answers cannot come, the server of its inbox being away, lets nobody wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.joined import Host, Notes, started, wait
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

WORKER = "channels-worker"

#: Long enough that a test which waits for it fails.
DRAIN_SECONDS = 25


def losses(host: Host) -> int:
    return host.log.count(" is lost: ")


def joins(host: Host) -> int:
    return host.log.count(" is connected")


def test_one_of_two_shards_is_away(tmp_path: Path) -> None:
    """The request could still go out; by one of them its answer could not come back."""
    notes = Notes(tmp_path)
    with RedisServer() as one, RedisServer() as other:
        config = {"hosts": [one.url, other.url]}
        front = Host("front", config, notes, "--no-workers", "--response-timeout=600")
        worker = Host("worker", config, notes, "--threads=4", command=WORKER)
        with started(worker, front):
            statuses = []
            for away, server in enumerate([one, other]):
                for host in (front, worker):
                    wait(lambda host=host, n=away: joins(host) >= n + 2, "both shards are there")
                wait(lambda: front.get("hello").status_code == 200, "the front answers")
                server.kill()
                for host in (front, worker):
                    wait(lambda host=host, n=away: losses(host) > n, "it is noticed")
                statuses.append({front.get("hello").status_code for _ in range(6)})
                server.start()
            assert sorted(map(list, statuses)) == [[200], [503]]
            for host in (front, worker):
                wait(lambda host=host: joins(host) >= 4, "both shards are there")
            wait(lambda: front.get("hello").status_code == 200, "the front answers again")


def test_a_stop_does_not_wait_for_receipts_that_cannot_come(tmp_path: Path) -> None:
    notes, gate = Notes(tmp_path), tmp_path / "gate"
    with RedisServer() as server:
        options = ("--no-workers", f"--drain-timeout={DRAIN_SECONDS}")
        front = Host("front", server.url, notes, *options)
        worker = Host("worker", server.url, notes, "--threads=4", command=WORKER)
        with started(worker, front):
            wait(lambda: front.get("hello").status_code == 200, "the front answers")
            with front.connect("gate") as socket:
                socket.send(str(gate))
                wait(lambda: notes["waiting"], "the consumer waits")
                server.kill()
                for host in (front, worker):
                    wait(lambda host=host: losses(host), "it is noticed")
                assert front.stop() == 0
            assert "connections are dropped" not in front.log
            gate.touch()
