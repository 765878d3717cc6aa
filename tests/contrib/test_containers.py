"""The image's lines, and the daemon as a container runs it: as process 1, with that environment."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon, bare_environment
from tests.requirements import require
from txchannels.settings import Settings

FOLDER = ROOT / "contrib" / "docker"
CHAT = ROOT / "examples" / "chat"
SETTINGS = "container_settings"


def instructions(name: str) -> list[str]:
    """The arguments of each of the Dockerfile's instructions of that *name*."""
    text = re.sub(r"\\\n(\s*#.*\n)*\s*", " ", (FOLDER / "Dockerfile").read_text())
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


def words(name: str) -> list[str]:
    """The words of the one instruction of that *name*, in exec form."""
    (found,) = instructions(name)
    return json.loads(found.rpartition("CMD ")[2])


# The files


def test_no_shell_stands_between_the_container_and_twistd():
    assert words("ENTRYPOINT") == ["twistd", "--nodaemon", "--pidfile="]
    (command,) = (one for one in instructions("CMD") if one.startswith("["))
    assert json.loads(command) == ["channels", "--endpoint=tcp:8000"]


def test_nothing_runs_as_root():
    (user,) = instructions("USER")
    assert user == "10001:10001"


def test_all_that_is_copied_is_there_and_sent_to_the_build():
    sent = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in sent
    copied = [one.split()[:-1] for one in instructions("COPY") if not one.startswith("--from")]
    for path in (path for paths in copied for path in paths):
        assert (ROOT / path).exists(), path
        assert f"!{path}" in sent


def test_compose_waits_longer_for_a_stop_than_it_may_take():
    text = (FOLDER / "compose.yaml").read_text()
    (grace,) = re.findall(r"stop_grace_period: (\d+)s$", text, re.MULTILINE)
    drains = re.findall(r"--drain-timeout=(\d+)", text)
    assert {float(drain) for drain in drains} == {Settings().drain_timeout_seconds}
    assert int(grace) >= Settings().drain_timeout_seconds + 10
    assert "init: true" in text


# Run for real


@pytest.fixture
def data(tmp_path) -> Path:
    """The volume, with the database that the image is built with."""
    environment = image_environment(tmp_path) | {"CHAT_SECRET_KEY": "build"}
    for arguments in (["migrate", "--verbosity=0"], ["demo"]):
        subprocess.run(
            [sys.executable, CHAT / "manage.py", *arguments],
            env=environment,
            check=True,
            timeout=WAIT_SECONDS,
            stdout=subprocess.DEVNULL,
        )
    assert [path.name for path in tmp_path.glob(".*")] == []  # no key is left of the build
    return tmp_path


def image_environment(data: Path, **more: str) -> dict[str, str]:
    return bare_environment(
        CHAT, FOLDER, DJANGO_SETTINGS_MODULE=SETTINGS, CHAT_DATA=str(data), **more
    )


@pytest.fixture
def as_process_1() -> list[str]:
    """A prefix that makes a program process 1, as it is in a container."""
    prefix = [require("unshare", "starts the daemon as process 1"), "--fork", "--pid"]
    prefix += ["--kill-child", "--mount-proc"]
    if os.getuid() != 0:
        prefix.append("--map-root-user")
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no process namespace can be made here: {tried.stderr.strip()}")
    return prefix


@pytest.fixture
def daemon(data, as_process_1) -> Iterator[Daemon]:
    environment = {name: None for name in os.environ if name.startswith("CHAT_")}
    environment |= {"CHAT_DATA": str(data)}
    paths = [CHAT, FOLDER]
    with Daemon(SETTINGS, environment=environment, paths=paths, prefix=as_process_1) as daemon:
        yield daemon
        assert "Traceback" not in daemon.log


def first_process(daemon: Daemon) -> int:
    """The process that is number 1 for itself."""
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    (child,) = (int(one) for one in children)
    numbers = re.search(r"^NSpid:(.*)$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
    assert numbers is not None
    assert numbers[1].split()[-1] == "1"
    return child


def is_healthy(daemon: Daemon) -> bool:
    """What the image's check says."""
    python, *check = (one.replace(":8000/", f":{daemon.port}/") for one in words("HEALTHCHECK"))
    assert python == "python"
    checked = subprocess.run(
        [sys.executable, *check], capture_output=True, timeout=WAIT_SECONDS, check=False
    )
    return checked.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_process_1_is_healthy_and_stops_when_it_is_asked_to(daemon, number):
    assert is_healthy(daemon)
    os.kill(first_process(daemon), number)
    assert daemon.wait(10) == 0
    assert f"{number.name}: stopping, within" in daemon.log
    assert not is_healthy(daemon)


@pytest.mark.slow
def test_the_key_is_made_once_and_kept_with_the_database(daemon, data):
    key = data / ".secret_key"
    assert len(key.read_text()) >= 50
    assert key.stat().st_mode & 0o077 == 0


def test_a_layer_to_share_is_named_by_the_environment(data):
    program = "from django.conf import settings; print(settings.CHANNEL_LAYERS['default'])"
    asked = subprocess.run(
        [sys.executable, "-c", program],
        env=image_environment(data, CHAT_REDIS="redis://redis:6379/0", CHAT_SECRET_KEY="a"),
        capture_output=True,
        text=True,
        check=True,
        timeout=WAIT_SECONDS,
    )
    assert "RedisLayer" in asked.stdout
    assert "redis://redis:6379/0" in asked.stdout
    assert "chat.routing.channel_routing" in asked.stdout
