"""What the settings say of the workers is used at each reload; the rest waits for a restart."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.supervised import (
    WAIT,
    Site,
    Supervised,
    stopped,
    wait,
    workers_of,
)

pytestmark = pytest.mark.slow

#: Tells how many threads a worker may have: with `threads` of them waiting, none is free.
TELL_THREADS = """
import gc

from txchannels.workers.pool import Pool


def tell_threads(message):
    pools = [one for one in gc.get_objects() if isinstance(one, Pool)]
    message.reply_channel.send({"text": str(pools[0]._max_threads)})


routing.insert(0, route("websocket.receive", tell_threads, path="^/version$"))
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.append("routing.py", TELL_THREADS)
    return site


def give(site: Site, **options: object) -> None:
    """Let the settings' ``TXCHANNELS`` be that."""
    site.mend("settings.py")
    site.append("settings.py", f"TXCHANNELS = {options}")


def threads(daemon: Supervised) -> int:
    with daemon.connect("version") as socket:
        socket.send("")
        return int(socket.recv(WAIT))


def test_threads_and_limits_are_those_of_the_settings_after_each_reload(site: Site) -> None:
    give(site, THREADS=3)
    with stopped(Supervised(site, processes=1)) as daemon:
        assert threads(daemon) == 3
        give(site, THREADS=50, MAX_MESSAGES=4, MAX_BODY=1000, NO_DELAY=True)
        daemon.reload()
        assert threads(daemon) == 50
        assert "changed: NO_DELAY, MAX_BODY concern the daemon itself, and are" in daemon.log
        is_recycled(daemon)
        assert threads(daemon) == 50, "of one that was started since, too"
        give(site)
        daemon.reload()
        assert threads(daemon) == 64


def is_recycled(daemon: Supervised) -> None:
    """A worker is replaced once it has done some messages."""
    before = daemon.tells()["recycled"]
    for _ in range(4):
        assert daemon.get("hello").status_code == 200
    wait(lambda: daemon.tells()["recycled"] > before, "it is replaced")
    daemon.all_ready()


def test_the_first_workers_of_mended_settings_are_as_these_say(site: Site) -> None:
    site.edit("settings.py", "SECRET_KEY = (\n")
    daemon = Supervised(site, processes=1).start()
    try:
        wait(lambda: daemon.tells()["is_broken"], "it has given up")
        give(site, THREADS=3, MAX_MESSAGES=4)
        daemon.reload()
        assert threads(daemon) == 3
        is_recycled(daemon)
        assert "restarted" not in daemon.log
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_the_command_line_wins_at_a_reload_too(site: Site) -> None:
    options = ("--threads=5", "--max-messages=0")
    with stopped(Supervised(site, *options, processes=1)) as daemon:
        give(site, THREADS=7, MAX_MESSAGES=1, PROCESSES=3)
        daemon.reload()
        assert threads(daemon) == 5
        for _ in range(5):
            assert daemon.get("hello").status_code == 200
        daemon.reload()  # by then, one that is due would have been replaced
        assert daemon.tells()["recycled"] == 0
        assert "have changed" not in daemon.log


def test_options_that_cannot_work_fail_the_reload(site: Site) -> None:
    with stopped(Supervised(site, processes=1)) as daemon:
        give(site, THREADS="many")
        ended = site.order("reload")
        assert ended.returncode == 1
        assert "TXCHANNELS['THREADS'] 'many'" in ended.stderr
        assert threads(daemon) == 64


#: At the end of the settings: says that they are read, and waits for a file.
SLOW = """
import threading

print("the settings are read", flush=True)
while not Path({gate!r}).exists():
    threading.Event().wait(0.02)
"""


def test_a_reload_that_is_asked_for_while_the_settings_are_read_does_no_harm(
    site: Site, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    site.append("settings.py", SLOW.format(gate=str(gate)))
    daemon = Supervised(site, processes=1).start(until="the settings are read")
    try:
        for pid in workers_of(site):  # the daemon, and who reads them
            os.kill(pid, signal.SIGHUP)
        gate.touch()
        daemon.wait_for("is ready, after")
        daemon.all_ready(1)
        daemon.signal(signal.SIGHUP)
        daemon.all_ready(2)
        assert daemon.stop() == 0
    finally:
        daemon.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_reads_the_settings_ends_with_the_daemon(
    site: Site, tmp_path: Path, number: int
) -> None:
    site.append("settings.py", SLOW.format(gate=str(tmp_path / "never")))
    daemon = Supervised(site, processes=1).start(until="the settings are read")
    try:
        (reader,) = [pid for pid in workers_of(site) if pid != daemon.pid]
        daemon.signal(number)
        assert daemon.process.wait(WAIT) == -number
        wait(lambda: reader not in workers_of(site), "it ends, too")
    finally:
        for pid in workers_of(site):
            os.kill(pid, signal.SIGKILL)
        daemon.kill()
