from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from txchannels.notify import MAX_STATUS_CHARACTERS, MAX_WAITING, Notifier, _line


class Systemd:
    """The socket that systemd would read."""

    def __init__(self, address: str) -> None:
        self.name = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address}

    def heard(self) -> list[str]:
        """The datagrams that have come since the last time."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(65_536).decode())
            except BlockingIOError:
                return found

    def fill(self) -> None:
        """Let no more datagrams in, until some are read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            other.connect(self.socket.getsockname())
            try:
                while True:
                    other.send(b"FILLED=1")
            except BlockingIOError:
                pass


@pytest.fixture(params=["a path", "an abstract name"])
def systemd(request, tmp_path):
    path, name = tmp_path / "notify", f"@txchannels-{uuid.uuid4()}"
    systemd = Systemd(str(path) if request.param == "a path" else name)
    yield systemd
    systemd.socket.close()


@pytest.fixture
def clock():
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


@pytest.fixture
def notifier(systemd, clock):
    notifier = Notifier(systemd.environ, clock)
    yield notifier
    notifier.stop()


@pytest.fixture
def events():
    found = []

    def observe(event):
        if event["log_level"] >= LogLevel.warn:
            found.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


# What it says


@pytest.mark.parametrize(
    ("word", "state"), [("ready", "READY"), ("reloaded", "READY"), ("stopping", "STOPPING")]
)
def test_a_state_is_one_datagram_with_its_status(notifier, systemd, word, state):
    getattr(notifier, word)("8 connections")
    assert systemd.heard() == [f"{state}=1\nSTATUS=8 connections"]


def test_a_reload_begins_with_the_time(notifier, systemd):
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading("loading")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    (told,) = systemd.heard()
    state, moment, status = told.split("\n")
    assert (state, status) == ("RELOADING=1", "STATUS=loading")
    name, value = moment.split("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= after


def test_a_status_is_said_when_it_changes(notifier, systemd):
    for text in ("a", "a", " a\n", "b", "a", "", ""):
        notifier.status(text)
    assert systemd.heard() == ["STATUS=a", "STATUS=b", "STATUS=a", "STATUS="]


def test_a_status_that_came_with_a_state_is_not_said_again(notifier, systemd):
    notifier.ready("a")
    notifier.status("a")
    assert systemd.heard() == ["READY=1\nSTATUS=a"]


def test_a_status_cannot_say_anything_else(notifier, systemd):
    notifier.status("a\nSTOPPING=1\r\x00\x1b[31mb\u2028c\ud800")
    assert systemd.heard() == ["STATUS=a STOPPING=1 [31mb c"]


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Z", "Lo"])))
def test_any_status_is_one_line_that_can_be_sent(text):
    line = _line(text)
    assert len(line) <= MAX_STATUS_CHARACTERS
    assert len(line.splitlines()) <= 1
    assert "\0" not in line
    assert line.encode()[:0] == b""


def test_a_long_stop_asks_for_more_time(notifier, systemd):
    for seconds in (12.5, 0, -1):
        notifier.extend(seconds)
    said = [f"EXTEND_TIMEOUT_USEC={number}" for number in (12_500_000, 0, 0)]
    assert systemd.heard() == said


# To whom


def test_children_cannot_speak_for_it(systemd, clock):
    environ = systemd.environ | {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier(environ, clock).stop()
    assert environ == {"HOME": "/"}


def say_everything(notifier):
    notifier.ready("a")
    notifier.reloading("b")
    notifier.reloaded("c")
    notifier.status("d")
    notifier.extend(5)
    notifier.start_watchdog(lambda: True)
    notifier.stopping("e")


def test_without_systemd_nothing_happens(clock, events):
    environ = {"WATCHDOG_USEC": "3000000"}
    notifier = Notifier(environ, clock)
    say_everything(notifier)
    assert clock.getDelayedCalls() == []
    notifier.stop()
    assert events == []


@pytest.mark.parametrize("name", ["vsock:2:1234", "notify", "@" * 200, "/" + "a" * 200, "/no/such"])
def test_an_address_that_cannot_be_used_is_told_once(clock, events, name):
    notifier = Notifier({"NOTIFY_SOCKET": name}, clock)
    say_everything(notifier)
    notifier.stop()
    assert len(events) == 1
    assert events[0].startswith("systemd cannot be told how the daemon is: ")


def test_a_process_without_a_file_to_spare_is_told_once(systemd, clock, events, monkeypatch):
    def refuse(*arguments):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", refuse)
    notifier = Notifier(systemd.environ, clock)
    say_everything(notifier)
    notifier.stop()
    assert len(events) == 1
    assert "Too many open files" in events[0]


def test_a_socket_that_is_gone_harms_nothing_and_is_told_once(notifier, systemd, clock, events):
    systemd.environ["WATCHDOG_USEC"] = "3000000"
    notifier.ready()
    systemd.socket.close()
    say_everything(notifier)
    clock.pump([1] * 5)
    assert len(events) == 1


def test_after_the_stop_nothing_is_said(notifier, systemd):
    notifier.stop()
    say_everything(notifier)
    notifier.stop()
    assert systemd.heard() == []


def test_a_process_speaks_to_a_real_socket_and_hides_it_from_its_children(systemd):
    program = (
        "import os, subprocess, sys\n"
        "from twisted.internet.task import Clock\n"
        "from txchannels.notify import Notifier\n"
        "notifier = Notifier(os.environ, Clock())\n"
        "notifier.ready('up')\n"
        "child = 'import os, sys; sys.exit(\"NOTIFY_SOCKET\" in os.environ)'\n"
        "sys.exit(subprocess.call([sys.executable, '-c', child]))\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], env=os.environ | systemd.environ, check=True, timeout=60
    )
    assert systemd.heard() == ["READY=1\nSTATUS=up"]


# A socket that is full


def test_what_finds_no_room_is_said_later_in_its_order(notifier, systemd, clock, events):
    systemd.fill()
    notifier.ready("a")
    notifier.stopping("b")
    clock.advance(0.5)
    assert set(systemd.heard()) == {"FILLED=1"}
    clock.advance(0.5)
    assert systemd.heard() == ["READY=1\nSTATUS=a", "STOPPING=1\nSTATUS=b"]
    assert clock.getDelayedCalls() == []
    assert len(events) == 1


def test_of_what_it_does_the_last_is_said_later(notifier, systemd, clock):
    systemd.fill()
    notifier.ready("a")
    for number in range(100):
        notifier.status(str(number))
    systemd.heard()
    clock.advance(0.5)
    assert systemd.heard() == ["READY=1\nSTATUS=a", "STATUS=99"]


def test_what_waits_is_bounded(notifier, systemd, clock):
    systemd.fill()
    for number in range(100):
        notifier.extend(number)
    systemd.heard()
    waited = []
    while clock.getDelayedCalls():  # the system may let in fewer at a time
        clock.advance(0.5)
        waited += systemd.heard()
    assert len(waited) == MAX_WAITING
    assert waited[-1] == "EXTEND_TIMEOUT_USEC=99000000"


def test_what_waits_is_tried_once_more_at_the_stop(notifier, systemd, clock):
    systemd.fill()
    notifier.stopping("a")
    systemd.heard()
    notifier.stop()
    assert systemd.heard() == ["STOPPING=1\nSTATUS=a"]


def test_a_stop_does_not_wait_for_room(notifier, systemd, clock):
    systemd.fill()
    notifier.stopping("a")
    notifier.stop()
    assert clock.getDelayedCalls() == []


# The watchdog


@pytest.fixture
def watched(systemd, clock):
    """A notifier whose sign of life is expected every 3 seconds."""
    environ = systemd.environ | {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(environ, clock)
    yield notifier
    notifier.stop()


def test_it_says_that_it_lives_three_times_an_interval(watched, systemd, clock):
    watched.start_watchdog(lambda: True)
    assert systemd.heard() == ["WATCHDOG=1"]
    clock.advance(0.9)
    assert systemd.heard() == []
    clock.pump([0.1] * 30)
    assert systemd.heard() == ["WATCHDOG=1"] * 3


def test_a_second_start_of_the_watchdog_changes_nothing(watched, systemd, clock):
    watched.start_watchdog(lambda: True)
    watched.start_watchdog(lambda: True)
    clock.advance(1)
    assert systemd.heard() == ["WATCHDOG=1"] * 2


def test_what_does_not_work_does_not_say_that_it_lives(watched, systemd, clock, events):
    answers = [True, False, False, True, False]
    watched.start_watchdog(lambda: answers.pop(0))
    counts = [len(systemd.heard())]
    for _ in range(4):
        clock.advance(1)
        counts.append(len(systemd.heard()))
    assert counts == [1, 0, 0, 1, 0]
    assert [event.partition(";")[0] for event in events] == ["The daemon does not work"] * 2


def test_a_question_that_fails_is_a_no(watched, systemd, clock, events):
    watched.start_watchdog(lambda: 1 / 0 > 0)
    clock.advance(1)
    assert systemd.heard() == []
    assert len(events) == 2


def test_signs_of_life_do_not_pile_up(watched, systemd, clock):
    systemd.fill()
    watched.start_watchdog(lambda: True)
    clock.pump([1] * 10)
    systemd.heard()
    clock.advance(0.5)
    assert systemd.heard() == ["WATCHDOG=1"]


def test_it_is_watched_until_the_stop_is_over(watched, systemd, clock):
    watched.start_watchdog(lambda: True)
    watched.stopping()
    systemd.heard()
    clock.advance(1)
    assert systemd.heard() == ["WATCHDOG=1"]
    watched.stop()
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-1"},
        {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid() + 1)},
    ],
)
def test_who_is_not_watched_says_nothing(systemd, clock, environ):
    notifier = Notifier(systemd.environ | environ, clock)
    notifier.start_watchdog(lambda: True)
    assert (systemd.heard(), clock.getDelayedCalls()) == ([], [])
    notifier.stop()


def test_a_watchdog_without_a_process_is_for_whoever_reads_it(systemd, clock):
    notifier = Notifier(systemd.environ | {"WATCHDOG_USEC": "3000000"}, clock)
    notifier.start_watchdog(lambda: True)
    assert systemd.heard() == ["WATCHDOG=1"]
    notifier.stop()


def test_what_ends_during_a_stop_does_not_take_it_back(systemd, notifier):
    notifier.ready("1 worker")
    notifier.reloading("Reloading")
    notifier.stopping("Stopping")
    systemd.heard()
    notifier.reloaded("1 worker")
    notifier.ready("1 worker")
    notifier.reloading("Reloading")
    assert systemd.heard() == []
    notifier.extend(3)
    assert systemd.heard() == ["EXTEND_TIMEOUT_USEC=3000000"]
