from __future__ import annotations

import resource

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from txchannels.errors import ConfigurationError
from txchannels.file_limit import fit_to_file_limit, raise_file_limit
from txchannels.settings import HttpSettings, Settings


@pytest.fixture
def errors():
    found = []

    def observe(event):
        if event["log_level"] >= LogLevel.warn:
            found.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def test_as_many_files_as_allowed_may_be_open(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10, 20))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, both: limits.append(both))
    raise_file_limit()
    assert limits == [(20, 20)]


def test_a_machine_that_allows_no_more_files_is_told(monkeypatch, errors):
    def refuse(kind, both):
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10, 20))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_file_limit()
    assert errors == ["Only 10 files, and so connections, can be open"]


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
def test_connections_leave_files_for_all_else(monkeypatch, errors, files, wanted, connections):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, files))
    settings = fit_to_file_limit(Settings(http=HttpSettings(max_connections=wanted)))
    assert settings.http.max_connections == connections
    lowered = [one for one in errors if f"{connections} instead of {wanted}" in one]
    assert len(lowered) == (connections != wanted)


def test_files_that_leave_nothing_for_connections_are_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (32, 32))
    with pytest.raises(ConfigurationError, match="--max-connections 20000: only 32 files"):
        fit_to_file_limit(Settings())
