"""What a daemon that runs cannot take over any more is told by its keys."""

from __future__ import annotations

import pytest

from txchannels.options import DAEMON, WORKER, build_settings, lasting_keys

GIVEN = {"processes": "2", "max-age": "60"}


@pytest.mark.parametrize(
    ("site", "command", "expected"),
    [
        ({}, DAEMON, []),
        ({"PORT": 9000, "ACCESS_LOG": "-", "DRAIN_TIMEOUT": 5}, DAEMON, None),
        ({"PORT": 9000, "ACCESS_LOG": "-", "DRAIN_TIMEOUT": 5}, WORKER, ["DRAIN_TIMEOUT"]),
        ({"PORT": 8000, "DRAIN_TIMEOUT": 30.0}, DAEMON, []),
        ({"MAX_MESSAGES": 10, "SOCKET": "/run/a.sock"}, WORKER, None),
        ({"MAX_AGE": 120, "PROCESSES": 4}, DAEMON, []),
        ({"LAYER": "other", "THREADS": 3, "MAX_BODY": 10, "WS_ORIGIN": ["*"]}, DAEMON, []),
    ],
    ids=str,
)
def test_what_only_a_restart_makes_true(site, command, expected):
    """None: all of the keys. What the command line says wins, before and after."""
    before, after = build_settings(GIVEN, {}, command), build_settings(GIVEN, site, command)
    found = lasting_keys(site, before, after, command)
    assert sorted(found) == sorted(site if expected is None else expected)
