"""What ``manage.py runworker`` becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from txchannels.django import shown_messages
from txchannels.django.management import becoming
from txchannels.django.management.commands import runworker

REDIS = {"BACKEND": "txchannels.layers.redis.RedisLayer"}


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    found: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(
        becoming.os, "execve", lambda path, command, environ: found.append((command, environ))
    )
    return found


def run(*arguments: str, **layers: Any) -> None:
    with override_settings(CHANNEL_LAYERS=layers or {"default": REDIS}):
        call_command(runworker.Command(), *arguments, skip_checks=True)


def options_of(command: list[str]) -> list[str]:
    return command[command.index("channels-worker") + 1 :]


def test_it_becomes_twistd(became):
    run()
    [(command, environment)] = became
    assert command[-1].startswith(("--layer", "--pythonpath"))
    assert "--nodaemon" in command
    assert "--pidfile=" in command
    assert {"--settings=tests.site.settings", "--layer=default"} <= set(options_of(command))
    assert shown_messages.VARIABLE not in environment


def test_its_options_are_those_of_twistd(became):
    arguments = ["--threads=3", "--only-channels=a.*", "--only-channels=b", "--exclude-channels=c"]
    run(*arguments)
    from txchannels.tap import WorkerOptions

    options = WorkerOptions()
    options.parseOptions(options_of(became[0][0]))
    given = options.given()
    assert given["threads"] == "3"
    assert given["only-channels"] == ["a.*", "b"]
    assert given["exclude-channels"] == ["c"]


def test_a_layer_is_named_by_the_option_or_by_the_site(became):
    run("--layer=other", default=REDIS, other=REDIS)
    assert "--layer=other" in became[0][0]
    with override_settings(TXCHANNELS={"LAYER": "other"}):
        run(default=REDIS, other=REDIS)
    assert "--layer=other" in became[1][0]


def test_verbosity_asks_for_the_messages(became):
    run("--verbosity=2")
    assert became[0][1][shown_messages.VARIABLE] == "1"


def test_a_layer_that_is_not_there_is_refused(became):
    with pytest.raises(CommandError, match="--layer 'no': CHANNEL_LAYERS has only: default"):
        run("--layer=no")
    assert became == []


@pytest.mark.parametrize(
    "layers", [{"default": {"BACKEND": "txchannels.layers.memory.MemoryLayer"}}, {"other": REDIS}]
)
def test_the_memory_layer_is_refused(became, layers):
    with pytest.raises(CommandError, match=r"MemoryLayer\) reaches no other process"):
        run(**layers)
    assert became == []


def test_twistd_is_run_where_its_script_is_missing(monkeypatch):
    assert Path(becoming.twistd()[-1]).name == "twistd"
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    assert "from twisted.scripts.twistd import run" in becoming.twistd()[-1]


def test_a_message_is_shown_only_if_asked_for(monkeypatch, capfd):
    ran: list[str] = []

    def run_message(channel: str, content: dict[str, Any]) -> None:
        ran.append(channel)

    monkeypatch.delenv(shown_messages.VARIABLE, raising=False)
    assert shown_messages.shown(run_message) is run_message
    monkeypatch.setenv(shown_messages.VARIABLE, "1")
    shown_messages.shown(run_message)("jobs", {"reply_channel": "a!b"})
    assert ran == ["jobs"]
    assert capfd.readouterr().err.endswith("MainThread: jobs a!b\n")
    shown_messages.logger.handlers.clear()
