"""What a daemon that runs cannot take over any more is told by its keys."""

from __future__ import annotations

import pytest

from txchannels.options import DAEMON, WORKER, build_settings, differing_keys, take_over

GIVEN = {"processes": "2", "max-age": "60"}


@pytest.mark.parametrize(
    ("site", "command", "expected"),
    [
        ({}, DAEMON, []),
        ({"PORT": 9000, "ACCESS_LOG": "-", "DRAIN_TIMEOUT": 5}, DAEMON, None),
        ({"PORT": 9000, "ACCESS_LOG": "-", "DRAIN_TIMEOUT": 5}, WORKER, ["DRAIN_TIMEOUT"]),
        ({"PORT": 8000, "DRAIN_TIMEOUT": 30.0}, DAEMON, []),
        ({"MAX_MESSAGES": 10, "SOCKET": "/run/a.sock"}, WORKER, ["SOCKET"]),
        ({"MAX_AGE": 120, "PROCESSES": 4}, DAEMON, []),
        ({"LAYER": "other", "THREADS": 3, "MAX_BODY": 10, "WS_ORIGIN": ["*"]}, DAEMON, []),
    ],
    ids=str,
)
def test_what_only_a_restart_makes_true_where_no_worker_was(site, command, expected):
    """None: all of the keys. What the command line says wins, before and after."""
    before, after = build_settings(GIVEN, {}, command), build_settings(GIVEN, site, command)
    used = take_over(before, after, is_unused=True)
    found = differing_keys(used, after, site, command)
    assert sorted(found) == sorted(site if expected is None else expected)


OF_WORKERS = {
    "THREADS": 3,
    "THREAD_IDLE": 9.0,
    "SWITCH_INTERVAL": 0.002,
    "ONLY_CHANNELS": ("http.*",),
    "EXCLUDE_CHANNELS": ("jobs.*",),
    "START_TIMEOUT": 7.0,
    "STUCK_TIMEOUT": 8.0,
    "MAX_MESSAGES": 10,
    "MAX_RSS": 2**30,
}
OF_THE_DAEMON = {
    "LAYER": "other",
    "MAX_BODY": 10,
    "ROOT_PATH": "/shop",
    "WS_ORIGIN": ["*"],
    "NO_DELAY": True,
    "SOCKET": "/run/a.sock",
    "DRAIN_TIMEOUT": 5.0,
    "ACCESS_LOG": "-",
    "RELOAD": True,
}


def test_a_reload_takes_what_concerns_workers_and_no_more():
    before = build_settings(GIVEN, {}, DAEMON)
    after = build_settings(GIVEN, {**OF_WORKERS, **OF_THE_DAEMON}, DAEMON)
    used = take_over(before, after)
    assert used.workers == build_settings(GIVEN, OF_WORKERS, DAEMON).workers
    assert used.processes == build_settings(GIVEN, OF_WORKERS, DAEMON).processes
    assert used.http == before.http
    keys = {**OF_WORKERS, **OF_THE_DAEMON}
    assert sorted(differing_keys(used, after, keys, DAEMON)) == sorted(OF_THE_DAEMON)


def test_a_key_that_is_gone_is_told_as_one_that_is_new():
    site = {"MAX_BODY": 10, "THREADS": 3}
    before, after = build_settings(GIVEN, site, DAEMON), build_settings(GIVEN, {}, DAEMON)
    used = take_over(before, after)
    assert used.workers.threads == after.workers.threads
    assert differing_keys(used, after, site, DAEMON) == ["MAX_BODY"]
