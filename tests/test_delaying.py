"""The daemon's clock of delayed messages, with a time that is turned by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.services import Reactor
from txchannels.delaying import FAILING_SECONDS, FIRST_SECONDS, REPORT_SECONDS, DelayService
from txchannels.errors import LayerUnavailable
from txchannels.layers.memory import MemoryLayer
from txchannels.settings import WorkerSettings

TICKS = "txchannels.delay"


@pytest.fixture
def told():
    """What is logged as information or worse."""
    found = []

    def observe(event):
        if event["log_level"] >= LogLevel.info:
            found.append((event["log_level"].name, formatEvent(event)))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


class Clockwork:
    """A clock, and the worker that it has tick for."""

    def __init__(self, settings=None, channels=(TICKS, "http.request"), reads=True, **config):
        self.reactor = Reactor()
        self.hub = MemoryLayer(**config)
        self.layer = self.hub.reactor(self.reactor.callFromThread)
        self.clock = DelayService(self.reactor, self.layer, settings or WorkerSettings(), channels)
        self.ticks = []
        if reads:
            self.read()

    def read(self):
        self.reader = self.layer.subscribe([TICKS], lambda _, tick: self.ticks.append(tick))
        self.reader.request(1000)

    def start(self):
        self.clock.startService()
        self.pass_(0)
        return self

    def pass_(self, seconds):
        """Let time pass, a hundredth of a second at a time."""
        for _ in range(max(1, round(seconds * 100))):
            self.reactor.advance(seconds / max(1, round(seconds * 100)))
        self.reactor.advance(0)

    def report(self, tick=None, **report):
        """What a worker's dispatcher sends when its consumer of a tick has returned."""
        tick = tick or self.ticks[-1]
        sends = [{"order": tick["order"], "sent": 0, "given_up": 0, **report}] if report else []
        for message in [*sends, {"consumed": tick["order"]}]:
            self.hub.blocking.send(tick["reply_channel"], message)
        self.pass_(0)

    def notice(self, due_in):
        self.hub.blocking.send(self.ticks[-1]["reply_channel"], {"due_in": due_in})
        self.pass_(0)

    @property
    def count(self):
        return len(self.ticks)


@pytest.fixture
def work():
    return Clockwork().start()


def test_it_ticks_at_its_start_and_a_second_after_each_report(work):
    assert work.count == 1
    assert work.ticks[0]["order"] == 1
    for count in (1, 2, 3):
        work.report(sent=2, given_up=1)
        work.pass_(0.98)
        assert work.count == count
        work.pass_(0.03)
        assert work.count == count + 1
    assert (work.clock.sent, work.clock.lost) == (6, 3)


def test_there_is_no_second_tick_while_one_waits(work):
    work.pass_(REPORT_SECONDS - 1)
    assert work.count == 1


def test_a_tick_that_is_never_reported_on_is_given_up(work):
    work.pass_(REPORT_SECONDS + 1)
    assert work.count == 2
    assert work.ticks[1]["is_first"]
    work.report(work.ticks[0], sent=1)  # too late, and of no concern
    work.pass_(5)
    assert work.count == 2


def test_a_tick_that_expires_is_followed_by_another():
    now = [0.0]
    work = Clockwork(reads=False, expiry=60)
    work.hub.hub._queues._clock = lambda: now[0]
    work.layer.subscribe([TICKS], None)  # there, and busy
    work.start()
    work.pass_(10)
    now[0] = 61.0
    work.layer.sweep()
    work.read()
    work.pass_(0)
    assert work.count == 1
    assert work.ticks[0]["order"] == 2


def test_a_worker_that_dies_is_followed_by_another_tick(work):
    work.hub.blocking.send(work.ticks[0]["reply_channel"], {"lost": 1})
    work.pass_(1.1)
    assert work.count == 2


# What is due between ticks


def test_a_report_says_when_the_next_is_due(work):
    work.report(sent=0, due_in=0.3)
    work.pass_(0.29)
    assert work.count == 1
    work.pass_(0.02)
    assert work.count == 2
    work.report(sent=0, due_in=5)
    work.pass_(0.98)
    assert work.count == 2
    work.pass_(0.03)
    assert work.count == 3


def test_more_that_is_due_now_is_worked_on_at_once(work):
    work.report(sent=100, due_in=0.0)
    work.pass_(0.01)
    assert work.count == 2


def test_who_stores_a_message_for_soon_is_heard(work):
    work.report(sent=0)
    work.notice(0.5)
    work.notice(0.2)
    work.notice(0.7)
    work.pass_(0.19)
    assert work.count == 1
    work.pass_(0.02)
    assert work.count == 2


def test_who_is_heard_while_a_tick_is_worked_on_is_not_forgotten(work):
    work.notice(0.2)
    work.pass_(0.1)
    work.report(sent=0)
    assert work.count == 1
    work.pass_(0.09)
    assert work.count == 1
    work.pass_(0.02)
    assert work.count == 2


@pytest.mark.parametrize("due_in", [-5, "soon", None, float("inf")])
def test_what_makes_no_sense_does_no_harm(work, due_in):
    work.report(sent=0)
    work.notice(due_in)
    work.pass_(1.1)
    assert work.count == 2


# What fails


def test_a_failure_is_logged_once_and_tried_again_later_each_time(work, told):
    pauses = []
    for _ in range(9):
        work.report(failed="OperationalError: away")
        count, seconds = work.count, 0
        while work.count == count:
            work.notice(0.0)  # in vain
            work.pass_(0.1)
            seconds += 0.1
        pauses.append(seconds)
    assert pauses[0] <= 1.1
    assert max(pauses) <= FAILING_SECONDS + 0.2
    assert pauses[-1] > FAILING_SECONDS / 2
    assert all(later >= before / 1.4 for before, later in pairwise(pauses))
    [(level, text)] = told
    assert level == "error"
    assert text == (
        "Delayed messages cannot be sent: OperationalError: away. They wait; trying again "
        "until it works"
    )
    work.report(sent=4)
    assert told[1][0] == "info"
    assert told[1][1].startswith("Delayed messages are sent again, after ")
    work.pass_(1.1)
    work.report(failed="again")
    assert len(told) == 3
    count = work.count
    work.pass_(1.1)
    assert work.count == count + 1


def test_a_consumer_that_raises_is_not_called_without_end(work, told):
    for _ in range(5):
        work.report()  # only that it has ended
        work.pass_(1.1)
    assert 2 <= work.count < 6
    [(level, text)] = told
    assert level == "error"
    assert "its log says more" in text


def test_a_layer_that_takes_nothing_is_asked_again(monkeypatch, told):
    work = Clockwork()
    offer = work.layer.offer

    def refuse(channel, message):
        raise LayerUnavailable("away")

    monkeypatch.setattr(work.layer, "offer", refuse)
    work.start()
    work.pass_(5)
    monkeypatch.setattr(work.layer, "offer", offer)
    work.pass_(1.1)
    assert work.count == 1
    assert told == []


# When it ticks


def test_now_and_then_a_tick_is_the_first(work):
    firsts = []
    for _ in range(130):
        firsts.append(work.ticks[-1]["is_first"])
        work.report(sent=0)
        work.pass_(1.05)
    assert firsts[0]
    assert firsts.count(True) == 130 * 1.05 // FIRST_SECONDS + 1


@pytest.mark.parametrize(
    "work",
    [
        Clockwork(channels=["http.request", "asgi.delay"]),
        Clockwork(channels=[]),
        Clockwork(WorkerSettings(no_delay=True)),
    ],
    ids=["not installed", "no workers yet", "no-delay"],
)
def test_it_does_not_tick(work):
    work.start()
    work.pass_(5)
    assert work.count == 0
    assert work.reactor.getDelayedCalls() == []
    assert work.clock.stopService() is None


def test_it_waits_for_who_reads_the_ticks():
    work = Clockwork(reads=False).start()
    work.pass_(3)
    work.read()
    assert work.count == 0
    work.pass_(1.1)
    assert work.count == 1


def test_it_follows_the_workers_channels(work):
    work.report(sent=0)
    work.clock.follow(["http.request"])
    work.pass_(5)
    assert work.count == 1
    work.clock.follow(["http.request", TICKS])
    work.pass_(0)
    assert work.count == 2
    assert work.ticks[1]["is_first"]
    work.clock.follow(["other", TICKS])
    work.pass_(5)
    assert work.count == 2, "the tick of before is still worked on"
    work.report(sent=0)
    work.pass_(1.1)
    assert work.count == 3


def test_it_goes_over_to_another_layer(work):
    other = Clockwork()
    work.clock.use(other.layer, WorkerSettings())
    work.pass_(0)
    work.report(sent=0)
    work.pass_(5)
    assert work.count == 1
    assert other.count == 1
    work.clock.use(other.layer, WorkerSettings(no_delay=True))
    assert work.reactor.getDelayedCalls() == []


@pytest.mark.parametrize("is_reported", [False, True])
def test_a_stop_leaves_nothing(work, is_reported):
    channel = work.ticks[0]["reply_channel"]
    if is_reported:
        work.report(sent=0)
    work.clock.stopService()
    assert work.reactor.getDelayedCalls() == []
    assert work.hub.blocking.send(channel, {"consumed": 1}) is False
    work.clock.follow([])
    work.clock.follow([TICKS])
    assert work.reactor.getDelayedCalls() == []
