"""What ``manage.py runserver`` starts, without starting it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from txchannels.devserver import program
from txchannels.django.management import becoming
from txchannels.django.management.commands import runserver


class Became(BaseException):
    """The process would be another program by now."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        super().__init__(command)
        self.command = command
        self.environment = environment
        self.wishes = json.loads(environment[runserver.VARIABLE])

    @property
    def options(self) -> list[str]:
        """Those of the daemon."""
        return self.command[self.command.index(runserver.Command.program) + 1 :]


@pytest.fixture(autouse=True)
def spared_descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Descriptor 3 is pytest's own, and nobody becomes another program."""

    def execve(path: str, command: list[str], environment: dict[str, str]) -> None:
        raise Became(command, environment)

    monkeypatch.setattr(becoming.os, "execve", execve)
    monkeypatch.setattr(runserver, "PORT_DESCRIPTOR", os.dup(0))
    monkeypatch.setenv("DJANGO_COLORS", "dark")  # --no-color sets it for good
    yield
    os.close(runserver.PORT_DESCRIPTOR)


def start(*arguments: str, command: Any = None, **options: Any) -> Became:
    with pytest.raises(Became) as became:
        call_command(command or runserver.Command(), *(arguments or ("0",)), **options)
    return became.value


def refused(*arguments: str, capsys: Any) -> str:
    with pytest.raises(SystemExit) as ended:
        call_command(runserver.Command(), *arguments)
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_it_follows_edits_unless_it_is_told_not_to():
    became = start("0")
    assert {"--reload", "--processes=1", "--stuck-timeout=0"} <= set(became.options)
    assert became.wishes["reload"] is True
    became = start("0", "--noreload", "--skip-checks")
    assert "--reload" not in became.options
    assert became.wishes["reload"] is False


def test_the_environment_is_what_the_program_reads():
    assert runserver.VARIABLE == program.VARIABLE
    wishes = program.Wishes(**start("0", verbosity=2, no_color=True, skip_checks=False).wishes)
    assert wishes.verbosity == 2
    assert set(map(tuple, wishes.styles.values())) == {("", "")}
    assert wishes.worker == {
        "use_static": True,
        "insecure": False,
        "skip_checks": False,
        "no_color": True,
        "force_color": False,
    }


def test_colours_are_what_django_would_paint():
    styles = start("0", force_color=True).wishes["styles"]
    assert styles["HTTP_NOT_FOUND"][0].startswith("\x1b[")
    assert styles["HTTP_NOT_FOUND"][1] == "\x1b[0m"


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--nothreading"], "--threads=1"),
        (["--http_timeout=7"], "--response-timeout=7"),
        (["--websocket_handshake_timeout=2.5"], "--ws-connect-timeout=2.5"),
    ],
)
def test_an_option_becomes_one_of_the_daemon(arguments, option):
    assert option in start("0", *arguments).options
    assert option.partition("=")[0] not in str(start("0").options)


def test_settings_of_channels_1_become_options_of_the_daemon():
    with override_settings(CHANNELS_WS_PROTOCOLS=["a", "b"], FORCE_SCRIPT_NAME="/shop"):
        options = start("0").options
    assert {"--ws-protocol=a", "--ws-protocol=b", "--root-path=/shop"} <= set(options)


def test_the_options_are_those_of_the_daemon():
    """What it is started with is understood."""
    from txchannels.options import build_settings
    from txchannels.tap import Options

    options = Options()
    options.parseOptions(start("0", "--nothreading", "--http_timeout=7").options)
    settings = build_settings(options.given(), {"PROCESSES": 4, "ACCESS_LOG": "-"})
    assert settings.processes.count == 1
    assert settings.access_log == ""
    assert settings.workers.threads == 1


def test_the_port_is_handed_over_as_systemd_does():
    became = start("0")
    assert "--endpoint=systemd:domain=INET:index=0" in became.options
    assert became.environment["LISTEN_PID"] == str(os.getpid())
    assert became.environment["LISTEN_FDS"] == "1"
    port = socket.socket(fileno=os.dup(runserver.PORT_DESCRIPTOR))
    with port:
        assert port.getsockname()[0] == "127.0.0.1"
        assert os.get_inheritable(runserver.PORT_DESCRIPTOR)


@pytest.mark.parametrize(
    ("arguments", "address", "shown"),
    [
        (["0"], "127.0.0.1", "http://127.0.0.1:"),
        (["0:0"], "0.0.0.0", "http://0.0.0.0:"),
        (["[::1]:0"], "::1", "http://[::1]:"),
        (["0", "--ipv6"], "::1", "http://[::1]:"),
        (["localhost:0"], "127.0.0.1", "http://localhost:"),
    ],
)
def test_addresses_are_understood_as_djangos(capsys, arguments, address, shown):
    start(*arguments)
    with socket.socket(fileno=os.dup(runserver.PORT_DESCRIPTOR)) as port:
        assert port.getsockname()[0] == address
        assert f"{shown}{port.getsockname()[1]}/" in capsys.readouterr().out


def test_what_cannot_be_listened_on_is_told_in_djangos_words(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(str(taken.getsockname()[1]), capsys=capsys)
    assert said == "Error: That port is already in use.\n"
    said = refused("203.0.113.1:8000", capsys=capsys)
    assert said == "Error: That IP address can't be assigned to.\n"


def test_a_right_that_is_missing_is_told_in_djangos_words(capsys, monkeypatch):
    def create_server(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(runserver.socket, "create_server", create_server)
    said = refused("80", capsys=capsys)
    assert said == "Error: You don't have permission to access that port.\n"


@pytest.mark.parametrize("address", ["nonsense:", "1.2.3:x", "[::1]"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(CommandError, match="is not a valid port number or address:port pair"):
        call_command(runserver.Command(), address)


def test_the_banner_names_settings_address_and_layer(capsys, monkeypatch):
    monkeypatch.delenv("DJANGO_RUNSERVER_HIDE_WARNING", raising=False)
    start("0")
    said = capsys.readouterr().out
    assert "using settings 'tests.site.settings'" in said
    assert "Channel layer default (txchannels.layers.memory.MemoryLayer)" in said
    assert "WARNING: This server is for development." in said
    monkeypatch.setenv("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    start("0")
    assert "WARNING" not in capsys.readouterr().out


def test_a_server_without_workers_needs_a_layer_that_others_reach():
    with pytest.raises(CommandError, match="nobody would answer"):
        call_command(runserver.Command(), "0", "--noworker")
    redis = {"default": {"BACKEND": "txchannels.layers.redis.RedisLayer"}}
    with override_settings(CHANNEL_LAYERS=redis):
        became = start("0", "--noworker", "--skip-checks")
    assert "--no-workers" in became.options
    assert "--reload" not in became.options


def test_subclasses_choose_address_program_and_options():
    class Command(runserver.Command):
        default_addr = "127.0.0.2"
        default_port = "0"
        program = "txchannels.devserver"

        def daemon_options(self, **options: Any) -> list[str]:
            return [*super().daemon_options(**options), "--ws-origin=https://example.com"]

    became = start(command=Command())
    assert "--ws-origin=https://example.com" in became.options
    start("0", command=Command())
    with pytest.raises(Became):
        call_command(Command())
    with socket.socket(fileno=os.dup(runserver.PORT_DESCRIPTOR)) as port:
        assert port.getsockname()[0] == "127.0.0.2"


@pytest.mark.parametrize("arguments", [["--noasgi"], []], ids=["noasgi", "no module"])
def test_djangos_own_server_runs_where_ours_cannot(monkeypatch, capsys, arguments):
    ran: list[dict[str, Any]] = []
    monkeypatch.setattr(runserver.DjangoCommand, "run", lambda self, **options: ran.append(options))
    if not arguments:
        monkeypatch.setattr(runserver, "settings_module", str)
    call_command(runserver.Command(), "0", *arguments)
    assert len(ran) == 1
    assert ("running Django's own server" in capsys.readouterr().err) == (not arguments)


def test_folders_that_manage_py_has_added_are_found_in_their_order(tmp_path, monkeypatch):
    first, last = tmp_path / "first", tmp_path / "last"
    first.mkdir()
    last.mkdir()
    monkeypatch.setattr(
        sys, "path", [str(first), *sys.path, str(last), str(tmp_path / "missing"), str(first)]
    )
    found = becoming.site_folders()
    assert found[0] == str(first)
    assert found[-1] == str(last)
    assert not [folder for folder in found if "site-packages" in folder]
