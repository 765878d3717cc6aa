from __future__ import annotations

import pytest

from tests.protocols.exchanges import Server, Wire, get, post
from tests.protocols.sockets import KEY


@pytest.fixture
def server() -> Server:
    return Server()


def websocket() -> bytes:
    fields = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    return get("/socket", *fields, f"Sec-WebSocket-Key: {KEY}")


def bodies(wire: Wire) -> list[bytes]:
    return [response.body for response in wire.responses()]


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    wire = Wire(server, get("/1") + post(b"body", "/2") + get("/3"))
    for n in range(3):
        assert [message["path"] for message in server.requests] == ["/1", "/2", "/3"][: n + 1]
        server.answer(b"%d" % n)
    assert bodies(wire) == [b"0", b"1", b"2"]
    assert server.requests[1]["body"] == b"body"


def test_nothing_is_read_while_a_request_waits(server: Server) -> None:
    wire = Wire(server, get("/1"))
    assert not wire.transport.is_paused
    wire.feed(get("/2"))
    assert wire.transport.is_paused
    server.answer(b"1")
    assert not wire.transport.is_paused


def test_the_body_of_a_request_that_waits_is_not_collected(server: Server) -> None:
    wire = Wire(server, get("/1"), get("/2", "Content-Length: 1000000", method="POST"))
    assert wire.transport.is_paused
    server.answer(b"1")
    assert not wire.transport.is_paused
    wire.feed(b"a" * 1_000_000)
    assert server.requests[1]["path"] == "/2"


def test_a_request_that_waited_is_told_to_go_on(server: Server) -> None:
    head = get("/2", "Content-Length: 3", "Expect: 100-continue", method="POST")
    wire = Wire(server, get("/1") + head)
    assert wire.sent == b""
    server.answer(b"1")
    assert wire.statuses == [200, 100]
    wire.feed(b"abc")
    assert server.requests[1]["body"] == b"abc"


def test_thousands_of_requests_in_one_piece_are_answered(server: Server) -> None:
    count = 1500
    wire = Wire(server, get("/1") + get("*", method="OPTIONS") * count + get("/2"))
    server.answer(b"1")
    server.answer(b"2")
    assert wire.statuses == [200] * (count + 2)


def test_garbage_behind_a_request_is_answered_behind_it(server: Server) -> None:
    wire = Wire(server, get("/1") + get("/2") + b"garbage\r\n\r\n")
    server.answer(b"1")
    assert wire.statuses == [200]
    server.answer(b"2")
    assert wire.statuses == [200, 200, 400]
    assert wire.is_closed
    assert server.count("http.400") == 1


def test_a_bad_body_behind_a_request_is_answered_behind_it(server: Server) -> None:
    bad = get("/2", "Transfer-Encoding: chunked", method="POST") + b"x\r\n"
    wire = Wire(server, get("/1") + bad)
    server.answer(b"1")
    assert wire.statuses == [200, 400]
    assert len(server.requests) == 1


def test_connect_behind_a_request_is_answered_behind_it(server: Server) -> None:
    wire = Wire(server, get("/1") + get("a:80", method="CONNECT"))
    server.answer(b"1")
    assert wire.statuses == [200, 501]
    assert wire.is_closed


def test_requests_behind_one_that_asks_to_close_are_ignored(server: Server) -> None:
    wire = Wire(server, get("/1", "Connection: close") + get("/2"))
    server.answer(b"1")
    assert wire.statuses == [200]
    assert len(server.requests) == 1


def test_requests_behind_one_whose_view_asks_to_close_are_not_run(server: Server) -> None:
    wire = Wire(server, get("/1") + get("/2"))
    server.answer(b"1", headers=[[b"Connection", b"close"]])
    assert wire.statuses == [200]
    assert len(server.requests) == 1
    wire.lose()
    server.assert_nothing_left()
    assert len(server.log.requests) == 1


def test_a_client_that_does_not_read_gets_no_further_request_run(server: Server) -> None:
    wire = Wire(server)
    wire.transport.socket.room = 10
    wire.feed(get("/1") + get("/2"))
    server.answer(b"a" * 100_000)
    assert len(server.requests) == 1
    wire.transport.take()
    assert len(server.requests) == 2
    server.answer(b"2")
    assert bodies(wire) == [b"a" * 100_000, b"2"]


def test_a_client_that_does_not_read_is_not_read(server: Server) -> None:
    wire = Wire(server)
    wire.transport.socket.room = 10
    wire.feed(get("/1"))
    server.answer(b"a" * 1000)
    wire.feed(get("/2"))
    assert wire.transport.is_paused
    assert len(server.requests) == 1
    wire.transport.take()
    assert len(server.requests) == 2


def test_a_websocket_waits_for_the_answers_before_it(server: Server) -> None:
    connects: list[object] = []
    server.hub.subscribe(
        ["websocket.connect"], lambda channel, message: connects.append(message)
    ).request(1)
    wire = Wire(server, get("/1") + websocket() + b"fra", b"mes")
    assert connects == []
    server.answer(b"1")
    assert len(connects) == 1
    assert wire.transport.protocol._early == b"frames"


def test_a_stop_lets_the_running_request_end_and_no_further_one(server: Server) -> None:
    wire = Wire(server, get("/1") + get("/2"))
    server.site.stop()
    server.answer(b"1")
    assert wire.response().field("Connection") == "close"
    assert len(server.requests) == 1
    assert wire.is_closed


def test_a_stop_closes_what_is_idle(server: Server) -> None:
    new, used = Wire(server), Wire(server, get())
    server.answer(b"x")
    server.site.stop()
    assert new.is_closed
    assert used.is_closed


def test_a_stop_does_not_wait_for_a_client_that_was_answered_long_ago(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"x")
    server.advance(2)
    server.site.stop()
    assert wire.transport.is_losing


def test_a_stop_lets_a_client_read_the_answer_that_it_just_got(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"x")
    server.site.stop()
    assert not wire.transport.is_losing
    assert wire.response().body == b"x"


def test_a_stop_lets_a_half_read_request_come(server: Server) -> None:
    wire = Wire(server, get()[:-2])
    server.site.stop()
    wire.feed(b"\r\n")
    server.answer(b"x")
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed


def test_a_stop_lets_a_stream_end(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"x", more=True)
    server.site.stop()
    server.stream(b"y", more=False)
    assert wire.response().body == b"xy"
    assert wire.is_closed


def test_an_abort_drops_all(server: Server) -> None:
    wire = Wire(server, get())
    server.site.abort()
    assert wire.is_aborted
