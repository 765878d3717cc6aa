"""The loop of `manage.py rundelay`, step by step; with real processes in `tests/integration`."""

from __future__ import annotations

from threading import Event

import pytest
from django.db import OperationalError

from tests.django.delay.test_models import received
from txchannels.django.delay import patience, program
from txchannels.django.delay.program import DelayProgram
from txchannels.errors import LayerUnavailable

GOOD = {"channel": "out", "delay": 0, "content": {"n": 1}}


@pytest.fixture
def running(bus, rows, monkeypatch):
    """A program whose step is never long; it closes no connection of the test's."""
    monkeypatch.setattr(patience, "PAUSES", (0.0,))
    monkeypatch.setattr(program, "LISTEN_SECONDS", 0.01)
    monkeypatch.setattr(program, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(program, "LAST_PAUSE_SECONDS", 0.004)
    return DelayProgram(bus, 60.0, Event())


class Stopping(Event):
    """Set after it was asked so often."""

    def __init__(self, rounds):
        super().__init__()
        self.rounds = rounds
        self.pauses = []

    def is_set(self):
        self.rounds -= 1
        return self.rounds < 0

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        return False


def test_what_is_due_is_sent_first_of_all(running, bus, put):
    put()
    running.step()
    assert received(bus) == [{"n": 1}]
    assert running.sent == 1


def test_what_comes_is_stored_and_sent_when_it_is_due(running, bus, rows):
    running.step()
    bus.send("asgi.delay", GOOD | {"delay": 3_600_000})
    running.step()
    assert rows.objects.count() == 1
    bus.send("asgi.delay", GOOD)
    running.step()
    assert received(bus) == [{"n": 1}]
    assert rows.objects.count() == 1


def test_a_bad_message_does_not_end_it(running, bus, complaints):
    bus.send("asgi.delay", {"channel": "out"})
    bus.send("asgi.delay", GOOD)
    running.step()
    running.step()
    assert received(bus) == [{"n": 1}]
    assert len(complaints()) == 1


def test_what_a_layer_refuses_may_have_been_sent(running, bus, put, rows, monkeypatch, complaints):
    put()
    refusal = LayerUnavailable("gone")
    monkeypatch.setattr(bus, "send_many", lambda sends, wait: [(send, refusal) for send in sends])
    running.step()
    assert (running.sent, running.lost) == (0, 1)
    assert not rows.objects.exists()
    assert len(complaints()) == 1


def run(bus, rounds):
    stopping = Stopping(rounds)
    DelayProgram(bus, 60.0, stopping).run()
    return stopping.pauses


def test_a_database_that_is_away_is_logged_once(running, bus, rows, monkeypatch, complaints):
    bus.send("asgi.delay", GOOD)
    save = rows.save
    calls = []

    def failing(row, *args, **kwargs):
        calls.append(row)
        if len(calls) <= 10:
            raise OperationalError("away")
        save(row, *args, **kwargs)

    monkeypatch.setattr(rows, "save", failing)
    pauses = run(bus, 7)
    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.004]
    assert complaints() == [
        "The database cannot be used: delayed messages wait; trying again until it works: away",
        "The database cannot be used: delayed messages wait: this is over",
    ]
    assert received(bus) == [{"n": 1}]
    assert not rows.objects.exists()


def test_a_layer_that_is_away_is_logged_once(running, bus, monkeypatch, complaints):
    receive = bus.receive
    calls = []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) <= 3:
            raise LayerUnavailable("away")
        return receive(*args, **kwargs)

    monkeypatch.setattr(bus, "receive", failing)
    assert len(run(bus, 5)) == 3
    assert len(complaints()) == 2


def test_an_error_of_another_kind_does_not_end_it(running, bus, monkeypatch, complaints):
    receive = bus.receive
    calls = []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise ZeroDivisionError
        return receive(*args, **kwargs)

    bus.send("asgi.delay", GOOD)
    monkeypatch.setattr(bus, "receive", failing)
    run(bus, 3)
    assert complaints() == ["rundelay goes on after an error:"]
    assert received(bus) == [{"n": 1}]


def test_what_it_has_in_hand_at_its_end_goes_back(running, bus, rows, monkeypatch):
    def failing(row, *args, **kwargs):
        raise OperationalError("away")

    bus.send("asgi.delay", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(rows, "save", failing)
        run(bus, 2)
    run(bus, 2)
    assert received(bus) == [{"n": 1}]


def test_what_cannot_go_back_is_logged(running, bus, rows, monkeypatch, complaints):
    def failing(*args, **kwargs):
        raise OperationalError("away")

    bus.send("asgi.delay", GOOD)
    monkeypatch.setattr(rows, "save", failing)
    monkeypatch.setattr(bus, "send", failing)
    run(bus, 1)
    assert complaints()[-1].startswith("A message of asgi.delay for out is lost at the stop")
