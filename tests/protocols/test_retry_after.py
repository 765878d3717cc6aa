"""Every 503 says when to come back, whatever it is that is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.protocols.exchanges import Server, Wire, get, post, read_responses
from tests.protocols.sockets import Client, World
from txchannels.errors import LayerUnavailable


def be_away(*_: Any) -> None:
    raise LayerUnavailable


def expire(place: Server | World) -> None:
    place.clock.advance(61)
    place.hub.sweep()
    place.flush()


def a_request_expires() -> bytes:
    server = Server(reading=0)
    wire = Wire(server, get())
    expire(server)
    return wire.sent


def a_request_finds_no_room() -> bytes:
    server = Server(capacity={"http.request": 1}, reading=0)
    Wire(server, get())
    return Wire(server, get()).sent


def a_request_finds_no_layer() -> bytes:
    server = Server()
    server.site.layer.send = be_away  # type: ignore[method-assign]
    return Wire(server, get()).sent


def a_body_finds_no_layer() -> bytes:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, post(b"12345678")[:-4])
    server.site.layer.offer = be_away  # type: ignore[method-assign,assignment]
    wire.feed(b"5")
    return wire.sent


def a_view_takes_too_long() -> bytes:
    server = Server(response_timeout_seconds=5)
    wire = Wire(server, get())
    server.advance(7)
    return wire.sent


def a_body_waits_too_long_for_its_turn() -> bytes:
    server = Server(
        inline_body_bytes=4,
        max_streamed_bodies=1,
        response_timeout_seconds=5,
        min_body_bytes_per_second=0,
    )
    Wire(server, post(b"12345678")[:-4])
    wire = Wire(server, post(b"12345678")[:-4])
    server.advance(7)
    return wire.sent


def there_are_too_many_connections() -> bytes:
    server = Server(max_connections=1)
    Wire(server)
    return Wire(server).sent


def sent_to(client: Client) -> bytes:
    return bytes(client.transport.sent)


def a_handshake_expires() -> bytes:
    world = World(reading=0, connect_timeout_seconds=1000)
    client = world.client()
    expire(world)
    return sent_to(client)


def a_handshake_finds_no_room() -> bytes:
    world = World(capacity={"websocket.connect": 1}, reading=0)
    world.client()
    return sent_to(world.client())


def a_handshake_finds_no_layer() -> bytes:
    world = World()
    world.site.layer.send = be_away  # type: ignore[method-assign]
    return sent_to(world.client())


def a_handshake_meets_the_stop() -> bytes:
    world = World()
    client = world.client()
    world.site.stop()
    return sent_to(client)


def a_handshake_comes_after_the_stop() -> bytes:
    world = World()
    client = Client(world)
    world.site.is_stopping = True
    client.ask()
    return sent_to(client)


@pytest.mark.parametrize(
    "refused",
    [
        a_request_expires,
        a_request_finds_no_room,
        a_request_finds_no_layer,
        a_body_finds_no_layer,
        a_view_takes_too_long,
        a_body_waits_too_long_for_its_turn,
        there_are_too_many_connections,
        a_handshake_expires,
        a_handshake_finds_no_room,
        a_handshake_finds_no_layer,
        a_handshake_meets_the_stop,
        a_handshake_comes_after_the_stop,
    ],
)
def test_a_503_says_when_to_come_back(
    refused: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txchannels.protocols.site.Site.retry_after_seconds", 7)
    [response] = read_responses(refused())
    assert (response.status, response.field("Retry-After")) == (503, "7")
    assert response.body.startswith(b"503 Service Unavailable\n\n")
