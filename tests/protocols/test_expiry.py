"""Messages that no worker takes in time: nobody waits for them any longer."""

from __future__ import annotations

from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.protocols.exchanges import Server, Wire, get, post
from tests.protocols.sockets import World


def let_expire(world: World) -> None:
    """All that waits has waited for too long, and the layer is swept."""
    world.clock.advance(61)
    world.hub.sweep()
    world.flush()


def test_a_request_that_no_worker_takes_is_answered_503() -> None:
    server = Server(reading=0)
    wire = Wire(server, get())
    server.clock.advance(61)
    server.hub.sweep()
    server.flush()
    assert wire.response().status == 503
    assert wire.response().field("Retry-After") == "1"
    assert server.count("layer.expired") == 1
    wire.lose()
    server.assert_nothing_left()


def test_a_body_of_which_a_part_expired_is_no_body() -> None:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, post(b"12345678")[:-4])
    wire.feed(b"56")
    server.clock.advance(61)
    server.hub.sweep()
    server.flush()
    assert wire.response().status == 503
    assert [chunk["closed"] for chunk in server.read_body()] == [True]


def test_pieces_of_a_body_say_where_they_belong() -> None:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, post(b"12345678")[:-4])
    wire.feed(b"56")
    wire.feed(b"78")
    assert [chunk["offset"] for chunk in server.read_body()] == [4, 6, 8]


def test_a_handshake_that_no_worker_takes_is_answered_503() -> None:
    world = World(reading=0, connect_timeout_seconds=1000)
    client = world.client()
    let_expire(world)
    assert client.status == 503


def test_a_socket_goes_on_with_its_next_message() -> None:
    world = World(reading=1)
    client = world.open()
    client.text("lost", "next")
    let_expire(world)
    world.application.request(10)
    assert world.received == ["next"]


def test_a_disconnect_is_sent_again() -> None:
    world = World(reading=1)
    client = world.open()
    client.lose()
    let_expire(world)
    assert world.of("websocket.disconnect") == []
    world.application.request(10)
    assert [message["code"] for message in world.of("websocket.disconnect")] == [1006]
    world.assert_nothing_left()


def test_what_expired_is_counted_and_told_at_the_next_check() -> None:
    told: list[str] = []

    def observe(event: LogEvent) -> None:
        told.append(formatEvent(event))

    world = World(reading=0, connect_timeout_seconds=1000)
    for _ in range(3):
        world.client()
    let_expire(world)
    assert world.site.counters["layer.expired"] == 3
    globalLogPublisher.addObserver(observe)
    try:
        world.advance(2)
    finally:
        globalLogPublisher.removeObserver(observe)
    assert told == [
        (
            "3 messages were given up: no worker has taken them in time, "
            "or the layer's server was lost on their way"
        )
    ]
