"""The units as systemd reads them, and the lines that have to agree."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.integration.daemon import ROOT, WAIT_SECONDS
from tests.requirements import require
from txchannels.asking import ASK_SECONDS
from txchannels.options import DAEMON, WORKER, build_settings, options_of
from txchannels.settings import Settings

FOLDER = ROOT / "contrib" / "systemd"
SERVICES = {DAEMON: "txchannels.service", WORKER: "txchannels-worker@.service"}
UNITS = ["txchannels.socket", *SERVICES.values()]
SITE = "/srv/mysite"

Unit = dict[str, list[str]]


def read(name: str) -> Unit:
    """A unit's values by ``Section.Key``, in their order; an empty one forgets those before."""
    text = re.sub(r"\\\n\s*", " ", (FOLDER / name).read_text())
    found: Unit = defaultdict(list)
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, separator, value = line.partition("=")
            assert separator, line
            found[f"{section}.{key}"].append(value)
    return found


def value_of(unit: Unit, key: str) -> str:
    (value,) = unit[key]
    return value


def options_given(unit: Unit, command: str) -> dict[str, str]:
    """The options of *command* on the service's command line."""
    words = shlex.split(value_of(unit, "Service.ExecStart"))
    assert words[:4] == [f"{SITE}/.venv/bin/twistd", "--nodaemon", "--pidfile=", command]
    options = (word.removeprefix("--").split("=", 1) for word in words[4:] if word[:2] == "--")
    return dict(options)


@pytest.fixture(params=SERVICES)
def command(request) -> str:
    return request.param


@pytest.fixture
def service(command) -> Unit:
    return read(SERVICES[command])


@pytest.fixture
def installed(tmp_path) -> Path:
    """The units beside a site whose programs are there."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("twistd", "python"):
        (programs / name).symlink_to("/bin/true")
    for name in UNITS:
        text = (FOLDER / name).read_text().replace(SITE, str(tmp_path))
        (tmp_path / name.replace("@", "@jobs")).write_text(text)
    return tmp_path


def verify(folder: Path) -> str:
    """What systemd has to say of the units, of ours alone."""
    program = require("systemd-analyze", "reads the units of contrib/systemd as systemd does")
    paths = [str(path) for path in folder.glob("txchannels*")]
    verified = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", *paths],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    return "".join(line for line in verified.stderr.splitlines(True) if "txchannels" in line)


def test_systemd_understands_every_line(installed):
    assert verify(installed) == ""


def test_systemd_would_complain(installed):
    path = installed / "txchannels.service"
    path.write_text(path.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "Unknown key" in verify(installed)


def test_the_command_line_is_one_that_the_command_takes(service, command):
    given = options_given(service, command)
    settings_module = given.pop("settings")
    assert settings_module == "mysite.settings"
    assert set(given) <= {option.name for option in options_of(command)}
    endpoints = {"endpoint": [given.pop("endpoint")]} if command == DAEMON else {}
    build_settings(given | endpoints, {})


def test_a_stop_has_the_time_that_it_may_take(service, command):
    drain = float(options_given(service, command)["drain-timeout"])
    assert drain == Settings().drain_timeout_seconds
    assert int(value_of(service, "Service.TimeoutStopSec")) >= drain + 10


def test_a_start_has_the_time_until_the_daemon_asks_for_more(service, command):
    """It does when its first worker starts: first, settings that hang are given up."""
    assert "start-timeout" not in options_given(service, command)
    start = int(value_of(service, "Service.TimeoutStartSec"))
    assert start >= ASK_SECONDS + 30
    # One reload that has not begun to start workers waits for nobody but the one before.
    assert start >= Settings().processes.start_timeout_seconds + 30


def test_the_daemon_alone_is_signalled_and_comes_back_whatever_ended_it(service):
    assert value_of(service, "Service.KillMode") == "mixed"
    assert value_of(service, "Service.Restart") == "always"
    assert value_of(service, "Service.OOMPolicy") == "continue"
    starts = int(value_of(service, "Unit.StartLimitBurst"))
    pause = int(value_of(service, "Service.RestartSec"))
    # else a daemon that cannot start would be tried for ever
    assert starts * pause < int(value_of(service, "Unit.StartLimitIntervalSec")) / 2


def test_it_says_when_it_is_ready_and_is_watched(service):
    assert value_of(service, "Service.Type") == "notify"
    assert value_of(service, "Service.NotifyAccess") == "main"
    assert int(value_of(service, "Service.WatchdogSec")) >= 10
    assert "PYTHONFAULTHANDLER=1" in service["Service.Environment"]


def test_a_reload_asks_at_the_socket_where_the_daemon_answers(service, command):
    path = options_given(service, command)["socket"]
    reload = shlex.split(value_of(service, "Service.ExecReload"))
    assert reload == [f"{SITE}/.venv/bin/python", *f"-m txchannels reload --socket {path}".split()]
    folder = value_of(service, "Service.RuntimeDirectory")
    assert path == f"%t/{folder}/daemon.sock"
    assert value_of(service, "Service.RuntimeDirectoryMode") == "0700"


def test_the_port_is_one_that_the_daemon_can_be_passed():
    port = read("txchannels.socket")
    (service,) = (read(SERVICES[DAEMON]),)
    assert len(port["Socket.ListenStream"]) == 1
    assert value_of(port, "Socket.ListenStream").startswith("0.0.0.0:")
    endpoint = options_given(service, DAEMON)["endpoint"]
    assert endpoint == "systemd:domain=INET:index=0"
    assert value_of(service, "Unit.Requires") == "txchannels.socket"
    assert value_of(service, "Install.Also") == "txchannels.socket"


def test_both_services_are_locked_up_alike():
    def hardening(unit: Unit) -> Unit:
        apart = {"ExecStart", "ExecReload", "Environment", "EnvironmentFile", "RuntimeDirectory"}
        return {
            key: values
            for key, values in unit.items()
            if key.startswith("Service.") and key.partition(".")[2] not in apart
        }

    daemon, worker = (hardening(read(name)) for name in SERVICES.values())
    assert daemon == worker


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("SystemCallFilter", "@system-service"),
        ("SystemCallArchitectures", "native"),
        ("UMask", "0077"),
        ("StateDirectory", "mysite"),
        # Two units that write in one folder have to be one user.
        ("User", "mysite"),
    ],
)
def test_a_service_may_do_only_what_it_needs(service, key, value):
    assert value_of(service, f"Service.{key}") == value


def test_tls_can_make_its_code(service):
    assert "Service.MemoryDenyWriteExecute" not in service
