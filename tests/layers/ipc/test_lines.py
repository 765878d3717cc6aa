"""What peers send: in order, waiting for room as long as it may, holding up nobody else."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.layers.ipc.acting import Stage, books
from txchannels.layers.interfaces import CHANNEL, GROUP
from txchannels.layers.ipc import lines
from txchannels.layers.ipc.frames import Word

CAPACITY = 4


@pytest.fixture
def stage():
    stage = Stage(capacity=CAPACITY)
    yield stage
    books(stage.hub)


def to(channel, *numbers):
    return [[CHANNEL, channel, {"n": n}] for n in numbers]


def failures(frames):
    """Of the only answer: which failed, and how."""
    [[word, _, failed]] = frames
    assert word == Word.SENT
    return [(at, kind) for at, kind, _, _ in failed]


def test_a_batch_is_answered_when_all_of_it_was_taken(stage):
    actor = stage.actor()
    assert actor.send(*to("a", *range(6)), number=5) == []
    assert stage.take_all("a") == [0, 1, 2, 3]
    assert failures(actor.heard()) == []
    assert stage.take_all("a") == [4, 5]


def test_what_nobody_waits_for_is_not_answered_when_it_was_taken(stage):
    actor = stage.actor()
    assert actor.send(*to("a", *range(6))) == []
    assert stage.take_all("a") == [0, 1, 2, 3]
    assert actor.heard() == []
    assert stage.take_all("a") == [4, 5]


def test_awaited_and_unawaited_sends_keep_their_order(stage):
    actor = stage.actor()
    assert actor.send(*to("a", *range(5))) == []
    assert actor.send(*to("a", 5), number=1) == []
    assert actor.send(*to("a", 6)) == []
    assert actor.send(*to("a", 7), number=2) == []
    got = []
    while len(got) < 8:
        channel, message = stage.layer.receive(["a"])
        assert channel is not None, got
        got.append(message["n"])
        stage.turn()
    assert got == list(range(8))
    assert [frame[:2] for frame in actor.heard()] == [[Word.SENT, 1], [Word.SENT, 2]]


def test_what_may_not_wait_is_refused_at_once_behind_what_waits(stage):
    actor = stage.actor()
    actor.send(*to("a", *range(5)))
    assert failures(actor.send(*to("a", 5), number=1, wait=0.0)) == [(0, "full")]
    assert stage.take_all("a") == [0, 1, 2, 3]
    stage.turn()
    assert stage.take_all("a") == [4]
    assert books(stage.hub).dropped["full"] == 1


def test_each_waits_for_as_long_as_it_may(stage):
    actor = stage.actor()
    actor.send(*to("a", *range(4)))
    actor.send(*to("a", 4), wait=5.0)
    actor.send(*to("a", 5), number=1, wait=1.0)
    actor.send(*to("a", 6), number=2, wait=3.0)
    stage.turn(0.9)
    assert actor.heard() == []
    stage.turn(0.2)
    [[_, number, [[at, kind, text, channel]]]] = actor.heard()
    assert (number, at, kind, channel) == (1, 0, "full", "a")
    assert "full" in text
    stage.turn(2.0)
    [[_, number, _]] = actor.heard()
    assert number == 2
    stage.turn(2.0)
    [[_, number, [[_, kind, _, channel]]]] = actor.heard()
    assert (number, kind, channel) == (0, "full", "a")
    assert stage.take_all("a") == [0, 1, 2, 3]
    assert books(stage.hub).dropped["full"] == 3
    stage.turn()
    assert not stage.clock.getDelayedCalls()
    assert not len(actor.peer._lines)


@pytest.mark.parametrize("wait", [float("inf"), 1e300])
def test_nothing_waits_without_end(stage, wait):
    actor = stage.actor()
    actor.send(*to("a", *range(4)))
    actor.send(*to("a", 4), number=1, wait=wait)
    assert max(call.getTime() for call in stage.clock.getDelayedCalls()) <= lines.MAX_WAIT_SECONDS
    stage.turn(lines.MAX_WAIT_SECONDS)
    assert len(actor.heard()) == 1


def test_a_line_has_a_bound(stage):
    actor = stage.actor()
    count = CAPACITY + lines.MAX_LINE
    assert actor.send(*to("a", *range(count)), number=1) == []
    assert failures(actor.send(*to("a", 0, 0), number=2)) == [(0, "full"), (1, "full")]
    assert len(actor.peer._lines) == lines.MAX_LINE
    got = []
    while taken := stage.take_all("a"):
        got += taken
        stage.turn()
    assert got == list(range(count))
    assert failures(actor.heard()) == []


def test_a_full_channel_does_not_hold_up_the_others_of_a_batch(stage):
    stage.layer.group_add("room", "c")
    actor = stage.actor()
    sends = [*to("a", *range(5)), *to("b", 1), [GROUP, "room", {"n": 2}], *to("a", 5)]
    assert actor.send(*sends, number=1) == []
    assert stage.take_all("b") == [1]
    assert stage.take_all("c") == [2]
    assert stage.take_all("a") == [0, 1, 2, 3]
    stage.turn()
    assert stage.take_all("a") == [4, 5]
    assert failures(actor.heard()) == []


def test_one_bad_send_of_a_batch_fails_alone(stage):
    actor = stage.actor()
    sends = [
        *to("a", 0),
        [CHANNEL, "a b", {"n": 1}],
        [CHANNEL, ["a"], {"n": 1}],
        [CHANNEL, "a", [1]],
        ["other", "a", {"n": 1}],
        [GROUP, "a!b", {"n": 1}],
        [CHANNEL, "a"],
        *to("a", 2),
    ]
    assert failures(actor.send(*sends, number=1)) == [(at, "type") for at in range(1, 7)]
    assert stage.take_all("a") == [0, 2]


def test_a_closed_channel_is_said_to_be_closed(stage):
    inbox = stage.hub.open_inbox("mine!", lambda batch: None, stage.clock.callFromThread)
    inbox.open("a")
    actor = stage.actor()
    assert failures(actor.send(*to("mine!b", 1), number=1)) == [(0, "closed")]
    [[_, number, [[_, kind, _, channel]]]] = actor.send(*to("mine!b", 1))
    assert (number, kind, channel) == (0, "closed", "mine!b")
    assert actor.send(*to("mine!a", 1)) == []


def test_a_line_ends_when_its_channel_closes(stage):
    got = []
    inbox = stage.hub.open_inbox("mine!", got.extend, stage.clock.callFromThread)
    inbox.open("a")
    inbox.pause("mine!a")
    actor = stage.actor()
    assert actor.send(*to("mine!a", *range(6)), number=1) == []
    inbox.close("mine!a")
    assert failures(actor.heard()) == [(at, "closed") for at in range(6)]
    assert got == []
    assert not stage.clock.getDelayedCalls()
    assert actor.peer._lines._lines == {}


def test_a_paused_reader_gets_all_in_order_when_it_goes_on(stage):
    got = []
    inbox = stage.hub.open_inbox("mine!", got.extend, stage.clock.callFromThread)
    inbox.open("a")
    actor = stage.actor()
    for n in range(20):
        actor.send(*to("mine!a", n))
        if n == 5:
            inbox.pause("mine!a")
        if n == 15:
            inbox.resume("mine!a")
    stage.turn()
    assert [message["n"] for _, message in got] == list(range(20))


def test_what_a_dead_peer_sent_is_delivered_still(stage):
    actor = stage.actor()
    actor.send(*to("a", *range(6)))
    actor.send(*to("a", 6), number=1)
    actor.die()
    assert stage.take_all("a") == [0, 1, 2, 3]
    stage.turn()
    assert stage.take_all("a") == [4, 5, 6]
    assert actor.heard() == []
    assert not stage.clock.getDelayedCalls()


def test_two_peers_do_not_hold_each_other_up(stage):
    first, second = stage.actor(), stage.actor()
    first.send(*to("a", *range(5)))
    assert second.send(*to("b", 1), number=1) == [[Word.SENT, 1, []]]


def test_waiting_in_vain_leaves_nothing_behind(stage):
    """One who tries again and again with a channel that nobody reads costs no more each time."""
    actor = stage.actor()
    actor.send(*to("a", *range(4)))
    for _ in range(50):
        assert actor.send(*to("a", 9), number=1, wait=0.1) == []
        stage.turn(0.2)
        assert failures(actor.heard()) == [(0, "full")]
    [queue] = stage.hub._by_name.values()
    assert len(queue.waiting_for_room) == 1
    assert not stage.clock.getDelayedCalls()
    assert stage.take_all("a") == [0, 1, 2, 3]
    stage.turn()
    assert actor.peer._lines._lines == {}


def test_a_batch_for_another_host_goes_by_a_thread(stage):
    stage.face.is_here = lambda name: name != "far"
    calls = []
    stage.served.in_thread = lambda *call: calls.append(call)
    actor = stage.actor()
    sends = [*to("near", 0), *to("far", *range(5)), *to("mine!a", 1)]
    assert actor.send(*sends, number=1, wait=0.0) == []
    assert stage.take_all("near") == [0]
    [(call, tell)] = calls
    tell(call())  # the last finds no room
    assert failures(actor.heard()) == [(5, "full")]


def test_a_thread_that_fails_fails_its_batch(stage):
    stage.face.is_here = lambda name: False
    stage.served.in_thread = lambda call, tell: tell(RuntimeError("no thread"))
    actor = stage.actor()
    assert failures(actor.send(*to("far", 0, 1), number=1)) == [
        (0, "unavailable"),
        (1, "unavailable"),
    ]


class LineMachine(RuleBasedStateMachine):
    """Two peers that send to two channels, come and go: all is taken in order, or answered.

    Every batch asks for an answer, so that it is known what became of it; those that may wait
    for long are as those that nobody waits for.
    """

    def __init__(self):
        super().__init__()
        self.stage = Stage(capacity=CAPACITY)
        self.actors = [self.stage.actor(), self.stage.actor()]
        self.n = 0
        self.sent = {}
        self.got = {"a": [], "b": []}
        self.failed, self.answered = set(), set()

    @rule(
        who=st.integers(0, 1),
        channels=st.lists(st.sampled_from("ab"), max_size=8),
        wait=st.sampled_from([0.0, 1.0, 5.0]),
    )
    def send(self, who, channels, wait):
        number = len(self.sent) + 1
        sends = []
        for channel in channels:
            self.n += 1
            sends.append([CHANNEL, channel, {"n": self.n, "who": id(self.actors[who])}])
        self.sent[number] = [(message["n"], channel) for _, channel, message in sends]
        self.actors[who].say(Word.SEND, number, wait, sends)

    @rule(channel=st.sampled_from("ab"), count=st.integers(1, 6))
    def take(self, channel, count):
        for _ in range(count):
            _, message = self.stage.layer.receive([channel])
            if message is not None:
                self.got[channel].append((message["n"], message["who"]))

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0]))
    def turn(self, seconds):
        self.stage.turn(seconds)

    @rule(who=st.integers(0, 1))
    def die(self, who):
        self.actors[who].die()
        self.actors[who] = self.stage.actor()

    @invariant()
    def each_batch_is_answered_once(self):
        for actor in self.actors:
            for _, number, failed in actor.heard():
                assert number not in self.answered
                self.answered.add(number)
                for at, kind, _, channel in failed:
                    assert kind == "full"
                    assert self.sent[number][at][1] == channel
                    self.failed.add(self.sent[number][at])

    @invariant()
    def the_books_balance(self):
        books(self.stage.hub)

    @invariant()
    def each_channel_is_in_order(self):
        for taken in self.got.values():
            for who in {who for _, who in taken}:
                numbers = [n for n, sender in taken if sender == who]
                assert numbers == sorted(numbers)

    def teardown(self):
        count = -1
        while count != sum(map(len, self.got.values())):
            count = sum(map(len, self.got.values()))
            self.take("a", CAPACITY)
            self.take("b", CAPACITY)
            self.stage.turn()
        self.each_batch_is_answered_once()
        self.each_channel_is_in_order()
        taken = [(n, channel) for channel, got in self.got.items() for n, _ in got]
        assert len(taken) == len(set(taken))
        assert not set(taken) & self.failed
        for number in self.answered:
            assert set(self.sent[number]) <= set(taken) | self.failed
        assert not self.stage.clock.getDelayedCalls()


TestLines = LineMachine.TestCase
TestLines.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
