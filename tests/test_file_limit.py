from __future__ import annotations

import resource

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from txchannels.errors import ConfigurationError
from txchannels.file_limit import fit_to_file_limit, raise_file_limit
from txchannels.settings import HttpSettings, Settings


@pytest.fixture
def lines():
    """What is logged: level and text."""
    found = []

    def observe(event):
        found.append((event["log_level"], formatEvent(event)))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def test_as_many_files_as_allowed_may_be_open(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10, 20))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, both: limits.append(both))
    raise_file_limit()
    assert limits == [(20, 20)]


def test_a_machine_that_allows_no_more_files_is_told(monkeypatch, lines):
    def refuse(kind, both):
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10, 20))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_file_limit()
    assert lines == [(LogLevel.warn, "Only 10 files, and so connections, can be open")]


@pytest.mark.parametrize(
    ("files", "wanted", "connections"),
    [
        (128, 20_000, 96),
        (33, 20_000, 1),
        (1024, 20_000, 768),
        (1024, 768, 768),
        (1024, 5, 5),
        (20_000, 20_000, 19_488),
        (20_512, 20_000, 20_000),
        (resource.RLIM_INFINITY, 20_000, 20_000),
    ],
)
def test_connections_leave_files_for_all_else(monkeypatch, lines, files, wanted, connections):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, files))
    settings = fit_to_file_limit(Settings(http=HttpSettings(max_connections=wanted)))
    assert settings.http.max_connections == connections
    lowered = [text for _, text in lines if f"{connections} instead of {wanted}" in text]
    assert len(lowered) == (connections != wanted)


@pytest.mark.parametrize(
    ("files", "wanted", "level"),
    [
        (20_000, 20_000, LogLevel.info),
        (1512, 20_000, LogLevel.info),
        (1332, 20_000, LogLevel.warn),
        (20_000, 19_999, LogLevel.warn),
        (20_000, 30_000, LogLevel.warn),
    ],
    ids=["default", "default-1000", "few", "less-by-hand", "more-by-hand"],
)
def test_a_limit_that_is_lowered_is_a_warning_if_few_are_left_or_more_were_asked_for(
    monkeypatch, lines, files, wanted, level
):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, files))
    fit_to_file_limit(Settings(http=HttpSettings(max_connections=wanted)))
    assert [level for level, _ in lines] == [level]


def test_files_that_leave_nothing_for_connections_are_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (32, 32))
    with pytest.raises(ConfigurationError, match="--max-connections 20000: only 32 files"):
        fit_to_file_limit(Settings())
