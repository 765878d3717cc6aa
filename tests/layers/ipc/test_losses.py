"""What a worker has not finished when it dies: lost if it was begun, given back if not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.layers.ipc.acting import DEAD, Stage, books
from txchannels.layers.interfaces import CHANNEL
from txchannels.layers.ipc import server
from txchannels.layers.ipc.frames import Word
from txchannels.workers.board import BEGUN, Board


class Worker:
    """A worker process; what it begins and finishes is said by the test."""

    def __init__(self, stage, channels=("work",), process_id=DEAD):
        self.actor = stage.actor(process_id)
        self.board = Board()
        self.actor.peer.board = self.board
        self.actor.say(Word.SUBSCRIBE, 1, list(channels))
        self.got = {}

    def request(self, count, finished=()):
        self.actor.say(Word.REQUEST, 1, count, list(finished))
        return self.take()

    def take(self):
        """The numbers of what has come since."""
        came = [frame[2:5] for frame in self.actor.heard() if frame[0] == Word.DELIVER]
        self.got |= {number: (channel, message["n"]) for number, channel, message in came}
        return [number for number, _, _ in came]

    def die(self):
        """What the daemon was told to be lost."""
        self.actor.die()
        self.board.close()
        return [(channel, message["n"]) for _, channel, message in self.actor.lost]


@pytest.fixture
def stage():
    stage = Stage(capacity=10)
    yield stage
    books(stage.hub)


def send(stage, *numbers, channel="work"):
    for n in numbers:
        stage.layer.send(channel, {"n": n})
    stage.turn()


def test_what_was_begun_is_lost_and_the_rest_is_first_again_in_order(stage):
    worker = Worker(stage)
    worker.request(4)
    send(stage, 1, 2, 3, 4, 5)
    first, _, third, _ = worker.take()
    worker.board.begin(first)
    worker.board.begin(third, BEGUN + 7)
    assert sorted(worker.die()) == [("work", 1), ("work", 3)]
    assert stage.take_all("work") == [2, 4, 5]
    assert books(stage.hub).lost == 2


def test_what_was_finished_is_neither(stage):
    worker = Worker(stage)
    worker.request(3)
    send(stage, 1, 2, 3)
    told, untold, _ = worker.take()
    for number in (told, untold):
        worker.board.begin(number)
        worker.board.finish(number)
    worker.request(0, [told])
    assert worker.actor.peer.done == 1
    assert worker.die() == []
    assert worker.actor.peer.done == 2
    assert stage.take_all("work") == [3]


def test_what_is_given_back_goes_to_whoever_has_asked(stage):
    dying, other = Worker(stage), Worker(stage)
    dying.request(2)
    send(stage, 1, 2)
    other.request(1)
    assert dying.die() == []
    assert len(other.take()) == 1
    assert len(stage.take_all("work")) == 1


def test_what_was_not_sent_yet_is_given_back(stage):
    worker = Worker(stage)
    worker.request(2)
    stage.layer.send("work", {"n": 1})
    worker.actor.peer.lost()  # before the turn in which it would have been written
    stage.turn()
    assert worker.take() == []
    assert worker.actor.lost == []
    assert stage.take_all("work") == [1]
    worker.board.close()


def test_messages_of_several_channels_go_back_to_their_own(stage):
    worker = Worker(stage, ["work", "other", "mine!"])
    worker.request(6)
    for n, channel in enumerate(["work", "mine!a", "other", "mine!b", "work"]):
        send(stage, n, channel=channel)
    assert worker.die() == []
    assert stage.take_all("work") == [0, 4]
    assert stage.take_all("other") == [2]
    assert [stage.layer.receive(["mine!"]) for _ in range(2)] == [
        ("mine!a", {"n": 1}),
        ("mine!b", {"n": 3}),
    ]


def test_nothing_is_given_back_while_the_process_may_still_begin_it(stage):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        worker = Worker(stage, process_id=process.pid)
        worker.request(2)
        send(stage, 1, 2)
        worker.actor.say(99)  # no word
        assert [message["n"] for _, _, message in worker.actor.lost] == [1, 2]
        assert stage.take_all("work") == []
        worker.board.close()
        process.communicate(b"\n")


def test_a_process_that_was_killed_has_its_messages_given_back(stage):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        worker = Worker(stage, process_id=process.pid)
        worker.request(2)
        send(stage, 1, 2)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # and nobody has reaped it
        assert worker.die() == []
        assert stage.take_all("work") == [1, 2]


def test_how_much_it_has_done_and_asked_for_is_known(stage):
    worker = Worker(stage)
    peer = worker.actor.peer
    assert (peer.done, peer.requested, peer.last_done) == (0, 0, 0.0)
    worker.request(3)
    send(stage, 1, 2)
    assert peer.requested == 1
    one, two = worker.take()
    stage.turn(5.0)
    worker.request(1, [one, one, 777])
    assert (peer.done, peer.requested, peer.last_done) == (1, 2, 5.0)
    stage.turn(5.0)
    worker.request(1, [])
    assert (peer.last_done, peer.last_heard) == (5.0, 10.0)
    worker.request(0, [two])
    assert (peer.done, peer.requested, peer.last_done) == (2, 3, 10.0)
    assert peer.running == {}
    worker.die()


def test_a_message_that_runs_for_long_keeps_its_number(stage, monkeypatch):
    """The numbers go round; a board that forgot the mark would have it run twice."""
    monkeypatch.setattr(server, "MAX_NUMBER", 4)
    worker = Worker(stage)
    worker.request(1)
    send(stage, 0)
    [long] = worker.take()
    worker.board.begin(long)
    before = None
    for n in range(1, 12):
        worker.request(1, [before] if before else [])
        send(stage, n)
        [number] = worker.take()
        assert number != long
        before = number
    assert worker.die() == [("work", 0)]
    assert stage.take_all("work") == [11]


def test_a_message_that_cannot_be_carried_is_not_running(stage):
    worker = Worker(stage)
    worker.request(1)
    stage.hub.send("work", {"n": object()})
    stage.turn()
    assert worker.actor.peer.running == {}
    assert worker.actor.peer.requested == 1
    assert worker.die() == []
    assert books(stage.hub).lost == 1


class LossMachine(RuleBasedStateMachine):
    """Workers that come, run messages and die: each message ends in just one way."""

    def __init__(self):
        super().__init__()
        self.stage = Stage(capacity=5)
        self.workers = []
        self.n = 0
        self.waiting = set()
        self.begun = {}
        self.done, self.lost = set(), set()
        self.client = self.stage.actor()

    def teardown(self):
        while self.workers:
            self.kill(0)
        assert set(self.stage.take_all("work")) == self.waiting
        account = books(self.stage.hub)
        assert account.lost == len(self.lost)
        assert account.delivered == len(self.done) + len(self.waiting)

    def settle(self):
        for worker in self.workers:
            worker.take()

    @rule(count=st.integers(1, 4), in_a_frame=st.booleans())
    def send(self, count, in_a_frame):
        for _ in range(count):
            self.n += 1
            if in_a_frame:
                failed = self.client.send([CHANNEL, "work", {"n": self.n}], number=1, wait=0.0)
                is_taken = failed == [[Word.SENT, 1, []]]
            else:
                is_taken = self.stage.hub.offer("work", {"n": self.n})
            if is_taken:
                self.waiting.add(self.n)
        self.stage.turn()
        self.settle()

    @precondition(lambda self: len(self.workers) < 3)
    @rule(count=st.integers(0, 3))
    def start(self, count):
        self.workers.append(Worker(self.stage))
        self.workers[-1].request(count)
        self.settle()

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 2), at=st.integers(0, 5))
    def begin(self, which, at):
        worker = self.workers[which % len(self.workers)]
        numbers = sorted(worker.got)
        if numbers:
            number = numbers[at % len(numbers)]
            worker.board.begin(number, BEGUN + at)
            self.begun[worker.got[number][1]] = worker
            self.waiting.discard(worker.got[number][1])

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 2), count=st.integers(0, 3), is_told=st.booleans())
    def finish(self, which, count, is_told):
        worker = self.workers[which % len(self.workers)]
        finished = [number for number, (_, n) in worker.got.items() if n in self.begun]
        for number in finished:
            n = worker.got.pop(number)[1]
            worker.board.finish(number)
            del self.begun[n]
            self.done.add(n)
        worker.request(count, finished if is_told else [])
        self.settle()

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 2))
    def kill(self, which):
        worker = self.workers.pop(which % len(self.workers))
        expected = {n for n, runner in self.begun.items() if runner is worker}
        lost = {n for _, n in worker.die()}
        assert lost == expected
        self.lost |= lost
        for n in lost:
            del self.begun[n]
        self.settle()

    @invariant()
    def the_books_balance(self):
        books(self.stage.hub)
        held = [n for worker in self.workers for _, n in worker.got.values()]
        assert len(held) == len(set(held)), "a message is with two workers"
        assert not set(held) & (self.done | self.lost), "a message comes again"


TestLosses = LossMachine.TestCase
TestLosses.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
