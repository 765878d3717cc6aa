from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.protocols.sockets import Transport
from txchannels.protocols.backpressure import Outlet


class World:
    """An outlet over a fake transport, and how often it was drained."""

    def __init__(self, transport: Any = None) -> None:
        self.clock = Clock()
        self.transport = transport or Transport()
        self.drained = 0
        self.outlet = Outlet(self.transport, self.clock.seconds, self._drained)

    def _drained(self) -> None:
        self.drained += 1

    @property
    def sent(self) -> bytes:
        return bytes(self.transport.sent)


class Encrypted:
    """A transport that encrypts: no socket, and a buffer that pauses its producer."""

    def __init__(self, room: int = 10**9) -> None:
        self.sent = bytearray()
        self.room = room
        self.producer: Any = None
        self.is_streaming = False
        self.is_losing = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer
        self.is_streaming = streaming

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.sent += data
        self.room -= len(data)
        if self.room < 0:
            self.producer.pauseProducing()

    def loseConnection(self) -> None:
        self.is_losing = True

    def take(self, room: int = 10**9) -> None:
        self.room = room
        self.producer.resumeProducing()


@pytest.fixture
def world() -> World:
    return World()


def test_what_the_socket_takes_is_written_at_once(world: World) -> None:
    world.outlet.write(b"abc")
    assert world.sent == b"abc"
    assert not world.outlet.is_blocked
    assert world.transport.producer is None


@pytest.mark.parametrize("room", [0, 2])
def test_what_the_socket_does_not_take_waits(world: World, room: int) -> None:
    world.transport.socket.room = room
    world.outlet.write(b"abc")
    world.outlet.write(b"def")
    assert world.outlet.is_blocked
    assert world.outlet.unsent_bytes == 6 - room
    assert world.drained == 0
    world.transport.take()
    assert world.sent == b"abcdef"
    assert not world.outlet.is_blocked
    assert world.outlet.unsent_bytes == 0
    assert world.drained == 1
    assert world.transport.producer is None


def test_it_knows_since_when_the_client_takes_nothing(world: World) -> None:
    assert world.outlet.stalled_since is None
    world.transport.socket.room = 0
    world.clock.advance(5)
    world.outlet.write(b"a" * 100_000)
    assert world.outlet.stalled_since == 5
    world.clock.advance(5)
    world.transport.take(90_000)
    assert world.outlet.stalled_since == 10
    world.transport.take()
    assert world.outlet.stalled_since is None


def test_a_broken_socket_is_left_to_the_transport(world: World) -> None:
    world.transport.socket.is_broken = True
    world.outlet.write(b"abc")
    assert not world.outlet.is_blocked


def test_close_waits_until_all_is_sent(world: World) -> None:
    world.transport.socket.room = 0
    world.outlet.write(b"abc")
    world.outlet.close()
    world.outlet.write(b"late")
    assert not world.transport.is_losing
    world.transport.take()
    assert world.transport.is_losing
    assert world.sent == b"abc"
    assert world.drained == 0


def test_finish_closes_one_half_when_all_is_sent(world: World) -> None:
    world.transport.socket.room = 0
    world.outlet.write(b"abc")
    world.outlet.finish()
    assert not world.transport.is_half_closed
    world.transport.take()
    assert world.transport.is_half_closed
    assert not world.transport.is_losing
    world.outlet.drop()
    assert world.transport.is_losing


def test_finish_closes_one_half_at_once_when_nothing_waits(world: World) -> None:
    world.outlet.finish()
    assert world.transport.is_half_closed


def test_abort_forgets_what_waits(world: World) -> None:
    world.transport.socket.room = 0
    world.outlet.write(b"abc")
    world.outlet.abort()
    assert world.transport.is_aborted
    assert world.outlet.unsent_bytes == 0
    assert world.outlet.stalled_since is None


def test_a_lost_connection_forgets_what_waits(world: World) -> None:
    world.transport.socket.room = 0
    world.outlet.write(b"abc")
    world.outlet.stopProducing()
    world.outlet.write(b"def")
    assert world.outlet.unsent_bytes == 0


def test_an_encrypting_transport_is_written_through_and_tells_when_it_is_full() -> None:
    world = World(Encrypted(room=10))
    world.outlet.write(b"a" * 20)
    assert world.outlet.is_blocked
    world.outlet.write(b"b" * 200_000)
    assert len(world.sent) == 20
    world.transport.take(room=70_000)
    assert len(world.sent) == 20 + 2 * 65_536
    assert world.outlet.is_blocked
    world.transport.take()
    assert len(world.sent) == 200_020
    assert not world.outlet.is_blocked
    assert world.drained == 1
    world.outlet.write(b"c")
    assert world.sent.endswith(b"bc")


def test_an_encrypting_transport_is_closed_when_all_is_sent() -> None:
    world = World(Encrypted(room=10))
    world.outlet.write(b"a" * 20)
    world.outlet.write(b"b" * 20)
    world.outlet.finish()
    assert not world.transport.is_losing
    world.transport.take()
    assert world.transport.is_losing
    assert world.transport.producer is None


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.binary(max_size=10)),
            st.tuples(st.just("take"), st.integers(0, 12)),
        ),
        max_size=20,
    )
)
def test_all_is_sent_once_and_in_order(steps: list[tuple[str, Any]]) -> None:
    world = World()
    world.transport.socket.room = 5
    written = b""
    for step, value in steps:
        if step == "write":
            world.outlet.write(value)
            written += value
        else:
            world.transport.take(value)
        assert written.startswith(world.sent)
    world.transport.take()
    assert world.sent == written


def test_a_long_write_is_encrypted_as_far_as_the_transport_takes_it() -> None:
    transport = Encrypted(room=100_000)
    world = World(transport)
    data = bytes(range(256)) * 4096
    world.outlet.write(data)
    assert len(transport.sent) == 131_072
    assert world.outlet.unsent_bytes == len(data) - 131_072
    transport.take()
    assert transport.sent == data
    assert world.drained == 1
