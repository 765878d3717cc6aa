from __future__ import annotations

import threading

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.integration.daemon import wait_until
from tests.services import Layer, Reactor, site_of
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.memory import MemoryLayer
from txchannels.lifecycle import Stop
from txchannels.settings import WorkerSettings
from txchannels.working import LayerService, WorkerService, join_layer, select_channels

CHANNELS = {"http.request", "websocket.connect", "websocket.receive", "jobs.mail", "jobs.index"}


@pytest.fixture
def errors():
    """What is logged as a warning or worse."""
    found = []

    def observe(event):
        if event["log_level"] >= LogLevel.warn:
            found.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def told(monkeypatch):
    """What the operator is told when the program gives up."""
    found = []
    monkeypatch.setattr("txchannels.lifecycle.tell_operator", found.append)
    return found


# The layer


class Lives:
    """A layer's service and its layer."""

    def __init__(self, layer=None, seconds=5):
        self.reactor = Reactor()
        self.layer = layer or Layer()
        self.losses = []
        stop = Stop(self.reactor, seconds)
        self.service = LayerService(
            self.reactor, self.layer, stop, lambda: self.losses.append(list(self.layer.happened))
        )

    def stopping(self):
        done = []
        self.service.stopService().addBoth(done.append)
        return done


def test_the_layer_starts_is_swept_and_ends():
    lives = Lives()
    assert lives.layer.happened == []
    lives.service.startService()
    lives.reactor.pump([1] * 11)
    assert lives.layer.happened == ["start", "sweep", "sweep"]
    done = lives.stopping()
    assert lives.layer.happened[3:] == ["stop"]
    lives.reactor.pump([0.02] * 20)
    assert done == []
    lives.layer.ended.callback(None)
    lives.reactor.pump([0.02] * 2)
    assert done == [None]
    lives.reactor.pump([1] * 11)
    assert lives.layer.happened[4:] == []
    assert lives.reactor.getDelayedCalls() == []


def test_a_layer_that_keeps_itself_clean_is_not_swept(monkeypatch):
    monkeypatch.delattr(Layer, "sweep")
    lives = Lives()
    lives.service.startService()
    lives.reactor.pump([1] * 11)
    assert lives.layer.happened == ["start"]


def test_the_memory_layer_has_such_a_life(errors):
    lives = Lives(MemoryLayer().reactor(None))
    lives.service.startService()
    assert lives.stopping() == [None]
    assert lives.reactor.getDelayedCalls() == []
    assert errors == []


def test_a_layer_that_can_never_work_ends_the_program(told):
    lives = Lives(Layer(start=ConfigurationError("hosts", None, "no such")))
    with pytest.raises(SystemExit) as caught:
        lives.service.startService()
    assert caught.value.code == 1
    assert [str(one) for one in told] == ["hosts: no such"]
    assert lives.reactor.getDelayedCalls() == []


def test_a_layer_has_no_longer_than_the_stop_to_end(errors):
    lives = Lives(seconds=1)
    lives.service.startService()
    done = lives.stopping()
    lives.reactor.pump([0.02] * 45)
    assert done == []
    lives.reactor.pump([0.02] * 10)
    assert done == [None]
    assert errors == ["The layer has not ended in time"]
    lives.layer.ended.callback(None)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_layer_that_cannot_end_well_ends_all_the_same(errors, is_late):
    lives = Lives()
    lives.service.startService()
    if not is_late:
        lives.layer.ended.errback(ValueError("no more"))
    done = lives.stopping()
    if is_late:
        lives.layer.ended.errback(ValueError("no more"))
        lives.reactor.pump([0.02] * 2)
    assert done == [None]
    assert errors == ["The layer's end failed"]


def test_an_end_may_be_immediate():
    lives = Lives()
    lives.layer.stop = lambda: None
    lives.service.startService()
    assert lives.stopping() == [None]


def test_a_gap_is_logged_and_told_to_the_sockets_and_then_to_the_application(errors):
    lives = Lives()
    lives.layer.gap(0.0, 1.5)
    message = {"since": 0.0, "until": 1.5}
    assert lives.losses == [[]]
    assert lives.layer.happened == [("txchannels.gap", message)]
    (error,) = errors
    assert error == (
        "The layer's server was away: messages of other hosts may have been missed "
        "from 1970-01-01T00:00:00.000+00:00 to 1970-01-01T00:00:01.500+00:00"
    )


@pytest.mark.parametrize(
    ("offer", "why"),
    [(False, "it is full"), (LayerUnavailable("away"), "LayerUnavailable('away')")],
)
def test_a_gap_that_cannot_be_sent_is_logged(errors, offer, why):
    lives = Lives(Layer(offer=offer))
    lives.layer.gap(0.0, 1.0)
    assert errors[1:] == [f"txchannels.gap was not sent: {why}"]


def test_the_site_hears_that_the_layer_has_joined_after_it_has():
    happened = []

    class Layer:
        def reactor(self, call_from_thread, reactor):
            happened.append("reactor")
            return "face"

    site = site_of(layer_joined=lambda: happened.append("joined"))
    object.__setattr__(site, "layer", Layer())
    assert join_layer(site, Reactor()) == "face"
    assert happened == ["reactor", "joined"]


class Works:
    """A worker service, its pool and its layer."""

    def __init__(self, site, seconds=600, **more):
        self.reactor = Reactor()
        self.stop = Stop(self.reactor, seconds)
        self.layer = site.layer.reactor(self.reactor.callFromThread)
        settings = WorkerSettings(threads=2, idle_seconds=60, **more)
        self.service = WorkerService(self.reactor, self.layer, settings, site, self.stop)
        self.pool = self.service.pool

    def stopping(self):
        done = []
        self.service.stopService().addBoth(done.append)
        return done

    def until(self, done):
        """Let time pass until *done* has fired."""

        def is_done():
            self.reactor.advance(0.02)
            return bool(done)

        wait_until(is_done)


# The workers


def test_workers_run_what_comes_and_stop_with_no_thread_left():
    ran = []
    works = Works(site_of(run=lambda channel, message: ran.append(channel)))
    works.service.startService()
    works.layer.send("a", {})
    wait_until(lambda: ran == ["a"])
    done = works.stopping()
    works.until(done)
    assert done == [None]
    assert works.pool.threads == 0
    assert works.reactor.getDelayedCalls() == []


def test_a_message_that_runs_is_waited_for(errors):
    gate, started = threading.Event(), threading.Event()

    def run(channel, message):
        started.set()
        gate.wait(30)

    works = Works(site_of(run=run))
    works.service.startService()
    works.layer.send("a", {})
    assert started.wait(30)
    done = works.stopping()
    works.reactor.pump([0.02] * 50)
    assert done == []
    gate.set()
    works.until(done)
    assert errors == []


def test_a_message_that_is_stuck_is_given_up_and_told_with_its_stack(errors):
    gate, started = threading.Event(), threading.Event()

    def stuck_consumer(channel, message):
        started.set()
        gate.wait(30)

    works = Works(site_of(run=stuck_consumer), seconds=1)
    works.service.startService()
    works.layer.send("a", {})
    assert started.wait(30)
    done = works.stopping()
    works.reactor.pump([0.02] * 60)
    gate.set()
    assert done == [None]
    (error,) = errors
    assert "is still running a message of a; given up\n" in error
    assert "in stuck_consumer" in error
    wait_until(lambda: works.pool.threads == 0)


def test_a_site_that_is_not_ready_is_told_and_ends_the_program(told):

    def fail():
        raise ConfigurationError("worker_ready", None, "not today")

    works = Works(site_of(ready=fail))
    with pytest.raises(SystemExit) as caught:
        works.service.startService()
    assert caught.value.code == 1
    assert [str(one) for one in told] == ["worker_ready: not today"]


def test_only_the_selected_channels_are_read():
    works = Works(site_of(channels=CHANNELS), only_channels=("jobs.*",))
    works.service.startService()
    assert {name for name in CHANNELS if works.layer.is_wanted(name)} == {"jobs.mail", "jobs.index"}
    works.until(works.stopping())


# Which channels


@pytest.mark.parametrize(
    ("only", "exclude", "selected"),
    [
        ((), (), CHANNELS),
        (("*",), (), CHANNELS),
        (("jobs.mail",), (), {"jobs.mail"}),
        (("http.*", "jobs.inde[x]"), (), {"http.request", "jobs.index"}),
        ((), ("jobs.*",), CHANNELS - {"jobs.mail", "jobs.index"}),
        ((), ("none.*", "", "JOBS.*"), CHANNELS),
        (("jobs.*",), ("*.mail",), {"jobs.index"}),
    ],
)
def test_globs_select_channels(only, exclude, selected):
    settings = WorkerSettings(only_channels=only, exclude_channels=exclude)
    assert select_channels(CHANNELS, settings) == selected


@pytest.mark.parametrize("glob", ["job", "Jobs.*", ""])
def test_a_glob_that_matches_nothing_is_named_with_what_there_is(glob):
    with pytest.raises(ConfigurationError) as caught:
        select_channels({"b", "a"}, WorkerSettings(only_channels=("a", glob)))
    assert str(caught.value) == (
        f"--only-channels {glob!r}: matches no channel; the site's channels are: a, b"
    )


def test_globs_that_leave_nothing_are_named():
    settings = WorkerSettings(only_channels=("a",), exclude_channels=("a", "c"))
    with pytest.raises(ConfigurationError) as caught:
        select_channels({"b", "a"}, settings)
    assert str(caught.value) == (
        "--exclude-channels 'a, c': leaves no channel; the site's channels are: a, b"
    )
