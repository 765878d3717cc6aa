"""A program's connection: used by many threads, with a daemon that is gone, hung or slow."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest

from tests.layers.ipc.hosting import Daemon
from tests.layers.ipc.programs import DaemonProcess
from tests.layers.redis.hubs import run_threads
from tests.servers import wait_until
from txchannels.errors import (
    ChannelClosed,
    ChannelFull,
    LayerUnavailable,
    MessageTooLarge,
    Unanswered,
)
from txchannels.layers.ipc import IPCLayer, blocking, lines, link, sockets
from txchannels.layers.ipc.answers import Answers
from txchannels.layers.ipc.frames import VERSION, Decoder, Word, encode
from txchannels.layers.ipc.link import Link


@pytest.fixture
def quick(monkeypatch):
    """What is waited for at most, of a daemon that does not answer."""
    for module in (blocking, link, sockets):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)


@pytest.fixture
def program(daemon):
    layer = daemon.program()
    yield layer.blocking
    if layer.blocking._link is not None:
        layer.blocking._link.close()


def took(call):
    """How many seconds a call takes until it finds the daemon unavailable, and what it says."""
    start = time.monotonic()
    with pytest.raises(LayerUnavailable) as caught:
        call()
    return time.monotonic() - start, str(caught.value)


# Threads


def test_many_threads_get_their_own_answers(daemon, program):
    def work(me):
        for n in range(60):
            channel = f"own.{me}"
            program.send(channel, {"me": me, "n": n})
            program.group_add(f"group.{me}", f"member.{me}.{n}")
            assert program.receive([channel]) == (channel, {"me": me, "n": n})
            assert len(program.group_channels(f"group.{me}")) == n + 1
            assert program.receive([f"nobody.{me}"], block=True, timeout=0.0) == (None, None)
            with pytest.raises(TypeError, match=f"bad name {me}"):
                program.link().call("new_channel", f"bad name {me}?")

    run_threads(*(lambda me=me: work(me) for me in range(12)))
    assert len(daemon.server.peers) == 1


def test_threads_that_begin_together_share_a_connection(daemon, program):
    run_threads(*([program.global_statistics] * 12))
    assert len(daemon.server.peers) == 1


def test_a_thread_that_waits_does_not_hold_up_the_others(daemon, program):
    got = []
    waiting = threading.Thread(target=lambda: got.append(program.receive(["a"], True, 20.0)))
    waiting.start()
    wait_until(lambda: daemon.hub.is_wanted("a"), "the thread waits")
    program.send("a", {"n": 1})
    waiting.join(10.0)
    assert got == [("a", {"n": 1})]


# A daemon that is gone


def test_without_a_daemon_it_is_said_what_to_do(tmp_path):
    layer = IPCLayer(path=str(tmp_path / "hub.sock")).blocking
    seconds, text = took(layer.global_statistics)
    assert seconds < 1.0
    assert str(tmp_path / "hub.sock") in text
    assert "no daemon serves there" in text
    assert "twistd channels" in text
    with pytest.raises(LayerUnavailable):
        layer.send("a", {})
    [(_, error)] = layer.send_many([("channel", "a", {})])
    assert isinstance(error, LayerUnavailable)


def test_a_daemon_that_was_killed_is_gone_at_once_and_then_back():
    with DaemonProcess() as daemon:
        layer = IPCLayer(path=daemon.path).blocking
        layer.send("a", {"n": 1})
        got = []
        waiting = threading.Thread(
            target=lambda: got.append(took(lambda: layer.receive(["b"], True, 60.0)))
        )
        waiting.start()
        wait_until(lambda: layer.link()._answers, "the thread waits")
        daemon.kill()
        waiting.join(10.0)
        [(seconds, text)] = got
        assert seconds < 10.0
        assert "is gone, and has not answered" in text
        seconds, text = took(lambda: layer.send("a", {}))
        assert seconds < 1.0
        assert "is gone" in text
        daemon.start()
        layer.send("a", {"n": 2})
        assert layer.receive(["a"]) == ("a", {"n": 2})
        layer.link().close()


def test_what_was_asked_and_is_not_answered_may_have_been_done():
    answers = Answers("the daemon")
    one, other = answers.expect(1), answers.expect(2)
    with pytest.raises(Unanswered, match="has not answered within"):
        answers.take(one, 0.001)
    answers.forget(1)
    assert len(answers) == 1
    answers.end()
    with pytest.raises(Unanswered, match="the daemon is gone, and has not answered"):
        answers.take(other, 0.0)
    assert len(answers) == 0


def test_a_connection_that_is_refused_leaves_no_socket_open(tmp_path):
    path = str(tmp_path / "hub.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def refuse():
            for _ in range(3):
                listener.accept()[0].close()

        refusing = threading.Thread(target=refuse)
        refusing.start()
        for _ in range(3):
            with pytest.raises(LayerUnavailable):
                IPCLayer(path=path).blocking.flush()
        refusing.join()
    # A socket that was left open would fail the test with a ResourceWarning.


def test_another_version_says_what_to_do(tmp_path):
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(encode(Word.ERROR, 0, "unavailable", "install the same release"))
        with pytest.raises(LayerUnavailable, match="same release"):
            Link(ours).start()
        assert [*Decoder().feed(theirs.recv(1000))] == [[Word.HELLO, VERSION, os.getpid()]]


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", encode(99), encode(8)])
def test_what_is_no_daemon_is_unavailable(said):
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(said)
        with pytest.raises(LayerUnavailable, match="closed the connection"):
            Link(ours).start()


def test_a_second_greeting_or_error_does_no_harm():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(encode(Word.WELCOME, VERSION, {"a": 1}) * 2)
        theirs.sendall(encode(Word.ERROR, 0, "unavailable", "twice") * 2)
        subject = Link(ours)
        subject.start()
        theirs.sendall(encode(Word.PING))
        decoder = Decoder()
        heard = []
        while [Word.PONG] not in heard:
            heard += decoder.feed(theirs.recv(1000))
        subject.close()


def test_it_may_be_closed_by_what_it_calls():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(encode(Word.WELCOME, VERSION, {"a": 1}))
        subject = Link(ours)
        ended = threading.Event()
        subject.told = lambda *_: subject.close()
        subject.ended = ended.set
        subject.start()
        theirs.sendall(encode(Word.TELL, "go", None))
        assert ended.wait(10.0)
        assert not subject.is_open
        subject.close()
        with pytest.raises(LayerUnavailable):
            subject.tell("a")
        with pytest.raises(LayerUnavailable):
            subject.subscribe(["a"], print)
        assert subject._subscriptions == {}


def test_who_waits_for_room_is_called_at_the_end():
    ours, theirs = socket.socketpair()
    theirs.sendall(encode(Word.WELCOME, VERSION, {"a": 1}))
    subject = Link(ours)
    subject.start()
    called = threading.Event()
    subject.when_room("a", called.set)
    theirs.close()
    assert called.wait(10.0)
    called.clear()
    wait_until(lambda: not subject.is_open, "it has ended")
    subject.when_room("a", called.set)
    assert called.is_set()


# A daemon that is hung, or slow


def test_a_hung_daemon_is_not_waited_for_without_end(quick):
    with DaemonProcess() as daemon:
        layer = IPCLayer(path=daemon.path).blocking
        layer.group_add("room", "a")
        daemon.pause()
        seconds, text = took(lambda: layer.group_channels("room"))
        assert 0.4 < seconds < 5.0
        assert daemon.path in text
        assert "not answered" in text
        seconds, _ = took(lambda: layer.receive(["a"], True, 0.1))
        assert 0.5 < seconds < 5.0
        daemon.go_on()
        for _ in range(20):  # late answers are nobody's
            assert layer.group_channels("room") == ["a"]
            assert layer.group_channels("hall") == []
        layer.link().close()


def test_many_threads_wait_for_a_hung_daemon_together(quick):
    with DaemonProcess() as daemon:
        daemon.pause()
        layer = IPCLayer(path=daemon.path).blocking
        start = time.monotonic()
        run_threads(*([lambda: took(layer.flush)] * 12))
        assert time.monotonic() - start < 12 * 0.5
        daemon.go_on()
        layer.flush()
        layer.link().close()


def test_a_hung_daemon_does_not_hold_up_who_sends_without_waiting(quick):
    with DaemonProcess() as daemon:
        layer = IPCLayer(path=daemon.path).blocking
        layer.flush()
        daemon.pause()
        message = {"bytes": b"x" * 100_000}
        start = time.monotonic()
        failed = []

        def send(me):
            while not failed:
                failed.extend(layer.send_many([("group", f"room.{me}", message)]))

        run_threads(*(lambda me=me: send(me) for me in range(4)))
        assert time.monotonic() - start < 10.0
        assert all(isinstance(error, LayerUnavailable) for _, error in failed)
        daemon.go_on()
        layer.flush()  # over a new connection: the old one has broken off in a frame
        layer.link().close()


def test_a_daemon_that_is_about_to_serve_is_waited_for(turning):
    daemon = Daemon(turning)
    daemon.claim()  # it loads its site now, perhaps
    timer = threading.Timer(0.3, daemon.listen)
    timer.start()
    layer = daemon.program().blocking
    assert layer.group_channels("room") == []
    timer.join()
    layer.link().close()
    daemon.__exit__()


# Sending without waiting


def stream(program, channel, count, size=10):
    for n in range(count):
        sends = [("channel", channel, {"n": n, "bytes": b"x" * size})]
        assert program.send_many(sends, wait=20.0) == []


@pytest.mark.parametrize("size", [10, 20_000])
def test_a_stream_to_a_reader_that_pauses_is_whole_and_bounded(daemon, program, size):
    got = []
    prefix = "mine!"
    inbox = daemon.turning.call(daemon.face.open_inbox, prefix, got.extend)
    channel = daemon.turning.call(inbox.open, "a")
    daemon.turning.call(inbox.pause, channel)
    sending = threading.Thread(target=stream, args=[program, channel, 300, size])
    sending.start()

    def waiting():
        return [len(peer._lines) for peer in daemon.server.peers]

    wait_until(lambda: sum(waiting()) > 0, "something waits")
    most = 0
    for _ in range(3):
        most = max(most, *waiting())
        daemon.turning.call(inbox.resume, channel)
        daemon.turning.call(inbox.pause, channel)
        most = max(most, *waiting())
    daemon.turning.call(inbox.resume, channel)
    sending.join(30.0)
    wait_until(lambda: len(got) == 300, "all has come")
    assert [message["n"] for _, message in got] == list(range(300))
    assert most <= min(blocking.MAX_UNAWAITED, blocking.MAX_UNAWAITED_BYTES // size + 1) + 1
    assert most < lines.MAX_LINE


def test_what_is_sent_to_the_dead_is_refused_from_then_on(daemon, program):
    inbox = daemon.turning.call(daemon.face.open_inbox, "mine!", lambda batch: None)
    channel = daemon.turning.call(inbox.open, "a")
    assert program.send_many([("channel", channel, {})]) == []
    daemon.turning.call(inbox.close, channel)
    assert program.send_many([("channel", channel, {})]) == []
    wait_until(lambda: channel in program._closed, "the refusal has come")
    [(_, error)] = program.send_many([("channel", channel, {})])
    assert isinstance(error, ChannelClosed)


def test_what_is_lost_without_anybody_waiting_is_said(daemon, program, caplog, monkeypatch):
    monkeypatch.setattr(blocking, "PATIENCE_SECONDS", 0.05)
    for _ in range(3):
        sends = [("channel", "mine!a", {})] * 101
        program.send_many(sends)
    wait_until(lambda: program._lost >= 100, "it was told")
    assert sum("mine!a is lost" in one.getMessage() for one in caplog.records) == 1


def test_only_what_is_too_large_of_a_batch_fails(daemon, program):
    large = {"list": list(range(2**62, 2**62 + 400_000))}  # few items, but long as msgpack
    sends = [("channel", "a", {"n": n}) for n in range(5)]
    sends.insert(2, ("channel", "a", large))
    failed = program.send_many(sends)
    assert [(send, type(error)) for send, error in failed] == [(sends[2], MessageTooLarge)]
    assert [program.receive(["a"])[1]["n"] for _ in range(5)] == list(range(5))
    with pytest.raises(MessageTooLarge):
        program.send("a", large)
    [(_, error)] = program.send_many([("channel", "mine!a", large)])
    assert isinstance(error, MessageTooLarge)


def test_a_batch_of_many_large_messages_goes_in_several_frames(daemon, program):
    body = b"x" * 700_000
    sends = [("channel", "a", {"n": n, "bytes": body}) for n in range(7)]
    assert program.send_many(sends) == []
    assert [program.receive(["a"])[1]["n"] for _ in range(7)] == list(range(7))


def test_when_the_daemon_dies_between_two_frames_only_the_rest_has_failed(program, monkeypatch):
    sends = [("channel", "a", {"n": n, "bytes": b"x" * 700_000}) for n in range(4)]
    open_link = program.link()
    ask, asked = open_link._ask, []

    def ask_once(*arguments):
        asked.append(arguments)
        if len(asked) > 1:
            raise LayerUnavailable("gone")
        return ask(*arguments)

    monkeypatch.setattr(open_link, "_ask", ask_once)
    failed = program.send_many(sends)
    assert [send for send, _ in failed] == sends[1:]


def test_full_is_full(daemon, program):
    for _ in range(100):
        program.send("a", {})
    with pytest.raises(ChannelFull):
        program.send("a", {})
    start = time.monotonic()
    with pytest.raises(ChannelFull):
        program.send("a", {}, wait=0.2)
    assert time.monotonic() - start >= 0.2
    assert program.receive(["a"]) == ("a", {})


def test_signals_do_not_end_a_wait(daemon, program):
    """A program may have handlers that return."""
    former = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1])
        timer.start()
        assert program.receive(["a"], True, 0.3) == (None, None)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, former)


# Subscriptions


def test_what_is_finished_is_said_though_nothing_more_is_asked_for(daemon, program):
    requests = []
    open_link = program.link()
    subscription = open_link.subscribe(["a"], lambda *_: None)
    open_link.request = lambda frame: requests.append(*[one[2:] for one in Decoder().feed(frame)])
    subscription.finish(1)
    assert requests == []
    subscription.request(2)
    subscription.finish(2)
    subscription.cancel()
    subscription.finish(3)
    assert requests == [[2, [1]], [0, [2]], [0, [3]]]


def test_what_was_not_asked_for_yet_counts_as_not_delivered(daemon, program):
    got = []
    subscription = program.link().subscribe(["a"], lambda *taken: got.append(taken), slack=10)
    subscription.request(3)
    daemon.hub.offer("a", {})
    assert got == []
    subscription.flush()
    wait_until(lambda: got, "it was asked for")
    subscription.request(4)
    assert subscription.cancel() == 2 + 4
    assert subscription.cancel() == 0


def test_nothing_is_delivered_after_a_cancellation(daemon, program):
    got = []
    for _ in range(20):
        got.clear()
        subscription = program.link().subscribe(["a"], lambda *taken: got.append(taken))
        subscription.request(50)
        sending = threading.Thread(target=offer, args=[daemon.hub, 50])
        sending.start()
        left = subscription.cancel()
        count = len(got)
        sending.join()
        program.flush()
        assert len(got) == count == 50 - left


def offer(hub, count):
    for n in range(count):
        hub.offer("a", {"n": n})
