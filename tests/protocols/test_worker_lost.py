"""Workers that die while they run a message: nobody waits for what they will not say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.exchanges import Server, Wire, get, post
from tests.protocols.sockets import World
from txchannels.errors import ChannelClosed

LOST = {"lost": 0}


def lose_worker(server: Server, at: int = -1) -> None:
    """The worker dies that runs the request number *at*."""
    server.send(server.requests[at], LOST)


# Requests


def test_a_request_is_answered_502_and_its_connection_kept() -> None:
    server = Server()
    wire = Wire(server, get("/path"))
    lose_worker(server)
    response = wire.response()
    assert response.status == 502
    assert response.field("Content-Type") == "text/plain; charset=utf-8"
    assert response.field("Connection") is None
    assert response.field("Retry-After") is None
    assert response.body.startswith(b"502 Bad Gateway\n\n")
    assert server.site.counters == {"http.worker_lost": 1, "http.502": 1}
    [told] = server.log.requests
    assert told[1:5] == ("GET", b"/path", "1.1", 502)
    wire.feed(get())
    server.answer(b"next")
    assert wire.statuses == [502, 200]
    wire.lose()
    server.assert_nothing_left()


@pytest.mark.parametrize(("version", "field"), [("1.1", "close"), ("1.0", "keep-alive")])
def test_connection_is_treated_as_in_any_answer(version: str, field: str) -> None:
    server = Server()
    wire = Wire(server, get("/", f"Connection: {field}", version=version))
    lose_worker(server)
    assert wire.response().field("Connection") == field
    assert wire.is_closed == (field == "close")


def test_the_answer_to_head_has_no_body() -> None:
    server = Server()
    wire = Wire(server, get(method="HEAD"))
    lose_worker(server)
    assert wire.response("HEAD").status == 502
    wire.feed(get())
    server.answer(b"next")
    assert wire.responses("HEAD")[1].body == b"next"


def test_requests_behind_it_are_run_in_their_order() -> None:
    server = Server()
    wire = Wire(server, get("/1") + post(b"body", "/2") + get("/3"))
    lose_worker(server)
    assert [message["path"] for message in server.requests] == ["/1", "/2"]
    lose_worker(server)
    server.answer(b"3")
    assert wire.statuses == [502, 502, 200]
    assert server.requests[1]["body"] == b"body"
    assert not wire.transport.is_paused


def test_garbage_behind_it_is_answered_behind_it() -> None:
    server = Server()
    wire = Wire(server, get("/1") + b"garbage\r\n\r\n")
    lose_worker(server)
    assert wire.statuses == [502, 400]
    assert wire.is_closed


@pytest.mark.parametrize("framing", [{}, {"headers": [[b"Content-Length", b"9"]]}])
def test_a_response_that_has_begun_is_cut_off(framing: dict[str, Any]) -> None:
    server = Server()
    wire = Wire(server, get())
    server.answer(b"begun", more=True, **framing)
    before = wire.sent
    lose_worker(server)
    assert wire.sent == before
    assert wire.is_aborted
    assert not wire.is_closed  # which could pass for the end of a response that has no length
    assert not wire.response().is_whole
    lose_worker(server)
    assert server.count("http.worker_lost") == 1
    wire.lose()
    [told] = server.log.requests
    assert told[4:] == (200, 5)
    server.assert_nothing_left()


def test_what_was_sent_before_goes_out_and_what_comes_after_does_not() -> None:
    server = Server()
    wire = Wire(server, get())
    reply_channel = server.requests[0]["reply_channel"]
    last = {"content": b"two", "more_content": False}
    for message in ({"status": 200, "content": b"one", "more_content": True}, LOST, last):
        server.hub.send(reply_channel, message)
    server.flush()
    assert wire.sent.endswith(b"3\r\none\r\n")
    assert wire.is_aborted


def test_requests_behind_one_that_is_cut_off_are_not_run() -> None:
    server = Server()
    wire = Wire(server, get("/1") + get("/2"))
    server.answer(b"begun", more=True)
    lose_worker(server)
    wire.lose()
    assert len(server.requests) == 1
    server.assert_nothing_left()


def test_a_client_that_does_not_read_its_stream_has_it_cut_off() -> None:
    server = Server()
    wire = Wire(server)
    wire.transport.socket.room = 10
    wire.feed(get())
    server.answer(b"a" * 1000, more=True)
    reply_channel = server.requests[0]["reply_channel"]
    assert not server.hub.offer(reply_channel, LOST)  # the sender waits for room, as always
    wire.transport.take()
    lose_worker(server)
    assert wire.is_aborted


# Requests whose bodies are arriving


def assert_refused_and_read_on(server: Server, wire: Wire) -> None:
    """The client may send the rest, reads the answer, and then it is over."""
    assert wire.statuses == [502]
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed
    assert not wire.is_aborted
    assert not wire.transport.is_paused
    wire.feed(b"rest")
    assert wire.statuses == [502]
    wire.lose()
    assert [told[4] for told in server.log.requests] == [502]
    server.assert_nothing_left()
    assert not server.site._streams


@pytest.mark.parametrize("more", [b"", b"56"])
def test_a_body_that_is_arriving_harms_nothing(more: bytes) -> None:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, post(b"1234" + b"x" * 100)[:-100], more)
    assert server.requests[0]["body_channel"]
    lose_worker(server)
    assert server.read_body(0) == []  # nobody is left to be woken
    assert_refused_and_read_on(server, wire)


def test_chunks_that_are_arriving_harm_nothing() -> None:
    server = Server(inline_body_bytes=4)
    head = get("/", "Transfer-Encoding: chunked", method="POST")
    wire = Wire(server, head + b"4\r\n1234\r\n")
    lose_worker(server)
    assert_refused_and_read_on(server, wire)


def test_a_client_that_was_held_up_may_go_on() -> None:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, post(b"1234" + b"x" * 3_000_000)[:-3_000_000])
    while not wire.transport.is_paused:
        wire.feed(b"x" * 65_536)
    lose_worker(server)
    assert server.read_body(0) == []
    assert_refused_and_read_on(server, wire)


def test_a_client_that_was_asked_for_its_body_is_answered_502() -> None:
    server = Server(inline_body_bytes=4)
    head = get("/", "Content-Length: 100", "Expect: 100-continue", method="POST")
    wire = Wire(server, head)
    assert wire.statuses == [100]
    wire.feed(b"1234")
    lose_worker(server)
    assert wire.statuses == [100, 502]
    assert wire.is_closed
    wire.feed(b"5" * 96 + get("/next"))
    assert wire.statuses == [100, 502]
    assert len(server.requests) == 1
    wire.lose()
    server.assert_nothing_left()


def test_a_whole_body_that_was_asked_for_leaves_the_connection_open() -> None:
    server = Server()
    wire = Wire(server, get("/", "Content-Length: 4", "Expect: 100-continue", method="POST"))
    wire.feed(b"1234")
    lose_worker(server)
    wire.feed(get())
    server.answer(b"next")
    assert wire.statuses == [100, 502, 200]


def test_the_next_body_that_waits_has_its_turn() -> None:
    server = Server(inline_body_bytes=4, max_streamed_bodies=1)
    Wire(server, post(b"x" * 100, "/1")[:-90])
    Wire(server, post(b"x" * 100, "/2")[:-90])
    assert len(server.requests) == 1
    lose_worker(server)
    assert server.requests[1]["path"] == "/2"


def test_a_body_that_arrives_while_the_response_streams_is_cut_off_with_it() -> None:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, post(b"1234" + b"x" * 100)[:-100])
    server.answer(b"begun", more=True)
    lose_worker(server)
    assert wire.is_aborted
    wire.feed(b"xx")
    wire.lose()
    server.assert_nothing_left()


# Requests that are over


@pytest.mark.parametrize("ending", ["answered", "lost", "left"])
def test_who_is_long_answered_hears_nothing_of_it(ending: str) -> None:
    server = Server()
    wire = Wire(server, get())
    if ending == "answered":
        server.answer(b"x")
    elif ending == "lost":
        lose_worker(server)
    else:
        wire.lose()
    sent, counted = wire.sent, server.count("http.worker_lost")
    with pytest.raises(ChannelClosed):
        lose_worker(server)
    assert (wire.sent, server.count("http.worker_lost")) == (sent, counted)
    assert not wire.is_aborted


def test_an_answer_and_the_loss_that_comes_with_it_are_one_answer() -> None:
    server = Server()
    wire = Wire(server, get("/1") + get("/2"))
    reply_channel = server.requests[0]["reply_channel"]
    server.hub.send(reply_channel, {"status": 200, "content": b"x"})
    server.hub.send(reply_channel, LOST)
    server.flush()
    assert wire.statuses == [200]
    assert server.count("http.worker_lost") == 0
    assert len(server.requests) == 2


def test_whoever_asks_hears_of_the_request_s_end() -> None:
    server = Server()
    server.listen_to_disconnects()
    Wire(server, get("/path"))
    lose_worker(server)
    assert [message["path"] for message in server.gone] == ["/path"]


NO_ORDERS = ["0", b"0", 0.0, True, False, -1, [0], {}]


@pytest.mark.parametrize("order", NO_ORDERS)
def test_what_is_no_order_is_dropped_and_logged_and_the_request_waits_on(
    errors: list[str], order: Any
) -> None:
    server = Server()
    wire = Wire(server, get())
    server.send(server.requests[0], {"lost": order})
    assert wire.sent == b""
    assert len(errors) == 1
    assert "'lost' must be the order of a message" in errors[0]
    server.answer(b"x")
    assert wire.statuses == [200]


# Sockets


def worker_lost(world: World) -> int:
    return world.site.counters["websocket.worker_lost"]


def test_the_next_message_follows_one_whose_worker_died() -> None:
    world = World()
    client = world.open()
    client.text("one", "two", "three")
    client.reply({"lost": 1})
    assert world.received == ["one", "two"]
    client.reply({"consumed": 2})
    assert world.received == ["one", "two", "three"]
    assert worker_lost(world) == 1
    assert client.frames == []
    assert not client.transport.is_losing


@pytest.mark.parametrize("order", [0, 1, 3, 10**18])
def test_what_comes_late_or_twice_or_too_soon_is_ignored(order: int) -> None:
    world = World()
    client = world.open()
    client.text("one", "two", "three")
    client.reply({"lost": 1})
    client.reply({"lost": order})
    assert world.received == ["one", "two"]
    assert worker_lost(world) == 1


def test_a_loss_where_nothing_is_outstanding_changes_nothing() -> None:
    world = World()
    client = world.open()
    for order in (0, 1):
        client.reply({"lost": order})
    client.text("one", "two")
    assert world.received == ["one"]
    assert worker_lost(world) == 0


def test_what_was_sent_before_is_sent_and_a_group_send_beside_it_too() -> None:
    world = World()
    client = world.open()
    world.hub.group_add("room", client.reply_channel)
    client.text("one", "two")
    world.hub.send_group("room", {"text": "all"})
    world.hub.send(client.reply_channel, {"text": "own"})
    world.hub.send(client.reply_channel, {"lost": 1, "text": "with it"})
    world.hub.send_group("room", {"text": "all again"})
    world.flush()
    assert client.texts == ["all", "own", "with it", "all again"]
    assert world.received == ["one", "two"]


def test_a_socket_that_was_not_read_is_read_again() -> None:
    world = World(max_backlog_messages=1)
    client = world.open()
    client.text("one", "two")
    assert client.transport.is_paused
    client.reply({"lost": 1})
    assert not client.transport.is_paused


def test_the_disconnect_of_a_lost_socket_follows() -> None:
    world = World()
    client = world.open()
    client.text("one")
    client.lose()
    assert world.of("websocket.disconnect") == []
    client.reply({"lost": 1})
    assert [message["order"] for message in world.of("websocket.disconnect")] == [2]
    with pytest.raises(ChannelClosed):
        client.reply({"lost": 2})  # the disconnect's own: nothing follows it
    world.assert_nothing_left()


def test_a_handshake_that_nobody_will_answer_is_502() -> None:
    world = World()
    client = world.client(rest=b"early")
    client.reply(LOST)
    assert client.status == 502
    assert b"\r\nConnection: close" in client.response
    assert client.transport.is_half_closed
    assert worker_lost(world) == 1
    assert world.site.counters["websocket.502"] == 1
    client.reply(LOST)
    client.reply({"accept": True})
    assert worker_lost(world) == 1
    assert bytes(client.transport.sent).count(b"HTTP/1.1") == 1
    client.lose()
    assert [channel for channel, _ in world.messages] == [
        "websocket.connect",
        "websocket.disconnect",
    ]
    world.assert_nothing_left()


def test_an_open_socket_stays_open_though_its_connect_s_worker_died() -> None:
    world = World()
    client = world.client()
    client.reply({"accept": True})
    client.text("one")
    assert world.received == []
    client.reply(LOST)
    assert world.received == ["one"]
    client.reply({"text": "answer"})
    assert client.texts == ["answer"]


@pytest.mark.parametrize("before", [{"consumed": 0}, {}])
def test_a_handshake_that_waits_for_somebody_else_waits_on(before: dict[str, int]) -> None:
    world = World()
    client = world.client()
    client.reply(before)
    client.reply({"lost": 0 if before else 1})
    client.reply({"accept": True})
    assert client.status == 101
    assert worker_lost(world) == 0


def test_a_handshake_that_was_given_up_is_answered_once() -> None:
    world = World(connect_timeout_seconds=5)
    client = world.client()
    world.advance(7)
    assert client.status == 403
    client.reply(LOST)
    client.lose()
    assert bytes(client.transport.sent).count(b"HTTP/1.1") == 1
    assert len(world.of("websocket.disconnect")) == 1
    world.assert_nothing_left()


def test_unordered_sockets_hear_of_it_too() -> None:
    world = World(unordered=True)
    client, asking = world.open(), world.client()
    client.text("one", "two")
    client.reply({"lost": 2})
    client.reply({"lost": 9})
    asking.reply({"lost": 1})
    assert asking.transport.sent == b""
    asking.reply(LOST)
    assert asking.status == 502
    assert worker_lost(world) == 2
    client.text("three")
    assert world.received == ["one", "two", "three"]


@pytest.mark.parametrize("order", NO_ORDERS)
@pytest.mark.parametrize("is_open", [True, False])
def test_what_is_no_order_is_dropped_and_logged_and_ends_no_turn(
    errors: list[str], order: Any, is_open: bool
) -> None:
    world = World()
    client = world.open() if is_open else world.client()
    client.text("one", "two")
    client.reply({"lost": order, "text": "dropped"})
    assert len(errors) == 1
    assert "'lost' must be the order of a message" in errors[0]
    assert client.transport.sent == b""
    assert world.received == (["one"] if is_open else [])


def test_no_loss_is_no_loss() -> None:
    world, server = World(), Server()
    client, wire = world.client(), Wire(server, get())
    client.reply({"lost": None, "accept": True})
    server.send(server.requests[0], {"lost": None, "status": 200})
    assert (client.status, wire.statuses) == (101, [200])
