"""The face for another program's reactor: what it reads is read again when the daemon is back.

The test's thread is the reactor's.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

import pytest
from twisted.internet.task import Clock

from tests.layers.ipc.acting import books
from tests.servers import wait_until
from txchannels.errors import ChannelFull, LayerUnavailable
from txchannels.layers.ipc import blocking, link
from txchannels.layers.ipc import reactor as reactor_module
from txchannels.layers.ipc.reactor import RETRY_SECONDS


class Program:
    """A program with a reactor, which the test turns."""

    def __init__(self, daemon, *, has_clock=True):
        self.calls = SimpleQueue()
        self.clock = Clock()
        self.layer = daemon.program()
        self.face = self.layer.reactor(self.calls.put, self.clock if has_clock else None)
        self.gaps = []
        self.face.when_gap(lambda *times: self.gaps.append(times))

    def turn(self, seconds=0.0):
        self.clock.advance(seconds)
        while True:
            try:
                self.calls.get_nowait()()
            except Empty:
                return

    def turn_until(self, is_so, what):
        def turned():
            self.turn()
            return is_so()

        wait_until(turned, what)

    def read(self, *channels):
        got = []
        return self.face.subscribe(channels, lambda *taken: got.append(taken)), got

    def lose_daemon(self):
        self.turn_until(lambda: self.face.open_link is None, "the end is seen")

    def find_daemon(self):
        self.turn(RETRY_SECONDS)
        assert self.face.open_link is not None

    def stop(self):
        self.face.stop()
        if self.layer.blocking._link is not None:
            self.layer.blocking._link.close()
        wait_until(
            lambda: all(thread.name != "txchannels-link" for thread in threading.enumerate()),
            "the reading thread has ended",
        )
        self.turn(100.0)
        assert not self.clock.getDelayedCalls()


@pytest.fixture
def program(daemon):
    program = Program(daemon)
    program.face.start()
    yield program
    program.stop()


def requested(daemon):
    """What is asked for at the daemon."""
    return [peer.requested for peer in daemon.server.peers]


def test_a_subscription_goes_on_with_the_demand_it_had(daemon, program):
    subscription, got = program.read("a")
    other, _ = program.read("b")
    idle, _ = program.read("c")
    subscription.request(5)
    daemon.hub.send("a", {"n": 1})
    wait_until(lambda: got, "it came")
    daemon.close()
    program.lose_daemon()
    subscription.request(2)
    other.request(1)
    daemon.open()
    program.find_daemon()
    wait_until(lambda: requested(daemon) == [7], "all is asked for again")
    for n in range(8):
        daemon.hub.send("a", {"n": n + 2})
    wait_until(lambda: len(got) == 7, "they came")
    assert [message["n"] for _, message in got] == list(range(1, 8))
    assert subscription.cancel() == 0
    assert other.cancel() == 1
    assert idle.cancel() == 0
    assert requested(daemon) == [0]
    assert daemon.hub.statistics("a")["messages_pending"] == 2
    books(daemon.hub)


def test_a_gap_is_told_with_its_times(daemon, program):
    before = reactor_module._wall_clock()
    daemon.close()
    program.lose_daemon()
    program.turn(RETRY_SECONDS * 3)
    assert program.gaps == []
    daemon.open()
    program.find_daemon()
    [(since, until)] = program.gaps
    assert before <= since <= until <= reactor_module._wall_clock()
    program.turn(RETRY_SECONDS * 3)
    assert len(program.gaps) == 1


def test_the_first_connection_is_no_gap(daemon):
    daemon.close()
    program = Program(daemon)
    program.face.start()
    _, got = program.read("a")
    assert len(program.clock.getDelayedCalls()) == 1
    daemon.open()
    program.find_daemon()
    assert program.gaps == []
    assert got == []
    program.stop()


def test_an_inbox_is_opened_again_with_its_channels(daemon, program):
    got = []
    inbox = program.face.open_inbox("mine!", got.extend)
    kept, closed, paused = inbox.open("kept"), inbox.open("closed"), inbox.open("paused")
    inbox.pause(paused)
    inbox.close(closed)
    daemon.close()
    program.lose_daemon()
    late = inbox.open("late")  # while nobody is there
    daemon.open()
    program.find_daemon()
    layer = program.layer.blocking
    assert layer.send(kept, {"n": 1})
    assert layer.send(late, {"n": 2})
    assert not layer.send(closed, {"n": 3})
    with pytest.raises(ChannelFull):
        layer.send(paused, {"n": 4})
    inbox.resume(paused)
    assert layer.send(paused, {"n": 5})
    program.turn_until(lambda: len(got) == 3, "all has come")
    assert got == [(kept, {"n": 1}), (late, {"n": 2}), (paused, {"n": 5})]


def test_a_prefix_that_the_daemon_has_not_let_go_of_is_tried_again(daemon, program):
    other = Program(daemon)
    other.face.start()
    other.face.open_inbox("mine!", print)
    with pytest.raises(ValueError, match="owner"):
        program.face.open_inbox("mine!", print)
    daemon.close()
    program.lose_daemon()
    inbox = program.face.open_inbox("mine!", print)
    subscription, _ = program.read("a")
    subscription.request(1)
    other.lose_daemon()
    daemon.open()
    other.find_daemon()
    program.turn(RETRY_SECONDS)
    assert program.face.open_link is None
    assert len(program.clock.getDelayedCalls()) == 1
    other.face.stop()
    wait_until(lambda: not daemon.hub._inboxes, "the other is gone")
    program.find_daemon()
    assert inbox.open("a") == "mine!a"
    assert program.layer.blocking.send("mine!a", {})
    assert requested(daemon) == [1]


def test_a_thread_that_finds_the_daemon_first_does_not_double_what_is_read(daemon, program):
    subscription, _ = program.read("a")
    subscription.request(3)
    daemon.close()
    wait_until(lambda: not program.face.open_link.is_open, "the connection has ended")
    daemon.open()
    program.layer.blocking.flush()  # a worker's thread: over a new connection
    second, _ = program.read("b")  # the reactor has not heard yet
    second.request(1)
    program.turn()
    program.turn_until(lambda: requested(daemon) == [4], "both are asked for")
    program.turn(RETRY_SECONDS * 2)
    assert requested(daemon) == [4]
    [peer] = daemon.server.peers
    assert len(peer._subscriptions) == 2
    assert subscription.cancel() == 3
    assert second.cancel() == 1


def test_a_connection_that_breaks_while_all_is_read_again_is_made_anew(daemon, program):
    subscriptions = [program.read(name)[0] for name in "abc"]
    for subscription in subscriptions:
        subscription.request(2)
    daemon.close()
    program.lose_daemon()
    daemon.open()
    failing = program.face._kept[1]
    connect = failing.connect

    def fail(link):
        failing.connect = connect
        connect(link)
        raise LayerUnavailable("broken off")

    failing.connect = fail
    program.turn(RETRY_SECONDS)
    assert program.face.open_link is None
    program.find_daemon()
    wait_until(lambda: requested(daemon) == [6], "all is asked for, once")
    assert [subscription.cancel() for subscription in subscriptions] == [2, 2, 2]


def test_a_link_that_ended_before_anybody_watched_is_seen_to_have(daemon, program):
    daemon.close()
    program.lose_daemon()
    daemon.open()
    dead = program.layer.blocking.link()
    dead.close()
    wait_until(lambda: not dead.is_open, "it has ended")
    program.layer.blocking._open = lambda: dead
    program.turn(RETRY_SECONDS)
    assert program.face.open_link is None
    del program.layer.blocking._open
    program.find_daemon()


def test_a_message_comes_to_a_deferred(daemon, program):
    got = []
    program.face.receive_twisted(["a", "b"]).addCallback(got.append)
    daemon.hub.send("b", {"n": 1})
    program.turn_until(lambda: got, "it has come")
    assert got == [("b", {"n": 1})]
    assert not program.clock.getDelayedCalls()
    assert program.face._kept == []
    assert not daemon.hub.is_wanted("b")


def test_a_deferred_is_told_that_nothing_came(daemon, program):
    got = []
    program.face.receive_twisted(["a"]).addCallback(got.append)
    program.turn(5.0)
    assert got == [(None, None)]


@pytest.mark.parametrize("has_heard", [False, True])
def test_a_deferred_is_told_so_though_the_daemon_is_gone(daemon, program, has_heard):
    got = []
    program.face.receive_twisted(["a"]).addCallback(got.append)
    daemon.close()
    if has_heard:
        program.lose_daemon()
    else:
        wait_until(lambda: not program.face.open_link.is_open, "the connection has ended")
    program.clock.advance(5.0)
    assert got == [(None, None)]
    daemon.open()


def test_a_deferred_outlives_a_restart_of_the_daemon(daemon, program):
    got = []
    program.face.receive_twisted(["a"]).addCallback(got.append)
    daemon.close()
    program.lose_daemon()
    daemon.open()
    program.find_daemon()
    daemon.hub.send("a", {"n": 1})
    program.turn_until(lambda: got, "it has come")
    assert got == [("a", {"n": 1})]


def test_a_cancelled_deferred_loses_nothing(daemon, program):
    for n in range(30):
        got = []
        received = program.face.receive_twisted(["a"])
        received.addCallbacks(got.append, lambda failure: None)
        daemon.hub.send("a", {"n": n})
        received.cancel()
        program.turn()
        if not got:
            got.append(program.layer.blocking.receive(["a"]))
        assert got == [("a", {"n": n})]


def test_stopping_while_the_daemon_is_away_leaves_no_delayed_calls(daemon):
    program = Program(daemon)
    program.face.start()
    program.read("a")
    daemon.close()
    program.lose_daemon()
    program.read("b")
    program.face.open_inbox("mine!", print)
    program.turn(RETRY_SECONDS)
    program.read("c")
    assert len(program.clock.getDelayedCalls()) == 1
    program.stop()
    daemon.open()
    program.turn(RETRY_SECONDS)
    assert not daemon.server.peers


def test_without_a_clock_a_missing_daemon_is_an_error(daemon):
    daemon.close()
    program = Program(daemon, has_clock=False)
    with pytest.raises(LayerUnavailable):
        program.face.start()
    with pytest.raises(RuntimeError):
        program.face.receive_twisted(["a"])
    daemon.open()


def test_what_finds_no_room_is_booked(daemon, program):
    for _ in range(100):
        program.face.send("a", {})
    assert not program.face.offer("a", {})
    with pytest.raises(ChannelFull):
        program.face.send("a", {})
    assert books(daemon.hub).dropped["full"] == 1


def test_whoever_waits_for_room_is_called_in_the_reactor(daemon, program):
    while program.face.offer("a", {}):
        pass
    told = []
    program.face.when_room("a", lambda: told.append(threading.current_thread()))
    daemon.hub.drop_channel("a")
    program.turn_until(lambda: told, "there is room")
    assert told == [threading.current_thread()]
    with pytest.raises(TypeError):
        program.face.when_room("no name", print)


def test_a_hung_daemon_does_not_hold_up_a_cancellation_without_end(daemon, program, monkeypatch):
    for module in (blocking, link):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    subscription, _ = program.read("a")
    subscription.request(3)
    is_over = threading.Event()
    daemon.turning.reactor.callFromThread(is_over.wait, 20.0)
    assert subscription.cancel() == 3
    is_over.set()
    wait_until(lambda: not daemon.hub.is_wanted("a"), "it has heard")
