"""What the end of a worker is put down to: its code, one message, its limits, or a signal."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.supervised import Site, Supervised, stopped, wait

pytestmark = pytest.mark.slow


def test_a_client_cannot_have_a_site_that_works_condemned(tmp_path: Path) -> None:
    with stopped(Supervised(Site(tmp_path), "--response-timeout=600")) as daemon:
        assert daemon.get("hello").status_code == 200
        for _ in range(9):
            assert daemon.get("die", how="segfault").status_code == 502
        assert daemon.get("hello").status_code == 200
        assert "BROKEN" not in daemon.log
        daemon.all_ready()


def test_one_that_sigterm_ends_is_told_as_such(tmp_path: Path) -> None:
    site, gate = Site(tmp_path), tmp_path / "gate"
    site.append("routing.py", f'doing.wait_for("{gate}")')
    daemon = Supervised(site, processes=1).start()
    try:
        (starting,) = wait(lambda: site.waiting(gate), "it starts")
        os.kill(starting, signal.SIGTERM)
        line = daemon.wait_for(f"(pid {starting}) has ")
        assert "has been ended by SIGTERM from outside; 0 messages lost" in line
        gate.touch()
        daemon.all_ready()
        (pid,) = daemon.workers
        os.kill(pid, signal.SIGTERM)
        line = daemon.wait_for(f"(pid {pid}) has ")
        assert "has been ended by SIGTERM from outside; 0 messages lost" in line
        daemon.all_ready()
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_one_that_exits_by_itself_is_told_as_such(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.append("views.py", 'urlpatterns.append(path("leave", lambda request: os._exit(0)))')
    with stopped(Supervised(site, processes=1)) as daemon:
        (pid,) = daemon.workers
        assert daemon.get("leave").status_code == 502
        line = daemon.wait_for(f"(pid {pid}) has ")
        assert "has died: it exited by itself, exit code 0; 1 messages lost" in line
        daemon.all_ready()


def test_a_limit_that_no_worker_keeps_replaces_none(tmp_path: Path) -> None:
    with stopped(Supervised(Site(tmp_path), f"--max-rss={2**24}")) as daemon:
        workers = daemon.workers
        line = daemon.wait_for("--max-rss 16777216 bytes is too little")
        assert f"(pid {workers[0]})" in line or f"(pid {workers[1]})" in line
        assert daemon.get("grow", size=2**24).status_code == 200
        daemon.reload()
        # Told once for each generation: by then, all have been looked at.
        wait(lambda: daemon.log.count("bytes is too little") == 2, "it is told again")
        assert daemon.tells()["recycled"] == 0
        assert len(daemon.workers) == 2
