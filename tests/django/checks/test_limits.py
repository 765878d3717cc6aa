"""``manage.py check --database``: the server is asked how many connections it allows."""

from __future__ import annotations

from typing import Any, Self

import pytest
from django.core.checks import run_checks
from django.db import OperationalError
from django.test import override_settings

from txchannels.django.checks import databases

ANSWERS = {
    "SHOW max_connections": "100",
    "SHOW superuser_reserved_connections": "3",
    "SELECT @@max_connections": 151,
}


class FakeConnection:
    """A connection to a server with these answers; or to one that is away."""

    def __init__(self, vendor: str, *, is_away: bool = False, **options: Any) -> None:
        self.vendor = vendor
        self.settings_dict = {"ENGINE": f"django.db.backends.{vendor}", "OPTIONS": options}
        self.is_away = is_away
        self.question = ""

    def cursor(self) -> FakeConnection:
        if self.is_away:
            raise OperationalError("could not connect")
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None: ...

    def execute(self, question: str) -> None:
        self.question = question

    def fetchone(self) -> tuple[Any]:
        return (ANSWERS[self.question],)


def ask(monkeypatch: Any, connection: FakeConnection, **options: Any) -> list[Any]:
    monkeypatch.setattr(databases, "connections", {"default": connection})
    with override_settings(TXCHANNELS=options):
        found = run_checks(tags=["database"], databases=["default"])
    return [one for one in found if one.id == "txchannels.W015"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"THREADS": 98}, 98),
        ({"THREADS": 49, "PROCESSES": 1}, 98),
        ({"THREADS": 25, "PROCESSES": 2}, 100),
    ],
)
def test_more_threads_than_connections_are_found(monkeypatch, options, wanted):
    [found] = ask(monkeypatch, FakeConnection("postgresql"), **options)
    assert f"may open {wanted} connections" in found.msg
    assert "allows 97" in found.msg


@pytest.mark.parametrize(
    "options", [{"THREADS": 97}, {"THREADS": 48, "PROCESSES": 1}, {"THREADS": 24, "PROCESSES": 2}]
)
def test_as_many_as_there_are_is_good(monkeypatch, options):
    assert ask(monkeypatch, FakeConnection("postgresql"), **options) == []


def test_a_pool_bounds_what_a_process_opens(monkeypatch):
    connection = FakeConnection("postgresql", pool={"max_size": 20})
    assert ask(monkeypatch, connection, THREADS=500) == []


def test_mysql_is_asked_in_its_own_words(monkeypatch):
    [found] = ask(monkeypatch, FakeConnection("mysql"), THREADS=152)
    assert "allows 151" in found.msg


@pytest.mark.parametrize(
    "connection",
    [FakeConnection("sqlite"), FakeConnection("postgresql", is_away=True)],
    ids=["sqlite", "away"],
)
def test_who_has_no_limit_or_does_not_answer_is_left_alone(monkeypatch, connection):
    assert ask(monkeypatch, connection, THREADS=5000) == []


def test_no_server_is_asked_unless_it_is_named(monkeypatch):
    monkeypatch.setattr(databases, "connections", {})
    assert not [one for one in run_checks(tags=["txchannels"]) if one.id == "txchannels.W015"]
