"""Sockets at a stop: closed with 1012 in random order, evenly, and served until then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.sockets import Client, World, mask_frame
from txchannels.lifecycle import Stop
from txchannels.listening import ServerService
from txchannels.protocols.draining import BURST, SOCKETS_PER_SECOND, SocketDrain


class Stub:
    """A socket that writes down when it is closed."""

    def __init__(self, name: int, closed: list[int]) -> None:
        self.name = name
        self.closed = closed
        self.is_open = True

    def stop(self) -> None:
        assert self.is_open
        self.is_open = False
        self.closed.append(self.name)


def make(count: int, seconds: float) -> tuple[SocketDrain, list[Stub], list[int]]:
    closed: list[int] = []
    sockets = [Stub(name, closed) for name in range(count)]
    return SocketDrain(sockets, 7.0, seconds), sockets, closed


@pytest.mark.parametrize("count", [0, 1, 10, BURST])
def test_few_are_closed_at_once(count: int) -> None:
    drain, _, closed = make(count, 15)
    assert drain.close_due(7.0)
    assert sorted(closed) == list(range(count))


@pytest.mark.parametrize("count", [BURST + 1, 10_000])
def test_all_are_closed_at_once_where_there_is_no_time(count: int) -> None:
    drain, _, closed = make(count, 0)
    assert drain.close_due(7.0)
    assert len(closed) == count


def seconds_taken(count: int, seconds: float) -> float:
    drain, _, _ = make(count, seconds)
    ticks = 0
    while not drain.close_due(7.0 + ticks * 0.05):
        ticks += 1
    return ticks * 0.05


def test_it_takes_no_longer_than_its_rate_or_its_time_asks_for() -> None:
    assert seconds_taken(1_000, 15) == pytest.approx(900 / SOCKETS_PER_SECOND, abs=0.1)
    assert seconds_taken(5_000, 15) == pytest.approx(4_900 / SOCKETS_PER_SECOND, abs=0.1)
    assert seconds_taken(20_000, 15) == pytest.approx(15, abs=0.1)
    assert seconds_taken(1_000, 0.5) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("parts", [10, 100, 750])
def test_after_the_first_few_they_are_closed_evenly(parts: int) -> None:
    drain, _, closed = make(10_000, 15)
    assert not drain.close_due(7.0)
    assert len(closed) == BURST
    for part in range(1, parts):
        drain.close_due(7.0 + 15 * part / parts)
        assert len(closed) == pytest.approx(BURST + (10_000 - BURST) * part / parts, abs=1.1)


def test_what_a_busy_reactor_missed_is_made_up_for() -> None:
    drain, _, closed = make(10_000, 15)
    drain.close_due(7.0)
    drain.close_due(14.5)
    assert len(closed) == pytest.approx(BURST + (10_000 - BURST) / 2, abs=1.1)


def test_the_order_is_random() -> None:
    orders = set()
    for _ in range(3):
        drain, _, closed = make(300, 15)
        drain.close_due(1e9)
        assert sorted(closed) == list(range(300))
        orders.add(tuple(closed))
    assert len(orders) == 3
    assert tuple(range(300)) not in orders


def test_those_that_leave_meanwhile_take_nobody_s_turn() -> None:
    drain, sockets, closed = make(10_000, 19.8)  # 500 a second
    drain.close_due(7.0)
    for socket in sockets[::2]:
        socket.is_open = False
    assert not drain.close_due(8.0)
    assert len(closed) == BURST + 500
    drain.close_due(17.1)
    assert drain.close_due(17.2)
    assert len(closed) < 5_100


@given(st.integers(0, 2_000), st.floats(0, 100), st.lists(st.floats(0, 10), max_size=20))
def test_each_is_closed_once_and_all_in_time(
    count: int, seconds: float, steps: list[float]
) -> None:
    drain, _, closed = make(count, seconds)
    now = 7.0
    for step in steps:
        now += step
        drain.close_due(now)
    drain.close_due(7.0 + seconds + 0.01 + 1 / SOCKETS_PER_SECOND)
    assert sorted(closed) == list(range(count))


# The site


def is_told(client: Client) -> bool:
    return client.close_code == 1012


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("txchannels.protocols.draining.BURST", 3)
    monkeypatch.setattr("txchannels.protocols.draining.SOCKETS_PER_SECOND", 1.0)
    return World()


def test_a_stop_closes_sockets_in_their_time(world: World) -> None:
    clients = [world.open() for _ in range(6)]
    world.site.stop(60)
    told = [sum(map(is_told, clients))]
    while not world.site.close_sockets():
        world.clock.advance(1)
        told.append(sum(map(is_told, clients)))
    assert told == [3, 3, 4, 5]
    assert sum(map(is_told, clients)) == 6
    for client in clients:
        client.close(1012)
        client.lose(clean=True)
    assert [message["code"] for message in world.of("websocket.disconnect")] == [1012] * 6
    world.assert_nothing_left()


def test_a_socket_is_served_until_its_turn_comes(world: World) -> None:
    clients = [world.open() for _ in range(5)]
    world.site.stop(60)
    waiting = next(client for client in clients if not is_told(client))
    waiting.text("one", "two")
    waiting.reply({"text": "answer", "consumed": 1})
    assert world.received == ["one", "two"]
    waiting.feed(mask_frame(9, b"ping"))
    assert waiting.frames == [(0x81, b"answer"), (0x8A, b"ping")]
    world.clock.advance(10)
    assert world.site.close_sockets()
    assert is_told(waiting)
    waiting.reply({"consumed": 2})
    waiting.lose()
    assert len(world.of("websocket.disconnect")) == 1


def test_a_socket_that_leaves_before_its_turn_is_not_told(world: World) -> None:
    clients = [world.open() for _ in range(5)]
    world.site.stop(60)
    left, kept = [client for client in clients if not is_told(client)]
    left.close(1001)
    left.lose(clean=True)
    world.clock.advance(1)
    world.site.close_sockets()
    assert is_told(kept)
    assert left.close_code == 1001
    assert [message["code"] for message in world.of("websocket.disconnect")] == [1001]


def test_handshakes_and_idle_connections_do_not_wait(world: World) -> None:
    for _ in range(5):
        world.open()
    asking, idle = world.client(), Client(world)
    world.site.stop(60)
    assert asking.status == 503
    assert idle.transport.is_half_closed
    assert not world.site.close_sockets()


def test_nobody_opens_a_socket_while_others_wait_for_their_end(world: World) -> None:
    for _ in range(5):
        world.open()
    late = Client(world)
    late.feed(b"GET")
    world.site.stop(60)
    late.transport.sent.clear()
    late.feed(
        b" / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert late.status == 503
    assert world.of("websocket.connect") == []


def test_a_second_stop_closes_those_that_are_left(world: World) -> None:
    clients = [world.open() for _ in range(50)]
    world.site.stop(60)
    assert sum(map(is_told, clients)) == 3
    world.site.stop()
    assert all(map(is_told, clients))
    assert [len(client.frames) for client in clients] == [1] * 50
    assert world.site.close_sockets()


def test_an_abort_drops_those_that_wait(world: World) -> None:
    clients = [world.open() for _ in range(5)]
    world.site.stop(60)
    world.site.abort()
    assert all(client.transport.is_aborted for client in clients)
    for client in clients:
        client.lose()
    world.clock.advance(60)
    assert world.site.close_sockets()
    world.assert_nothing_left()


def test_before_a_stop_there_is_nobody_to_close(world: World) -> None:
    client = world.open()
    assert world.site.close_sockets()
    assert client.frames == []


# The whole stop


class Stopping:
    """A site of *count* open sockets whose daemon is stopped by a signal."""

    def __init__(self, count: int, seconds: float) -> None:
        self.world = World()
        self.clock = self.world.clock
        self.clock.stop = lambda: None  # type: ignore[attr-defined]
        self.clients = [self.world.open() for _ in range(count)]
        self.stop = Stop(self.clock, seconds)
        service = ServerService(self.clock, (), self.world.site, self.stop)
        service.startService()
        self.done: list[object] = []
        self.stop.asked("SIGTERM")
        service.stopService().addBoth(self.done.append)

    @property
    def told(self) -> int:
        """How many clients have been told to come back."""
        return sum(map(is_told, self.clients))

    def answer(self) -> None:
        """Each client that was told answers, and is gone."""
        for client in [client for client in self.clients if is_told(client)]:
            client.close(1012)
            client.lose(clean=True)
            self.clients.remove(client)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.clock.advance(0.02)
            self.answer()


def test_a_stop_with_few_sockets_ends_at_once() -> None:
    stopping = Stopping(10, 30)
    assert stopping.told == 10
    stopping.answer()
    stopping.run(0.02)
    assert stopping.done == [None]


def test_a_stop_with_many_takes_as_long_as_their_rate_asks_for() -> None:
    stopping = Stopping(600, 30)
    assert stopping.told == 100
    stopping.run(0.5)
    assert len(stopping.clients) == pytest.approx(250, abs=11)
    assert stopping.done == []
    stopping.run(0.6)
    assert stopping.clients == []
    assert stopping.done == [None]
    assert len(stopping.world.of("websocket.disconnect")) == 600
    stopping.world.assert_nothing_left()


def test_a_stop_with_little_time_takes_half_of_it() -> None:
    stopping = Stopping(600, 1)
    stopping.run(0.24)
    assert len(stopping.clients) == pytest.approx(260, abs=21)
    stopping.run(0.3)
    assert stopping.clients == []
    assert stopping.done == [None]


def test_a_second_signal_ends_all_of_it_now() -> None:
    stopping = Stopping(600, 30)
    stopping.run(0.1)
    assert len(stopping.clients) > 400
    stopping.stop.asked("SIGTERM")
    stopping.clock.advance(0.02)
    assert stopping.told == len(stopping.clients)
    assert all(client.transport.is_aborted for client in stopping.clients)
    assert stopping.done == [None]
    assert stopping.clock.getDelayedCalls() == []
