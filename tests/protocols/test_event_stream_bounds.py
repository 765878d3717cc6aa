"""What one event stream or poll may take: of the others' turns, of memory, of time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.eventsource import Source
from tests.protocols.exchanges import Server, Wire, get
from txchannels.protocols.eventstream import read_event
from txchannels.protocols.replies import IllegalReply
from txchannels.settings import WebSocketSettings

START: dict[str, Any] = {"status": 200, "events": {}}
POLL: dict[str, Any] = {"status": 200, "poll": {}}


def texts(wire: Wire) -> list[str]:
    return [event.data for event in Source().feed(wire.responses()[0].body).events]


def send(server: Server, *messages: Any) -> None:
    for message in messages:
        server.hub.send_group("room", message)
    server.flush()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.mark.parametrize("first", [START, POLL])
def test_a_body_behind_a_stream_takes_no_turn_of_those_that_views_read(first: Any) -> None:
    server = Server(inline_body_bytes=4, max_streamed_bodies=1)
    held = Wire(server, get("/", "Content-Length: 100000"), b"first")
    server.send(server.requests[-1], first)
    upload = Wire(server, get("/upload", "Content-Length: 12", method="POST"), b"first")
    assert [request["path"] for request in server.requests] == ["/", "/upload"]
    upload.feed(b"-second")
    server.answer(b"thanks", at=1)
    assert upload.response().body == b"thanks"
    assert not held.is_aborted


def test_a_body_that_waits_for_its_view_flows_again_when_that_is_done() -> None:
    server = Server(inline_body_bytes=4, capacity={"http.request.body?*": 2})
    wire = Wire(server, get("/", "Content-Length: 100"), b"first")
    request = server.requests[-1]
    for _ in range(5):
        wire.feed(b"x" * 10)
    assert wire.transport.is_paused
    server.send(request, START)
    assert not wire.transport.is_paused
    assert server.hub.take([request["body_channel"]]) is None


def test_the_rest_of_such_a_body_is_dropped_and_the_connection_goes_on() -> None:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, get("/", "Content-Length: 10"), b"first")
    request = server.requests[-1]
    server.hub.group_add("room", request["reply_channel"])
    server.send(request, START)
    wire.feed(b"-rest")
    assert server.read_body() == []
    send(server, {"text": "a"}, {"close": True})
    assert texts(wire) == ["a", "1000"]
    wire.feed(get("/next"))
    assert server.requests[-1]["path"] == "/next"


def test_a_body_that_comes_too_slowly_ends_its_stream() -> None:
    server = Server(inline_body_bytes=4, body_grace_seconds=5.0)
    wire = Wire(server, get("/", "Content-Length: 100000"), b"first")
    server.send(server.requests[-1], START)
    server.advance(5)
    assert not wire.is_aborted
    server.advance(1)
    assert wire.is_aborted
    assert server.count("http.408") == 1


@pytest.mark.parametrize("given", ["a\x01", "a\tb", "\x7f", "x" * 1025, "é" * 513])
def test_an_id_that_no_header_could_bring_back_is_refused(given: str) -> None:
    with pytest.raises(IllegalReply, match="'id'"):
        read_event({"text": "a", "id": given})


def test_an_id_may_be_as_long_as_a_client_can_say() -> None:
    assert read_event({"id": "é" * 512}).id == "é" * 512


def test_a_slow_client_of_a_history_of_long_events_gets_all_of_it(server: Server) -> None:
    server.site.websocket = WebSocketSettings(max_unsent_bytes=1000)
    wire = Wire(server, get())
    channel = server.requests[-1]["reply_channel"]
    wire.transport.socket.room = 100
    history = [{"text": f"{number}-{'x' * 600}"} for number in range(20)]
    parts: list[Any] = [{"replay": [event], "more_content": True} for event in history]
    parts = [{**START, **parts[0]}, *parts[1:], {"more_content": False}]
    for _ in range(1000):
        while parts and server.site.layer.offer(channel, parts[0]):
            parts.pop(0)
        server.flush()
        wire.transport.take(100)
    assert not wire.is_aborted
    assert texts(wire) == [event["text"] for event in history]


def test_a_history_that_nobody_goes_on_with_ends_so_that_its_client_asks_anew() -> None:
    server = Server(response_timeout_seconds=20.0)
    wire = Wire(server, get())
    request = server.requests[-1]
    server.send(request, {**START, "more_content": True})
    server.advance(15)
    server.send(request, {"replay": [{"text": "a", "id": 1}], "more_content": True})
    server.advance(15)
    assert not wire.responses()[0].is_whole
    server.advance(10)
    assert wire.responses()[0].is_whole
    assert texts(wire) == ["a"]
    assert server.count("events.history_timeout") == 1


def test_a_history_that_waits_for_its_client_is_not_given_up() -> None:
    server = Server(response_timeout_seconds=20.0)
    wire = Wire(server, get())
    server.send(server.requests[-1], {**START, "more_content": True})
    wire.transport.socket.room = 0
    server.send(server.requests[-1], {"replay": [{"text": "x" * 100}] * 9, "more_content": True})
    for _ in range(50):
        server.advance(1)
        wire.transport.take(1)
    assert server.count("events.history_timeout") == 0
    assert wire.transport.buffer or wire.transport.producer is not None
    assert not wire.is_closed


def test_what_it_remembers_of_a_long_history_is_bounded(server: Server) -> None:
    server.site.websocket = WebSocketSettings(max_unsent_bytes=10_000)
    wire = Wire(server, get())
    request = server.requests[-1]
    server.hub.group_add("room", request["reply_channel"])
    events = [{"text": str(number), "id": number} for number in range(1000)]
    for at in range(0, 1000, 100):
        part = {"replay": events[at : at + 100], "more_content": at < 900}
        server.send(request, {**START, **part} if at == 0 else part)
    send(server, *events[-50:])
    assert texts(wire) == [event["text"] for event in events]
    send(server, events[0])
    assert texts(wire)[-1] == "0"
