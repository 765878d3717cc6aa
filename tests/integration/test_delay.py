"""Delayed messages with real daemons: they survive restarts and crashes, and arrive once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.daemon import ROOT, Daemon, bare_environment, run_twistd
from tests.integration.joined import Notes, wait
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

SETTINGS = "tests.integration.delay_site.settings"

#: A guard against hanging, not a measure.
WAIT = 90.0

#: Later than any test ends, unless it changes that.
FAR = 3_600_000

TABLE = "txchannels_delay_delayedmessage"


class Site:
    """A database, what arrived, and the programs of one test."""

    def __init__(self, folder: Path, layer: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.database = folder / "site.sqlite3"
        self.notes = Notes(folder)
        self.environment = {
            "DATABASE": str(self.database),
            "NOTES": str(folder),
            "LAYER": json.dumps(layer or {}),
        }

    def daemon(self, *options: str, command: str = "channels", **environment: str) -> Daemon:
        return Daemon(
            SETTINGS, *options, environment=self.environment | environment, command=command
        )

    def manage(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "django", *words, f"--settings={SETTINGS}"],
            cwd=ROOT,
            env=bare_environment(**self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def migrate(self) -> None:
        program = self.manage("migrate", "--verbosity=0")
        _, errors = program.communicate(timeout=WAIT)
        assert program.returncode == 0, errors

    def sql(self, statement: str, *values: Any) -> list[Any]:
        connection = sqlite3.connect(self.database, timeout=WAIT)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def stored(self) -> int:
        [(count,)] = self.sql(f"SELECT count(*) FROM {TABLE}")
        return count

    def fill(self, numbers: Sequence[int]) -> None:
        """Put notes into the table that are due."""
        connection = sqlite3.connect(self.database, timeout=WAIT)
        with connection:
            connection.executemany(
                f"INSERT INTO {TABLE} (due_date, channel_name, content, layer, key, claim) "
                "VALUES ('2000-01-01 00:00:00', 'notes', ?, 'default', ?, '')",
                [(json.dumps({"n": number}), uuid4().hex) for number in numbers],
            )
        connection.close()

    def make_due(self) -> None:
        self.sql(f"UPDATE {TABLE} SET due_date = '2000-01-01 00:00:00'")

    def arrived(self) -> Counter[int]:
        return Counter(int(number) for number, _ in self.notes["arrived"])

    def wait_for(self, numbers: Sequence[int]) -> None:
        """Until all of them have arrived, each once, and nothing is left."""
        wait(lambda: set(self.arrived()) >= set(numbers), "all arrive", WAIT)
        wait(lambda: self.stored() == 0, "the table is empty", WAIT)
        assert self.arrived() == Counter(numbers)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.migrate()
    return site


def order(daemon: Daemon, delay: int, *, first: int = 0, count: int = 1) -> None:
    query = {"delay": delay, "first": first, "count": count}
    assert httpx.get(f"{daemon.url}/later", params=query, timeout=WAIT).status_code == 200


def check_log(daemon: Daemon) -> None:
    for fault in ("Traceback", "Unhandled", "CRITICAL", "Error"):
        assert fault not in daemon.log, daemon.log


def stop(daemon: Daemon) -> None:
    assert daemon.stop(seconds=WAIT) == 0, daemon.log
    check_log(daemon)


@pytest.mark.parametrize("options", [[], ["--processes=2", "--threads=4"]])
def test_the_daemon_sends_what_is_due(site: Site, options: list[str]) -> None:
    with site.daemon(*options) as daemon:
        order(daemon, 0, count=30)
        order(daemon, 300, first=30, count=30)
        order(daemon, 1500, first=60, count=30)
        site.wait_for(range(90))
        stop(daemon)


def test_an_answer_for_later_reaches_its_socket(site: Site) -> None:
    with site.daemon() as daemon, connect(f"ws://127.0.0.1:{daemon.port}/", proxy=None) as socket:
        for delay in ("400", "50"):
            socket.send(delay)
        assert {socket.recv(WAIT), socket.recv(WAIT)} == {"50 ms later", "400 ms later"}
        wait(lambda: site.stored() == 0, "the table is empty", WAIT)


@pytest.mark.parametrize("options", [[], ["--processes=2", "--threads=4"]])
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_messages_outlive_the_daemon(site: Site, options: list[str], how: str) -> None:
    with site.daemon(*options) as daemon:
        order(daemon, FAR, count=20)
        wait(lambda: site.stored() == 20, "all are stored", WAIT)
        if how == "stop":
            stop(daemon)
        else:
            daemon.kill()
    assert not site.arrived()
    site.make_due()
    with site.daemon(*options) as daemon:
        site.wait_for(range(20))
        stop(daemon)


def test_a_daemon_that_is_killed_while_it_sends_sends_nothing_twice(site: Site) -> None:
    count = 2000
    site.fill(range(count))
    with site.daemon() as daemon:
        wait(site.arrived, "it has begun", WAIT)
        daemon.kill()
    claimed = site.sql(f"SELECT count(*) FROM {TABLE} WHERE claim != ''")[0][0]
    with site.daemon() as daemon:
        wait(lambda: site.stored() == claimed, "the rest is sent", WAIT)
        stop(daemon)
    arrived = site.arrived()
    assert set(arrived.values()) == {1}


def test_bad_messages_are_logged_and_harm_nothing(site: Site) -> None:
    bad = [{}, {"channel": "no channel", "delay": 0, "content": {}}, {"delay": "soon"}]
    with site.daemon() as daemon:
        for content in bad:
            body = json.dumps(content).encode()
            assert httpx.post(f"{daemon.url}/raw", content=body, timeout=WAIT).status_code == 200
        order(daemon, 0)
        site.wait_for([0])
        wait(lambda: daemon.log.count("A message of asgi.delay is skipped") == 3, "all logged")
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


def test_a_reload_brings_the_app(site: Site, tmp_path: Path) -> None:
    """The daemon knows nothing of the site: it begins to tick when new workers say so."""
    switch = tmp_path / "switch_settings.py"
    switch.write_text(f"from {SETTINGS} import *\nINSTALLED_APPS = INSTALLED_APPS[:1]\n")
    daemon = Daemon(
        "switch_settings",
        "--processes=1",
        "--threads=4",
        environment=site.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        paths=[tmp_path],
    )
    with daemon:
        daemon.wait_for("is ready, after", WAIT)
        site.fill([1])
        assert httpx.get(f"{daemon.url}/hello", timeout=WAIT).text == "hello"
        assert site.stored() == 1
        switch.write_text(f"from {SETTINGS} import *\n")
        daemon.signal(signal.SIGHUP)
        site.wait_for([1])
        assert daemon.stop(seconds=WAIT) == 0


def test_the_status_says_how_many_were_sent_and_lost(site: Site) -> None:
    path = site.folder / "d.sock"

    def counts() -> tuple[int, int]:
        shown = subprocess.run(
            [sys.executable, "-m", "txchannels", "status", "--json", f"--socket={path}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=WAIT,
        )
        status = json.loads(shown.stdout)
        assert (status["command"], status["late"], status["late_lost"]) == ("channels", 0, 0)
        return status["delayed_sent"], status["delayed_lost"]

    with site.daemon("--processes=1", "--threads=4", f"--socket={path}") as daemon:
        daemon.wait_for("is ready, after", WAIT)
        assert counts() == (0, 0)
        site.fill(range(5))
        site.sql(
            f"INSERT INTO {TABLE} (due_date, channel_name, content, layer, key, claim) "
            "VALUES ('2000-01-01 00:00:00', 'no channel', '{}', 'default', ?, '')",
            uuid4().hex,
        )
        site.wait_for(range(5))
        wait(lambda: counts() == (5, 1), "the clock has heard of all", WAIT)
        assert daemon.stop(seconds=WAIT) == 0


def test_a_worker_that_is_killed_stops_no_clock(site: Site) -> None:
    with site.daemon("--processes=1", "--threads=4") as daemon:
        order(daemon, FAR, count=3)
        wait(lambda: site.stored() == 3, "all are stored", WAIT)
        [worker] = {int(pid) for _, pid in _workers(daemon)}
        os.kill(worker, signal.SIGKILL)
        site.make_due()
        site.wait_for(range(3))
        assert daemon.stop(seconds=WAIT) == 0


def _workers(daemon: Daemon) -> list[tuple[str, str]]:
    """Which processes are the daemon's children."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == daemon.pid:
                    found.append((fields[0], entry.name))
        except OSError:
            pass
    return found


def test_without_the_table_the_log_says_what_to_do_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.daemon() as daemon:
        line = daemon.wait_for("Delayed messages cannot be sent", WAIT)
        assert "run manage.py migrate" in line
        site.migrate()
        daemon.wait_for("Delayed messages are sent again", WAIT)
        order(daemon, 0)
        site.wait_for([0])
        assert daemon.stop() == 0
        assert daemon.log.count("Delayed messages cannot be sent") == 1


# Switched off


def test_check_says_what_would_be_done(site: Site) -> None:
    options = {"settings": SETTINGS, "environment": site.environment}
    said = run_twistd("--check", "--no-delay", **options).stdout
    assert "channel    asgi.delay\n" in said
    assert "changed    --no-delay True (default: False)" in said
    options["environment"] = site.environment | {"WITHOUT_DELAY": "1"}
    assert "asgi.delay" not in run_twistd("--check", **options).stdout


def test_it_can_be_switched_off(site: Site) -> None:
    with site.daemon("--no-delay") as off:
        order(off, 0, count=2)
        wait(lambda: site.stored() == 2, "they are stored", WAIT)
        with site.daemon() as other:
            site.wait_for(range(2))
        assert off.pid not in {int(pid) for _, pid in site.notes["arrived"]}
        assert other.pid in {int(pid) for _, pid in site.notes["arrived"]}
        stop(off)


# Several hosts


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def on_redis(folder: Path, redis: RedisServer) -> Site:
    layer = {
        "BACKEND": "txchannels.layers.redis.RedisLayer",
        "CONFIG": {"hosts": [redis.url], "prefix": folder.name},
    }
    site = Site(folder, layer)
    site.migrate()
    return site


def test_two_daemons_on_one_database_send_each_once(redis: RedisServer, tmp_path: Path) -> None:
    site = on_redis(tmp_path, redis)
    with site.daemon() as one, site.daemon("--processes=1", "--threads=4") as other:
        for daemon in (one, other):
            daemon.wait_for("is connected", WAIT)
        order(one, 700, count=40)
        order(other, 700, first=40, count=40)
        site.fill(range(80, 600))
        site.wait_for(range(600))
        for daemon in (one, other):
            stop(daemon)


def test_a_front_without_workers_and_a_worker(redis: RedisServer, tmp_path: Path) -> None:
    site = on_redis(tmp_path, redis)
    with site.daemon(command="channels-worker") as worker, site.daemon("--no-workers") as front:
        front.wait_for("is connected", WAIT)
        order(front, 100, count=5)
        site.wait_for(range(5))
        with connect(f"ws://127.0.0.1:{front.port}/", proxy=None) as socket:
            socket.send("100")
            assert socket.recv(WAIT) == "100 ms later"
        stop(front)
        stop(worker)


# The program of its own


def test_rundelay_stores_and_sends(redis: RedisServer, tmp_path: Path) -> None:
    site = on_redis(tmp_path, redis)
    only = ["--no-delay", "--exclude-channels=asgi.delay"]
    with site.daemon(*only) as daemon:
        daemon.wait_for("is connected", WAIT)
        program = site.manage("rundelay", "--sleep=0.2")
        try:
            assert program.stdout is not None
            assert program.stdout.readline().startswith("Listening on asgi.delay")
            order(daemon, 0, count=5)
            order(daemon, 300, first=5, count=5)
            order(daemon, FAR, first=10)
            wait(lambda: set(site.arrived()) == set(range(10)), "all arrive", WAIT)
            wait(lambda: site.stored() == 1, "one is kept", WAIT)
            program.send_signal(signal.SIGTERM)
            said, errors = program.communicate(timeout=WAIT)
        finally:
            program.kill()
            program.communicate()
        assert (program.returncode, errors) == (0, "")
        assert said == "Stopped: 10 sent, 0 lost\n"
        assert site.arrived() == Counter(range(10))
        stop(daemon)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "reaches no other process"),
        (["--layer=no"], "CHANNEL_LAYERS has only: default"),
        (["--sleep=0"], "--sleep must be a number of seconds"),
        (["--sleep=nan"], "--sleep must be a number of seconds"),
    ],
)
def test_rundelay_says_why_it_cannot_run(tmp_path: Path, words: list[str], says: str) -> None:
    program = Site(tmp_path).manage("rundelay", *words)
    _, errors = program.communicate(timeout=WAIT)
    assert program.returncode == 1
    assert says in errors
