"""The fixtures, in a site's own pytest run: alone, and beside pytest-django."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.daemon import ROOT, bare_environment

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent / "project"

ALONE = """
import os
import django
import pytest

os.environ["DJANGO_SETTINGS_MODULE"] = "liveproject.settings"
pytest_plugins = ["txchannels.django.test.fixtures"]

def pytest_configure(config):
    config.addinivalue_line("markers", "django_db: as pytest-django's")
    django.setup()

@pytest.fixture(scope="session", autouse=True)
def databases():
    from django.test import utils

    utils.setup_test_environment()
    made = utils.setup_databases(verbosity=0, interactive=False)
    yield
    utils.teardown_databases(made, verbosity=0)
    utils.teardown_test_environment()
"""

BESIDE = """
pytest_plugins = ["txchannels.django.test.fixtures"]
"""

CONSUMERS = """
import pytest
from txchannels.django import Channel, Group, channel_layers, route
from txchannels.django.test import WSClient, apply_routes

pytestmark = pytest.mark.django_db


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def test_layers_are_in_memory(channel_layers_for_test, channel_layer):
    assert channel_layer is channel_layers["default"] is channel_layers_for_test["default"]
    assert channel_layer.local_only()


@apply_routes(route("jobs", echo))
def test_a_client(channel_client):
    channel_client.send_and_consume("jobs", {"text": "a"})
    assert channel_client.receive() == {"text": "a"}


def test_a_websocket(ws_client):
    from django.contrib.auth.models import User

    ws_client.force_login(User.objects.create(username="pat"))
    ws_client.send_and_consume("websocket.connect", path="/ws/")
    assert ws_client.receive(json=False) == "hello pat"


def test_a_message_that_nobody_has_consumed(next_channel_message):
    Channel("jobs").send({"text": "a"})
    assert next_channel_message("jobs", require=True)["text"] == "a"
    assert next_channel_message("jobs") is None


def test_a_missing_message(next_channel_message):
    Channel("jobs").send({})
    with pytest.raises(BaseException, match="no message on 'job'; channels with messages: jobs"):
        next_channel_message("job", require=True)


def test_the_sites_own_layer_otherwise():
    assert not channel_layers["default"].local_only()
"""

LIVE = """
import httpx
from django.contrib.auth.models import User
from txchannels.django import Group
from websockets.sync.client import connect


def test_a_browser(channel_live_server):
    User.objects.create(username="sam")
    said = httpx.get(f"{channel_live_server.url}/users/", timeout=20).json()
    assert said[-1] == "sam"
    with connect(f"{channel_live_server.ws_url}/ws/", open_timeout=20) as client:
        assert client.recv(20) == "hello "
        Group("all").send({"text": "x"})
        assert client.recv(20) == "x"


def test_a_failure_shows_the_daemons_log(channel_live_server):
    assert not channel_live_server.log
"""

LEFT = """
import pytest

@pytest.mark.django_db
def test_nothing_is_left():
    from django.contrib.auth.models import User

    assert not User.objects.filter(username="sam").exists()
"""


@pytest.fixture
def run(tmp_path):
    """Runs tests of a copy of the project with a conftest; returns what pytest printed."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "test_1_consumers.py").write_text(CONSUMERS)
    (tmp_path / "test_2_live.py").write_text(LIVE)
    (tmp_path / "test_3_left.py").write_text(LEFT)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    def run(conftest: str, *options: str) -> str:
        (tmp_path / "conftest.py").write_text(conftest)
        finished = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            env=bare_environment(tmp_path, ROOT),
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        return finished.stdout + finished.stderr

    return run


def outcome(said: str) -> str:
    return re.search(r"=+ (\d.*) in ", said.strip().splitlines()[-1])[1]


def test_they_need_no_other_plugin(run):
    said = run(ALONE, "-p", "no:django")
    assert outcome(said) == "1 failed, 8 passed", said
    assert "FAILED test_2_live.py::test_a_failure_shows_the_daemons_log" in said
    assert "Listening on http://127.0.0.1:" in said.partition("Captured stdout teardown")[2]


def test_they_work_beside_pytest_django(run):
    said = run(BESIDE, "--ds=liveproject.settings")
    assert outcome(said) == "1 failed, 8 passed", said
