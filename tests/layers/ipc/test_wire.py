"""Connections as the system has them: peers that do not read, or are gone in the middle."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.layers.ipc.acting import books
from tests.layers.redis.hubs import run_threads
from tests.servers import wait_until
from txchannels.layers.interfaces import CHANNEL
from txchannels.layers.ipc import server, serving
from txchannels.layers.ipc.frames import VERSION, Decoder, Word, encode
from txchannels.workers.board import Board

GREETING = encode(Word.HELLO, VERSION, 1)


@pytest.fixture
def connect(daemon):
    """Connects a program; returns its socket and the daemon's side of it."""
    socks = []

    def connect():
        before = set(daemon.server.peers)
        sock = socket.socket(socket.AF_UNIX)
        socks.append(sock)
        sock.connect(daemon.path)
        sock.sendall(GREETING)
        assert [one[0] for one in Decoder().feed(sock.recv(1000))] == [Word.WELCOME]
        [peer] = daemon.server.peers - before
        return sock, peer

    yield connect
    for sock in socks:
        sock.close()


def test_what_a_program_said_last_is_heard_though_it_cannot_be_answered(daemon, connect):
    sock, peer = connect()
    sends = [[CHANNEL, "a", {"n": n, "bytes": b"x" * 1000}] for n in range(90)]

    def end():  # in the reactor's thread: it reads nothing meanwhile
        for send in sends:
            sock.sendall(encode(Word.SEND, 0, 5.0, [send]))
        sock.close()
        peer.ping()
        peer.flush()

    daemon.turning.call(end)
    wait_until(lambda: peer not in daemon.server.peers, "the end is seen")
    assert daemon.hub.statistics("a")["messages_pending"] == 90


def test_a_program_that_does_not_read_is_dropped_and_costs_no_more(daemon, connect, monkeypatch):
    monkeypatch.setattr(server, "MAX_UNSENT_BYTES", 2**20)
    slow, slow_peer = connect()
    slow.sendall(encode(Word.SUBSCRIBE, 1, ["a"]) + encode(Word.REQUEST, 1, 10**9, []))
    layer = daemon.program().blocking
    message = {"bytes": b"x" * 2**17}
    sent = 0
    most = 0
    while slow_peer in daemon.server.peers:
        layer.send("a", message)
        sent += 1
        most = max(most, slow_peer._wire.unsent_bytes)
        assert sent < 100
    assert most < 2 * 2**20
    assert layer.group_channels("room") == []
    layer.send("b", {"n": 1})
    assert layer.receive(["b"]) == ("b", {"n": 1})
    layer.link().close()
    assert books(daemon.hub).lost == 0


def test_a_program_that_reads_late_gets_all_in_order(daemon, connect):
    sock, peer = connect()
    sock.sendall(encode(Word.SUBSCRIBE, 1, ["a"]) + encode(Word.REQUEST, 1, 10**9, []))
    wait_until(lambda: peer.requested, "it has asked")
    for n in range(200):
        daemon.hub.send("a", {"n": n, "bytes": b"x" * 20_000})
    wait_until(lambda: peer._wire.unsent_bytes > 10**6, "it waits")
    decoder = Decoder()
    got = []
    while len(got) < 200:
        got += [frame[4]["n"] for frame in decoder.feed(sock.recv(100_000))]
    assert got == list(range(200))
    wait_until(lambda: peer._wire._waiting is None, "all is sent")
    daemon.hub.send("a", {"n": 200})
    [frame] = decoder.feed(sock.recv(1000))
    assert frame[4] == {"n": 200}


def test_a_peer_that_is_told_and_dropped_hears_it(daemon):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(daemon.path)
        sock.sendall(encode(Word.HELLO, 99))
        heard = b""
        while data := sock.recv(1000):
            heard += data
    [[word, number, _, text]] = Decoder().feed(heard)
    assert (word, number) == (Word.ERROR, 0)
    assert "99" in text


def test_half_a_frame_is_nobodys(daemon, connect):
    sock, peer = connect()
    frame = encode(Word.SEND, 0, 5.0, [[CHANNEL, "a", {"n": 1}]])
    sock.sendall(frame + frame[:-1])
    sock.close()
    wait_until(lambda: peer not in daemon.server.peers, "the end is seen")
    assert daemon.hub.statistics("a")["messages_count"] == 1


def test_no_more_programs_than_a_bound_are_served(daemon, connect, monkeypatch):
    connect()
    monkeypatch.setattr(serving, "MAX_PEERS", 1)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(daemon.path)
        assert sock.recv(1000) == b""
    assert len(daemon.server.peers) == 1


def test_stopping_ends_all_connections(daemon, connect):
    sock, _ = connect()
    daemon.close()
    assert sock.recv(1000) == b""
    wait_until(lambda: not daemon.server.peers, "all have ended")
    daemon.open()  # for the fixture to close


def test_stopping_ends_though_the_socket_was_removed(daemon, connect):
    connect()
    Path(daemon.path).unlink()
    daemon.close()
    daemon.open()
    connect()


def test_threads_that_deliver_at_the_same_time_keep_their_order(daemon, connect):
    sock, peer = connect()
    peer.board = Board()
    sock.sendall(encode(Word.SUBSCRIBE, 1, ["a"]) + encode(Word.REQUEST, 1, 10**9, []))
    wait_until(lambda: peer.requested, "it has asked")

    def send(me):
        for n in range(300):
            daemon.hub.send("a", {"me": me, "n": n})

    got = []

    def read():
        decoder = Decoder()
        while len(got) < 6 * 300:
            got.extend(decoder.feed(sock.recv(100_000)))

    run_threads(read, *(lambda me=me: send(me) for me in range(6)))
    numbers = [number for _, _, number, _, _ in got]
    assert sorted(numbers) == sorted(peer.running)
    assert len(set(numbers)) == len(got)
    for me in range(6):
        assert [one["n"] for *_, one in got if one["me"] == me] == list(range(300))
    peer.board.close()
    peer.board = None
