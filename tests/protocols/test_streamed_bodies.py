"""How many unfinished bodies are with views at a time, and who waits for that."""

from __future__ import annotations

import pytest

from tests.protocols.exchanges import Server, Wire, get, post


@pytest.fixture
def server() -> Server:
    return Server(
        inline_body_bytes=10,
        max_streamed_bodies=1,
        response_timeout_seconds=60,
        min_body_bytes_per_second=1,
    )


def upload(target: str, *fields: str, size: int = 100) -> bytes:
    """The start of a request that flows to its view."""
    head = get(target, f"Content-Length: {size}", *fields, method="POST")
    return head + b"a" * 10


def paths(server: Server) -> list[str]:
    return [message["path"] for message in server.requests]


def assert_none_left(server: Server) -> None:
    assert not server.site._streams
    assert not server.site._waiting_streams


def test_one_over_the_limit_waits_unread_until_another_is_complete(server: Server) -> None:
    first, second, third = (Wire(server, upload(f"/{n}")) for n in (1, 2, 3))
    assert paths(server) == ["/1"]
    assert [wire.transport.is_paused for wire in (first, second, third)] == [False, True, True]
    assert server.count("http.too_many_bodies") == 2
    first.feed(b"b" * 90)
    assert paths(server) == ["/1", "/2"]
    assert server.requests[1]["body"] == b"a" * 10
    assert [wire.transport.is_paused for wire in (second, third)] == [False, True]
    second.feed(b"b" * 90)
    third.feed(b"b" * 90)
    assert paths(server) == ["/1", "/2", "/3"]
    for n in range(3):
        server.answer(b"%d" % n, at=n)
    assert [wire.response().body for wire in (first, second, third)] == [b"0", b"1", b"2"]
    assert_none_left(server)


def test_whole_bodies_and_requests_without_one_do_not_wait(server: Server) -> None:
    Wire(server, upload("/slow"))
    Wire(server, get("/get"))
    Wire(server, post(b"short", "/short"))
    Wire(server, post(b"x" * 9, "/just"))
    assert paths(server) == ["/slow", "/get", "/short", "/just"]


def test_what_waits_and_is_complete_all_at_once_is_started(server: Server) -> None:
    Wire(server, upload("/slow"))
    chunks = b"a\r\n0123456789\r\n" * 2 + b"0\r\n\r\n"
    wire = Wire(server, get("/", "Transfer-Encoding: chunked", method="POST") + chunks)
    assert server.requests[1]["body"] == b"0123456789" * 2
    assert server.requests[1]["body_channel"] is None
    assert not wire.transport.is_paused
    server.answer(b"x")
    wire.feed(get("/next"))
    assert paths(server)[2:] == ["/next"]


@pytest.mark.parametrize("how", ["answered", "lost", "too slow", "expired"])
def test_the_next_one_starts_when_an_exchange_ends(how: str) -> None:
    server = Server(inline_body_bytes=10, max_streamed_bodies=1, body_grace_seconds=5)
    first, second = Wire(server, upload("/1")), Wire(server, upload("/2"))
    if how == "answered":
        server.answer(b"x")
    elif how == "lost":
        first.lose()
    elif how == "expired":
        server.site._message_expired("http.request", server.requests[0])
    else:
        server.advance(7)
        assert first.statuses == [408]
    assert paths(server) == ["/1", "/2"]
    assert not second.transport.is_paused
    second.lose()
    first.lose()
    assert_none_left(server)


def test_who_waits_is_not_too_slow_and_is_answered_503_in_the_end(server: Server) -> None:
    slow, wire = Wire(server, upload("/slow")), Wire(server, upload("/wait"))
    for _ in range(58):
        server.advance(1)
        slow.feed(b"a")
        server.read_body(0)
    assert wire.sent == b""
    server.advance(3)
    assert wire.statuses == [503]
    assert wire.response().field("Retry-After") == "1"
    assert wire.is_closed
    assert [told[4] for told in server.log.requests] == [503]
    slow.lose()
    assert paths(server) == ["/slow"]
    assert_none_left(server)


def test_who_leaves_while_waiting_leaves_the_queue(server: Server) -> None:
    slow, left, wire = (Wire(server, upload(f"/{n}")) for n in (1, 2, 3))
    left.lose()
    assert len(server.site._waiting_streams) == 1
    slow.lose()
    assert paths(server) == ["/1", "/3"]
    wire.lose()
    assert_none_left(server)
    server.assert_nothing_left()


def test_who_breaks_a_rule_while_waiting_leaves_the_queue(server: Server) -> None:
    slow = Wire(server, upload("/slow"))
    head = get("/", "Transfer-Encoding: chunked", method="POST")
    wire = Wire(server, head + b"a\r\n0123456789\r\nnonsense\r\n")
    assert wire.statuses == [400]
    assert not server.site._waiting_streams
    slow.lose()
    assert paths(server) == ["/slow"]


def test_a_pipelined_body_waits_when_its_turn_comes(server: Server) -> None:
    slow = Wire(server, upload("/slow"))
    wire = Wire(server, get("/1") + upload("/2"))
    server.answer(b"1")
    assert paths(server) == ["/slow", "/1"]
    assert wire.transport.is_paused
    slow.lose()
    assert paths(server)[2:] == ["/2"]
    assert not wire.transport.is_paused
    wire.feed(b"b" * 90)
    server.answer(b"2")
    assert wire.statuses == [200, 200]


def test_those_that_cannot_be_started_do_not_hold_up_the_others() -> None:
    server = Server(inline_body_bytes=10, max_streamed_bodies=1)
    slow = Wire(server, upload("/slow"))
    wires = [Wire(server, upload("*")) for _ in range(2000)]
    last = Wire(server, upload("/last"))
    slow.lose()
    assert {wire.statuses[0] for wire in wires} == {400}
    assert paths(server) == ["/slow", "/last"]
    last.lose()
    assert_none_left(server)
