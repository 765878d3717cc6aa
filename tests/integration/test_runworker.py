"""``manage.py runworker``: a worker for sockets that another program has, through a real Redis."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.integration.daemon import ROOT, bare_environment
from tests.integration.joined import Host, Notes, wait
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

WAIT = 60.0

SETTINGS = """
from tests.integration.joined_site.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "noting.apps.Noting"]
"""

APPLICATION = """
from django.apps import AppConfig
from tests.integration.joined_site.routing import note
from txchannels.django.signals import worker_process_ready, worker_ready

def process_ready(sender, **kwargs):
    note("signals", "worker_process_ready")

def ready(sender, **kwargs):
    note("signals", "worker_ready")

class Noting(AppConfig):
    name = "noting"

    def ready(self):
        worker_process_ready.connect(process_ready)
        worker_ready.connect(ready)
"""


class Worker:
    """``runworker`` of the site in *folder*. As a context, it is started, and killed at the end."""

    def __init__(self, redis: str, folder: Path, *options: str) -> None:
        self._file = folder / "worker.log"
        self._options = options
        self._environment = bare_environment(
            folder,
            LAYER_CONFIG=json.dumps({"hosts": [redis]}),
            NOTES=str(folder),
            HOST_NAME="worker",
            DJANGO_SETTINGS_MODULE="noting.settings",
        )

    def __enter__(self) -> Self:
        with self._file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "django", "runworker", *self._options],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self._file.read_text()

    def works(self) -> None:
        """Wait until it does."""
        wait(lambda: self.process.poll() is not None or "Working for" in self.log, "it works", WAIT)
        assert self.process.poll() is None, self.log

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(WAIT)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "noting"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS)
    (package / "apps.py").write_text(APPLICATION)
    return tmp_path


def test_it_runs_what_a_daemon_without_workers_is_asked_for(redis, folder):
    options = ("--threads=2", "--verbosity=2", "--exclude-channels=jobs*")
    with Worker(redis.url, folder, *options) as worker:
        worker.works()
        with Host("front", redis.url, Notes(folder), "--no-workers") as front:
            wait(lambda: front.get("hello").text == "Hello from worker", "it is answered", WAIT)
        assert "http.request " in worker.log  # each message is shown
        # ... in their order, once, and before the first message
        assert Notes(folder)["signals"] == [["worker_process_ready"], ["worker_ready"]]
        assert worker.stop() == 0
        assert "Traceback" not in worker.log


def test_a_glob_that_matches_nothing_is_told(redis, folder):
    with Worker(redis.url, folder, "--only-channels=no.such") as worker:
        assert worker.process.wait(WAIT) == 1
    assert "--only-channels 'no.such': matches no channel" in worker.log
