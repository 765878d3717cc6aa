"""Database connections: one a thread, kept as CONN_MAX_AGE says, closed with the thread."""

from __future__ import annotations

import http.client
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon, bare_environment, wait_until

pytestmark = pytest.mark.slow

WEBAPP = "tests.webapp.settings"
REQUESTS = 10_000


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "site.sqlite3"
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env=bare_environment(WEBAPP_DATABASE=str(path), DJANGO_SETTINGS_MODULE=WEBAPP),
        check=True,
        timeout=60,
    )
    return path


def daemon_of(database: Path, *options: str, max_age: float = 0) -> Daemon:
    environment = {"WEBAPP_DATABASE": str(database), "WEBAPP_CONN_MAX_AGE": str(max_age)}
    return Daemon(WEBAPP, *options, environment=environment)


def files_of(daemon: Daemon, database: Path) -> int:
    """How many database connections the daemon has open now."""
    return sum(name == str(database) for name in daemon.open_files)


def made(daemon: Daemon) -> dict:
    """How many connections it has made so far, and which threads did."""
    return httpx.get(f"{daemon.url}/connections/", timeout=WAIT_SECONDS).json()


def test_without_a_max_age_each_request_has_its_own_and_none_is_left(database):
    with daemon_of(database) as daemon:
        with httpx.Client(base_url=daemon.url, timeout=WAIT_SECONDS) as client:
            for _ in range(20):
                assert client.get("/users/?count=1").text == "0"
        assert made(daemon)["made"] == 20
        wait_until(lambda: files_of(daemon, database) == 0)
        assert daemon.stop() == 0


def test_with_a_max_age_a_thread_keeps_its_connection(database):
    # a second thread where the first has not ended its turn when the next request comes
    with daemon_of(database, "--threads=2", max_age=600) as daemon:
        with httpx.Client(base_url=daemon.url, timeout=WAIT_SECONDS) as client:
            for _ in range(20):
                client.get("/users/")
        said = made(daemon)
        assert said["made"] == len(said["threads"])
        assert files_of(daemon, database) == said["made"] <= 2
        assert daemon.stop() == 0


def test_a_connection_that_is_too_old_is_made_anew(database):
    with daemon_of(database, "--threads=1", max_age=0.001) as daemon:
        with httpx.Client(base_url=daemon.url, timeout=WAIT_SECONDS) as client:
            for _ in range(5):
                client.get("/users/")
        assert made(daemon)["made"] > 1
        wait_until(lambda: files_of(daemon, database) <= 1)
        assert daemon.stop() == 0


def test_threads_that_end_close_theirs(database):
    with daemon_of(database, "--thread-idle=0.3", max_age=600) as daemon:
        with httpx.Client(base_url=daemon.url, timeout=WAIT_SECONDS) as client:
            client.get("/users/")
        wait_until(lambda: files_of(daemon, database) == 0)
        assert daemon.stop() == 0


@pytest.mark.parametrize("max_age", [0, 600])
def test_none_leaks_over_many_requests(database, max_age):
    with daemon_of(database, "--threads=8", max_age=max_age) as daemon:
        clients = 4
        httpx.get(f"{daemon.url}/hello/", timeout=WAIT_SECONDS)
        files = len(daemon.open_files)

        def ask(_number: int) -> None:
            # ten times as quick as httpx
            client = http.client.HTTPConnection(*daemon.address)
            for _ in range(REQUESTS // clients):
                client.request("GET", "/users/")
                assert client.getresponse().read() == b"1"
            client.close()

        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(ask, range(clients)))
        said = made(daemon)
        if max_age:
            assert said["made"] == len(said["threads"]) <= 8
        else:
            assert said["made"] == REQUESTS
        kept = said["made"] if max_age else 0
        # SQLite keeps at most its log and its index open beside each connection
        wait_until(lambda: len(daemon.open_files) <= files + 3 * kept)
        wait_until(lambda: files_of(daemon, database) == kept)
        assert daemon.stop() == 0
