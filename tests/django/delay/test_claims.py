"""Several programs and threads on one database send each message exactly once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("racing.py")
COUNT = 300

#: A guard against hanging, not a measure.
WAIT = 90.0


@pytest.fixture
def database(tmp_path):
    file = tmp_path / "site.sqlite3"
    filling = start(file, 0, "fill", str(COUNT))
    assert filling.wait(WAIT) == 0
    filling.communicate()
    return file


def start(file, threads, *what):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(file), str(threads), *what],
        env=bare | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_in(file):
    connection = sqlite3.connect(file)
    try:
        [(rows, claimed)] = connection.execute(
            "SELECT count(*), count(nullif(claim, '')) FROM txchannels_delay_delayedmessage"
        )
    finally:
        connection.close()
    return rows, claimed


def test_threads_of_several_processes_send_each_once(database):
    programs = [start(database, 4, "race") for _ in range(3)]
    for program in programs:
        assert program.stdout.readline() == "there\n"
    sent: Counter[str] = Counter()
    for program in programs:
        program.stdin.close()
    for program in programs:
        sent.update(program.stdout.read().split())
        assert program.wait(WAIT) == 0, program.stderr.read()
        program.stdout.close()
        program.stderr.close()
    assert sent == Counter(map(str, range(COUNT)))
    assert left_in(database) == (0, 0)


def test_who_is_killed_costs_what_he_has_claimed_and_nothing_is_sent_twice(database):
    victim = start(database, 1, "race")
    assert victim.stdout.readline() == "there\n"
    victim.stdin.close()
    first = victim.stdout.readline()  # it is in the middle
    victim.send_signal(signal.SIGKILL)
    sent = Counter([first.strip(), *victim.stdout.read().split()])
    victim.wait(WAIT)
    victim.stdout.close()
    victim.stderr.close()
    _, claimed = left_in(database)
    assert claimed <= 7  # one batch

    heir = start(database, 2, "race")
    heir.stdin.close()
    # What the dead has claimed is not touched, so it tries in vain to empty the table.
    assert heir.stdout.readline() == "there\n"
    sent.update(heir.stdout.read().split())
    assert heir.wait(WAIT) == 0, heir.stderr.read()
    heir.stdout.close()
    heir.stderr.close()
    assert set(sent.values()) == {1}
    assert len(sent) >= COUNT - claimed
    assert left_in(database) == (claimed, claimed)
