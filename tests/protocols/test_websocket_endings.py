"""However a socket ends: one disconnect, and nothing of it is left."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest

from tests.protocols.sockets import Client, World, mask_frame


def client_closes(world: World, client: Client) -> None:
    client.close(1000)
    client.lose(clean=True)


def client_closes_twice(world: World, client: Client) -> None:
    client.feed(mask_frame(8, b"\x03\xe8") * 2)
    client.close(1000)
    client.lose(clean=True)


def connection_is_lost(world: World, client: Client) -> None:
    client.lose()


def connection_is_lost_in_a_frame(world: World, client: Client) -> None:
    client.feed(mask_frame(1, b"half")[:4])
    client.lose()


def connection_is_lost_in_a_message(world: World, client: Client) -> None:
    client.feed(mask_frame(1, b"half", fin=False))
    client.lose()


def server_closes(world: World, client: Client) -> None:
    client.reply({"close": True})
    client.close(1000)
    client.lose(clean=True)


def server_closes_and_the_client_does_not_answer(world: World, client: Client) -> None:
    client.reply({"close": True})
    world.advance(10)
    assert client.transport.is_aborted
    client.lose()


def both_close_at_once(world: World, client: Client) -> None:
    client.reply({"close": 4000})
    client.close(4001)
    client.lose(clean=True)


def rules_are_broken(world: World, client: Client) -> None:
    client.feed(b"\xff\xff")
    client.lose()


def client_does_not_read(world: World, client: Client) -> None:
    client.transport.socket.room = 0
    for _ in range(3):
        client.reply({"bytes": b"x" * 2**20})
    assert client.transport.is_aborted
    client.lose()


def client_falls_silent(world: World, client: Client) -> None:
    world.advance(100)
    assert client.transport.is_aborted
    client.lose()


def site_stops(world: World, client: Client) -> None:
    world.site.stop()
    assert client.close_code == 1012
    client.close(1012)
    client.lose(clean=True)


def site_aborts(world: World, client: Client) -> None:
    world.site.abort()
    assert client.transport.is_aborted
    client.lose()


def site_stops_then_aborts(world: World, client: Client) -> None:
    world.site.stop()
    world.site.abort()
    client.lose()
    world.site.abort()


ENDINGS = [
    client_closes,
    client_closes_twice,
    connection_is_lost,
    connection_is_lost_in_a_frame,
    connection_is_lost_in_a_message,
    server_closes,
    server_closes_and_the_client_does_not_answer,
    both_close_at_once,
    rules_are_broken,
    client_does_not_read,
    client_falls_silent,
    site_stops,
    site_aborts,
    site_stops_then_aborts,
]

Ending = Callable[[World, Client], None]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_disconnect_comes_once_and_nothing_is_left(ending: Ending) -> None:
    world = World()
    client = world.open()
    world.hub.group_add("room", client.reply_channel)
    ending(world, client)
    assert [channel for channel, _ in world.messages] == ["websocket.disconnect"]
    assert world.hub.group_channels("room") == []
    world.assert_nothing_left()
    world.advance(400)
    world.site.abort()
    assert len(world.messages) == 1


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_disconnect_comes_after_the_consumer_that_still_runs(ending: Ending) -> None:
    world = World(serial_timeout_seconds=1000)
    client = world.open()
    client.text("one")
    ending(world, client)
    if ending is not site_stops_then_aborts:  # which gives the consumer up
        assert world.of("websocket.disconnect") == []
        client.reply({"consumed": 1})
    assert [channel for channel, _ in world.messages] == [
        "websocket.receive",
        "websocket.disconnect",
    ]
    world.assert_nothing_left()


@pytest.mark.parametrize("ending", [connection_is_lost, site_stops_then_aborts, site_aborts])
def test_a_handshake_that_is_held_ends_so_too(ending: Ending) -> None:
    world = World()
    client = world.client()
    ending(world, client)
    client.reply({"consumed": 0}) if world.site._targets else None
    assert [channel for channel, _ in world.messages] == [
        "websocket.connect",
        "websocket.disconnect",
    ]
    world.assert_nothing_left()


def test_nobody_is_told_of_a_handshake_that_nobody_saw() -> None:
    world = World()
    client = world.client(fields={"Origin": "http://evil.example"})
    client.lose()
    assert world.messages == []
    world.assert_nothing_left()


def test_memberships_end_when_the_connection_is_lost_though_a_consumer_still_runs() -> None:
    world = World()
    client = world.open()
    world.hub.group_add("room", client.reply_channel)
    client.text("one")
    client.lose()
    assert world.hub.group_channels("room") == []
    world.hub.group_add("room", client.reply_channel)
    client.reply({"consumed": 1})
    assert world.hub.group_channels("room") == []


def test_what_is_sent_to_a_lost_socket_goes_nowhere() -> None:
    world = World()
    client = world.open()
    client.text("one")
    client.lose()
    client.reply({"text": "nobody", "close": True})
    client.reply({"accept": True})
    assert client.transport.sent == b""


def test_a_stop_answers_those_who_still_wait_503() -> None:
    world = World()
    client = world.client()
    world.site.stop()
    assert client.status == 503


def test_no_socket_opens_while_the_site_stops() -> None:
    world = World()
    client = Client(world)
    world.site.is_stopping = True
    client.ask()
    assert client.status == 503
    assert world.messages == []


def test_a_stop_does_not_wait_for_sockets_that_answer() -> None:
    world = World()
    clients = [world.open() for _ in range(3)]
    world.site.stop()
    for client in clients:
        client.close(1012)
        assert client.transport.is_losing
        client.lose(clean=True)
    assert [message["code"] for message in world.of("websocket.disconnect")] == [1012] * 3
    world.assert_nothing_left()


@pytest.mark.parametrize("places", range(0, 40, 3))
def test_a_client_may_vanish_at_any_byte(places: int) -> None:
    world = World()
    neighbour = world.open()
    stream = mask_frame(1, b"one") + mask_frame(9, b"p") + mask_frame(2, b"x" * 20)
    client = world.client(rest=stream[:places])
    client.lose()
    client.reply({"accept": True})
    client.reply({"consumed": 0})
    assert len(world.of("websocket.disconnect")) == 1
    neighbour.text("fine")
    assert world.received == ["fine"]
    neighbour.lose()
    neighbour.reply({"consumed": 1})
    world.assert_nothing_left()


def test_the_connection_that_a_socket_took_over_is_freed_at_once() -> None:
    world = World()
    client = Client(world)
    http = weakref.ref(client.socket)
    gc.disable()
    try:
        client.ask()
        assert http() is None
    finally:
        gc.enable()


def test_a_socket_that_ended_keeps_no_parser() -> None:
    world = World()
    client = world.open()
    client.feed(mask_frame(1, b"a", fin=False))
    autobahn = weakref.ref(client.socket._reader._autobahn)
    client.close()
    client.lose()
    assert autobahn() is None
