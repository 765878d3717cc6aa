from __future__ import annotations

import pytest

from tests.protocols.exchanges import Server, Wire, get, post
from txchannels.protocols.factory import SiteFactory

MEBIBYTE = 2**20


def refused(server: Server, *pieces: bytes) -> int:
    """The status of the only answer, which is the last and counted once."""
    wire = Wire(server, *pieces)
    response = wire.response()
    assert response.field("Connection") == "close"
    assert wire.is_closed
    assert server.count(f"http.{response.status}") == 1
    assert sum(server.site.counters.values()) == 1
    assert server.requests == []
    return response.status


# Each limit has its status, and is counted


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (400, b"\x16\x03\x01\r\n\r\n"),
        (400, get("/", "Host: other.example")),
        (400, get("/", "X : y")),
        (413, get("/", "Content-Length: 1001", method="POST")),
        (413, get("/", "Transfer-Encoding: chunked", method="POST") + b"3e9\r\n" + b"a" * 1001),
        (414, get("/" + "a" * 100)),
        (417, get("/", "Expect: more")),
        (431, get("/", *["X: y"] * 10)),
        (431, get("/", "X: " + "y" * 200)),
        (501, get("/", method="BREW")),
        (501, get("/", "Transfer-Encoding: gzip")),
        (501, get("a:80", method="CONNECT")),
        (505, get(version="2.0")),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ],
)
def test_a_limit_is_answered_with_its_status(status: int, data: bytes) -> None:
    limits = {"max_request_line_bytes": 100, "max_header_bytes": 200, "max_header_fields": 10}
    assert refused(Server(max_body_bytes=1000, **limits), data) == status
    pieces = [data[at : at + 1] for at in range(len(data))]
    assert refused(Server(max_body_bytes=1000, **limits), *pieces) == status


def test_a_refused_client_can_read_why_while_it_sends() -> None:
    server = Server()
    wire = Wire(server, get("/", f"Content-Length: {2**40}", method="POST"))
    assert wire.transport.is_half_closed
    for _ in range(100):
        wire.feed(b"a" * 65_536)
    server.advance(4)
    assert not wire.transport.is_losing
    server.advance(2)
    assert wire.transport.is_losing
    assert not wire.is_aborted


def test_a_refused_client_that_sends_without_end_is_dropped() -> None:
    wire = Wire(Server(), get("/", f"Content-Length: {2**40}", method="POST"))
    for _ in range(70):
        wire.feed(b"a" * MEBIBYTE)
    assert wire.transport.is_losing


def test_a_client_that_never_hangs_up_is_dropped() -> None:
    server = Server(send_timeout_seconds=20)
    wire = Wire(server, get("/", "Connection: close"))
    server.answer(b"x")
    server.advance(24)
    assert not wire.is_aborted
    server.advance(3)
    assert wire.is_aborted


def test_the_last_answer_may_be_taken_slowly() -> None:
    server = Server(send_timeout_seconds=20)
    wire = Wire(server)
    wire.transport.socket.room = 10
    wire.feed(get("/", "Connection: close"))
    server.answer(b"a" * 1_000_000)
    for _ in range(9):
        server.advance(15)
        wire.transport.take(100_000)
    assert not wire.is_closed
    wire.transport.take()
    assert wire.transport.is_half_closed
    assert wire.response().body == b"a" * 1_000_000


# Time


def test_a_head_that_comes_byte_by_byte_is_answered_408() -> None:
    server = Server(header_timeout_seconds=10)
    wire = Wire(server)
    for byte in get("/", "X: " + "y" * 100)[:12]:
        wire.feed(bytes([byte]))
        server.advance(1)
    assert wire.statuses == [408]
    assert wire.is_closed
    assert server.count("http.408") == 1


def test_the_head_of_a_later_request_has_its_own_time() -> None:
    server = Server(header_timeout_seconds=10, keep_alive_seconds=75)
    wire = Wire(server, get())
    server.answer(b"x")
    server.advance(70)
    wire.feed(b"GET / HT")
    server.advance(9)
    assert wire.statuses == [200]
    server.advance(2)
    assert wire.statuses == [200, 408]


def test_a_connection_without_a_request_is_closed_without_a_word() -> None:
    server = Server(header_timeout_seconds=10)
    wire = Wire(server)
    server.advance(9)
    wire.feed(b"\r\n")
    assert not wire.is_closed
    server.advance(2)
    assert wire.is_closed
    assert wire.sent == b""


def test_an_idle_connection_is_kept_for_its_time() -> None:
    server = Server(header_timeout_seconds=10, keep_alive_seconds=75)
    wire = Wire(server, get())
    server.answer(b"x")
    server.advance(74)
    wire.feed(b"\r\n")
    assert not wire.is_closed
    server.advance(2)
    assert wire.is_closed
    assert wire.statuses == [200]


@pytest.mark.parametrize(("size", "every"), [(1, 1), (200, 1), (240, 5), (2000, 10)])
def test_a_body_that_comes_slowly_is_answered_408(size: int, every: int) -> None:
    server = Server(min_body_bytes_per_second=240, body_grace_seconds=10)
    wire = Wire(server, get("/", "Content-Length: 60000", method="POST"))
    seconds = 0
    while not wire.sent:
        seconds += 1
        assert seconds < 60_000
        if not seconds % every:
            wire.feed(b"a" * size)
        server.advance(1)
    assert wire.statuses == [408]
    assert seconds > 10
    assert server.count("http.408") == 1


def test_a_body_that_comes_fast_enough_may_take_its_time() -> None:
    server = Server(min_body_bytes_per_second=240, body_grace_seconds=10)
    wire = Wire(server, get("/", "Content-Length: 24000", method="POST"))
    for _ in range(25):
        server.advance(4)
        wire.feed(b"a" * 960)
    assert len(server.requests) == 1


def test_a_slow_body_that_the_view_reads_is_answered_408_and_wakes_the_view() -> None:
    server = Server(inline_body_bytes=10, body_grace_seconds=10)
    wire = Wire(server, get("/", "Content-Length: 100", method="POST") + b"a" * 10)
    server.advance(12)
    assert wire.statuses == [408]
    assert server.read_body() == [{"content": b"", "closed": True, "more_content": False}]


def test_a_slow_body_that_nobody_reads_closes_the_connection() -> None:
    server = Server(inline_body_bytes=10, body_grace_seconds=10)
    wire = Wire(server, get("/", "Content-Length: 100", method="POST") + b"a" * 10)
    server.answer(b"x")
    server.advance(12)
    assert wire.statuses == [200]
    assert wire.is_closed


def test_a_client_that_the_view_holds_up_is_not_too_slow() -> None:
    server = Server(inline_body_bytes=10, body_grace_seconds=10, response_timeout_seconds=60)
    wire = Wire(server, get("/", f"Content-Length: {9 * MEBIBYTE}", method="POST"))
    while not wire.transport.is_paused:
        wire.feed(b"a" * 65_536)
    for _ in range(4):
        server.advance(50)
        server.read_body()
        while not wire.transport.is_paused:
            wire.feed(b"a" * 65_536)
    assert wire.sent == b""


def test_a_view_that_neither_reads_nor_answers_is_answered_503() -> None:
    server = Server(inline_body_bytes=10, response_timeout_seconds=60)
    wire = Wire(server, get("/", f"Content-Length: {4 * MEBIBYTE}", method="POST"))
    while not wire.transport.is_paused:
        wire.feed(b"a" * 65_536)
    server.advance(61)
    assert wire.statuses == [503]


def test_a_view_that_does_not_answer_is_answered_503() -> None:
    server = Server(response_timeout_seconds=60)
    wire = Wire(server, get("/slow"))
    server.advance(59)
    assert wire.sent == b""
    server.advance(2)
    assert wire.response().field("Retry-After") == "1"
    assert wire.statuses == [503]
    assert server.count("http.503") == 1
    assert server.log.requests[0][4] == 503
    wire.feed(get("/next"))
    server.answer(b"x")
    assert wire.statuses == [503, 200]


def test_a_stream_may_pause_for_ever() -> None:
    server = Server(response_timeout_seconds=60)
    wire = Wire(server, get("/events"))
    server.answer(b"x", more=True)
    server.advance(3600)
    server.stream(b"y", more=False)
    assert wire.response().body == b"xy"


def test_a_client_that_takes_nothing_is_dropped() -> None:
    server = Server(send_timeout_seconds=20)
    wire = Wire(server)
    wire.transport.socket.room = 10
    wire.feed(get())
    server.answer(b"a" * 100_000, more=True)
    server.advance(19)
    wire.transport.take(100)
    server.advance(19)
    assert not wire.is_aborted
    server.advance(3)
    assert wire.is_aborted
    assert server.count("http.send_timeout") == 1


# Room


def test_a_client_that_takes_nothing_holds_its_view() -> None:
    server = Server()
    wire = Wire(server)
    wire.transport.socket.room = 10
    wire.feed(get())
    server.answer(b"a" * 1000, more=True)
    channel = server.requests[0]["reply_channel"]
    assert not server.hub.offer(channel, {"content": b"b", "more_content": True})
    wire.transport.take()
    assert server.hub.offer(channel, {"content": b"b", "more_content": False})
    server.flush()
    assert wire.response().body == b"a" * 1000 + b"b"


def test_a_request_over_capacity_is_answered_503() -> None:
    server = Server(capacity={"http.request": 1}, reading=0)
    server.listen_to_disconnects()
    first, second = Wire(server, get("/1")), Wire(server, get("/2"))
    assert first.sent == b""
    assert second.statuses == [503]
    assert second.response().field("Retry-After") == "1"
    assert server.count("http.503") == 1
    assert server.gone == []
    assert not second.is_closed
    assert len(server.site._targets) == 1


def test_a_large_request_over_capacity_is_answered_503() -> None:
    server = Server(capacity={"http.request": 1}, reading=0, inline_body_bytes=10)
    Wire(server, get("/1"))
    head = get("/2", "Content-Length: 100", method="POST")
    wire = Wire(server, head + b"a" * 10)
    assert wire.statuses == [503]
    assert wire.is_closed
    assert server.hub.statistics()["messages_pending"] == 1


def test_too_many_connections_are_answered_503() -> None:
    server = Server(max_connections=1)
    first, second = Wire(server), Wire(server)
    assert second.statuses == [503]
    assert second.response().field("Retry-After") == "1"
    assert second.is_closed
    second.feed(get())
    second.lose()
    assert (server.count("http.503"), server.count("http.too_many_connections")) == (1, 1)
    first.feed(post(b"x"))
    server.answer(b"y")
    assert first.statuses == [200]
    third = Wire(server)
    assert third.statuses == [503]


def test_a_connection_too_many_is_closed_without_waiting_for_its_client() -> None:
    server = Server(max_connections=1)
    Wire(server)
    second = Wire(server)
    assert second.statuses == [503]
    assert second.transport.is_losing


def test_beyond_those_that_are_told_connections_are_closed_without_a_word() -> None:
    server = Server(max_connections=1)
    factory = SiteFactory(server.site)
    for _ in range(9):
        assert factory.buildProtocol(None) is not None
        Wire(server)
    assert factory.buildProtocol(None) is None
    assert server.count("http.too_many_connections") == 9
