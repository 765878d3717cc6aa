"""Clients that hang up where nothing of theirs is read."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.protocols.exchanges import Server, Wire, get
from txchannels.protocols import hangup
from txchannels.protocols.hangup import has_hung_up

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_who_is_there_has_not_hung_up(pair: Pair) -> None:
    ours, theirs = pair
    assert not has_hung_up(ours)
    theirs.send(b"x")
    assert not has_hung_up(ours)
    assert ours.recv(1) == b"x"


@pytest.mark.skipif(not hangup._CLOSED, reason="the system does not tell")
def test_a_close_is_seen_behind_bytes_that_wait(pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    theirs.close()
    assert has_hung_up(ours)
    assert ours.recv(1) == b"x"


def test_elsewhere_a_close_is_seen_when_nothing_waits(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hangup, "_CLOSED", 0)
    ours, theirs = pair
    assert not has_hung_up(ours)
    theirs.send(b"x")
    theirs.close()
    assert not has_hung_up(ours)
    ours.recv(1)
    assert has_hung_up(ours)
    ours.close()
    assert has_hung_up(ours)


def test_a_client_with_a_request_in_wait_that_hangs_up_is_noticed() -> None:
    server = Server()
    wire = Wire(server, get("/1") + get("/2"))
    server.advance(1)
    assert not wire.is_aborted
    wire.transport.socket.is_hung_up = True
    server.advance(1)
    assert wire.is_aborted
    wire.lose()
    server.assert_nothing_left()


def test_a_client_held_up_by_a_view_that_hangs_up_is_noticed() -> None:
    server = Server(inline_body_bytes=10)
    wire = Wire(server, get("/", "Content-Length: 9000000", method="POST"))
    while not wire.transport.is_paused:
        wire.feed(b"a" * 65_536)
    wire.transport.socket.is_hung_up = True
    server.advance(1)
    assert wire.is_aborted


def test_a_client_that_is_read_is_not_looked_at() -> None:
    server = Server()
    wire = Wire(server, get())
    wire.transport.socket.is_hung_up = True
    server.advance(1)
    assert not wire.is_aborted
