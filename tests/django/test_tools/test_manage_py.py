"""A site's own tests, run by ``manage.py test``: with a database in memory, and in files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.daemon import bare_environment
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

#: Live tests, but not all of them.
LESS = [f"liveproject.testcases_live.{name}" for name in ("Changed", "Processes", "AsItWas")]

PROJECT = Path(__file__).parent / "project"


def run_tests(*labels: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "manage.py", "test", *labels],
        cwd=PROJECT,
        env=bare_environment(**environment),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def passed(finished: subprocess.CompletedProcess[str]) -> int:
    """How many tests have run, none of which failed."""
    assert finished.returncode == 0, finished.stderr
    assert "Exception" not in finished.stderr, finished.stderr
    return int(re.search(r"Ran (\d+) tests?", finished.stderr)[1])


def test_consumers_run_in_the_tests():
    assert passed(run_tests("liveproject.testcases_plain")) == 3


def test_a_live_server_with_databases_in_memory():
    assert passed(run_tests("liveproject.testcases_live")) == 9


def test_a_live_server_with_databases_in_files(tmp_path):
    assert passed(run_tests(*LESS, LIVE_FILES=str(tmp_path))) == 4


def test_a_live_server_in_parallel_processes():
    assert passed(run_tests("--parallel=2", *LESS, "liveproject.testcases_plain")) == 7


def test_a_live_server_with_the_layer_of_test_config():
    labels = [
        f"liveproject.testcases_live.Live.test_{name}"
        for name in ("sockets_with_a_login", "the_test_sends_to_a_group_of_sockets")
    ]
    with RedisServer() as server:
        assert passed(run_tests(*labels, LIVE_REDIS=server.url)) == 2


def test_what_keeps_a_live_server_from_starting_is_said():
    finished = run_tests("liveproject.broken")
    assert finished.returncode == 1
    assert "Ran 6 tests" in finished.stderr
    assert "errors=5" in finished.stderr, finished.stderr
    for said in (
        "no-such-option",
        "The setting GREETING was changed for the test to <object",
        "liveproject.missing",
        "CHANNEL_LAYERS has no layer 'nowhere', only: default",
        "runs only while a test of its class does",
    ):
        assert said in finished.stderr
    assert "never run" not in finished.stderr.replace('raise AssertionError("never run")', "")
