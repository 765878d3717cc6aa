from __future__ import annotations

import pytest

from tests.protocols.exchanges import Server, Wire, get, post

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MEBIBYTE = 2**20


@pytest.fixture
def server() -> Server:
    return Server(inline_body_bytes=10)


def upload(size: int, *fields: str) -> bytes:
    return get("/", f"Content-Length: {size}", *fields, method="POST")


def chunked(*fields: str) -> bytes:
    return get("/", "Transfer-Encoding: chunked", *fields, method="POST")


def content(chunks: list[dict[str, object]]) -> bytes:
    return b"".join(chunk["content"] for chunk in chunks)  # type: ignore[misc]


# Inline and on a channel


def test_a_short_body_goes_with_the_message(server: Server) -> None:
    wire = Wire(server, upload(9) + b"12345")
    assert server.requests == []
    wire.feed(b"6789")
    [message] = server.requests
    assert (message["body"], message["body_channel"]) == (b"123456789", None)


def test_a_short_body_in_chunks_goes_with_the_message(server: Server) -> None:
    Wire(server, chunked() + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    [message] = server.requests
    assert (message["body"], message["body_channel"]) == (b"abcde", None)


def test_a_longer_body_follows_on_a_channel(server: Server) -> None:
    wire = Wire(server, upload(16) + b"0123456789")
    [message] = server.requests
    assert message["body"] == b"0123456789"
    wire.feed(b"abc")
    wire.feed(b"def")
    about = {"reply_channel": message["reply_channel"], "closed": False}
    assert server.read_body() == [
        {**about, "offset": 10, "content": b"abc", "more_content": True},
        {**about, "offset": 13, "content": b"def", "more_content": True},
        {**about, "offset": 16, "content": b"", "more_content": False},
    ]


def test_the_end_of_a_body_in_chunks_may_bring_nothing(server: Server) -> None:
    wire = Wire(server, chunked() + b"a\r\n0123456789\r\n", b"0\r\n\r\n")
    [end] = server.read_body()
    assert (end["offset"], end["content"], end["more_content"]) == (10, b"", False)
    server.answer(b"x")
    assert wire.statuses == [200]


def test_a_full_body_channel_stops_the_client(server: Server) -> None:
    wire = Wire(server, upload(3 * MEBIBYTE) + b"a" * 10)
    fed = 10
    while not wire.transport.is_paused:
        wire.feed(b"a" * 65_536)
        fed += 65_536
    assert fed < 1.2 * MEBIBYTE
    assert len(content(server.read_body())) == fed - 10
    assert not wire.transport.is_paused
    assert server.layer.hub.accounts()["http.request.body?"].dropped.total() == 0


def test_a_body_arrives_whole_through_a_full_channel(server: Server) -> None:
    wire = Wire(server, chunked() + b"a\r\n0123456789\r\n")
    got = b""
    sent = b""
    for n in range(200):
        piece = b"%03d" % n
        sent += piece
        wire.feed(b"3\r\n" + piece + b"\r\n")
        if wire.transport.is_paused:
            got += content(server.read_body())
    wire.feed(b"0\r\n\r\n")
    chunks = server.read_body()
    assert got + content(chunks) == sent
    assert [chunk["more_content"] for chunk in chunks][-1] is False


def test_many_tiny_chunks_in_one_piece_are_few_messages(server: Server) -> None:
    Wire(server, chunked() + b"a\r\n0123456789\r\n", b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n")
    chunks = server.read_body()
    assert content(chunks) == b"a" * 10_000
    assert len(chunks) < 50


def test_a_client_that_leaves_wakes_the_view_that_reads(server: Server) -> None:
    wire = Wire(server, upload(100) + b"a" * 10)
    got: list[object] = []
    channel = server.requests[0]["body_channel"]
    server.hub.subscribe([channel], lambda channel, message: got.append(message)).request(1)
    wire.lose()
    assert got == [{"content": b"", "closed": True, "more_content": False}]


def test_a_client_that_leaves_is_told_in_place_of_what_was_not_read(server: Server) -> None:
    wire = Wire(server, upload(100) + b"a" * 10, b"b" * 20)
    wire.lose()
    assert server.read_body() == [{"content": b"", "closed": True, "more_content": False}]


def test_what_an_answered_view_has_not_read_is_forgotten(server: Server) -> None:
    Wire(server, upload(100) + b"a" * 10, b"b" * 90)
    server.answer(b"x")
    assert server.read_body() == []


# Expect: 100-continue (RFC 9110, section 10.1.1)


def test_a_wanted_body_is_asked_for(server: Server) -> None:
    wire = Wire(server, upload(3, "Expect: 100-continue"))
    assert wire.sent == CONTINUE
    wire.feed(b"abc")
    server.answer(b"x")
    assert wire.statuses == [100, 200]


@pytest.mark.parametrize(
    "head",
    [
        upload(MEBIBYTE * 4096, "Expect: 100-continue"),
        get("/", "Transfer-Encoding: gzip", "Expect: 100-continue"),
        get("/", "Expect: 100-continue", "Expect: 200-ok", "Content-Length: 5"),
    ],
)
def test_a_refused_body_is_not_asked_for(server: Server, head: bytes) -> None:
    wire = Wire(server, head)
    [status] = wire.statuses
    assert status in (413, 417, 501)
    assert wire.is_closed


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_no_body_is_asked_for_where_there_is_none(server: Server, version: str) -> None:
    wire = Wire(server, get("/", "Expect: 100-continue", version=version))
    assert wire.sent == b""
    assert len(server.requests) == 1


def test_http_1_0_is_not_asked_for_a_body(server: Server) -> None:
    wire = Wire(server, get("/", "Content-Length: 1", "Expect: 100-continue", version="1.0"))
    assert wire.sent == b""


# Views that do not read


def test_a_connection_is_kept_after_a_view_that_ignores_a_small_body(server: Server) -> None:
    wire = Wire(server, upload(100) + b"a" * 10)
    server.answer(b"ignored")
    assert wire.statuses == [200]
    wire.feed(b"a" * 90 + get("/2"))
    server.answer(b"2")
    assert [one.body for one in wire.responses()] == [b"ignored", b"2"]
    assert not wire.is_closed


def test_a_connection_is_kept_after_a_view_that_ignores_chunks(server: Server) -> None:
    wire = Wire(server, chunked() + b"a\r\n0123456789\r\n")
    server.answer(b"ignored")
    wire.feed(b"3\r\nabc\r\n0\r\n\r\n" + get("/2"))
    server.answer(b"2")
    assert wire.statuses == [200, 200]


def test_a_view_that_ignores_a_large_body_closes_and_says_so(server: Server) -> None:
    wire = Wire(server, upload(MEBIBYTE * 5) + b"a" * 10)
    server.answer(b"no", status=403)
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed
    for _ in range(80):
        wire.feed(b"a" * 65_536)
    assert wire.response().body == b"no"
    assert not wire.transport.is_losing


def test_endless_chunks_that_nobody_reads_close_the_connection(server: Server) -> None:
    wire = Wire(server, chunked() + b"a\r\n0123456789\r\n")
    server.answer(b"no")
    assert not wire.is_closed
    for _ in range(20):
        wire.feed(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
    assert wire.is_closed
    assert wire.response().body == b"no"


def test_a_stopped_client_goes_on_when_the_view_answers_without_reading(server: Server) -> None:
    wire = Wire(server, upload(MEBIBYTE * 2) + b"a" * 10)
    while not wire.transport.is_paused:
        wire.feed(b"a" * 65_536)
    server.answer(b"no")
    assert not wire.transport.is_paused


def test_a_bad_body_that_nobody_reads_closes_the_connection(server: Server) -> None:
    wire = Wire(server, chunked() + b"a\r\n0123456789\r\n")
    server.answer(b"no")
    wire.feed(b"x\r\n")
    assert wire.statuses == [200]
    assert wire.is_closed


def test_a_view_may_answer_while_it_still_reads(server: Server) -> None:
    wire = Wire(server, upload(20) + b"a" * 10)
    server.answer(b"start", more=True)
    wire.feed(b"b" * 10)
    assert content(server.read_body()) == b"b" * 10
    server.stream(b"end", more=False)
    assert wire.response().body == b"startend"


def test_a_body_that_breaks_while_the_view_answers_breaks_the_connection(server: Server) -> None:
    wire = Wire(server, chunked() + b"a\r\n0123456789\r\n")
    server.answer(b"start", more=True)
    wire.feed(b"x\r\n")
    assert wire.is_aborted
    assert server.count("http.400") == 1


def test_a_body_that_breaks_while_the_view_reads_is_answered_400(server: Server) -> None:
    wire = Wire(server, chunked() + b"a\r\n0123456789\r\n", b"x\r\n")
    assert wire.statuses == [400]
    assert server.read_body() == [{"content": b"", "closed": True, "more_content": False}]
    assert server.count("http.400") == 1


def test_the_body_of_an_ignored_upgrade_is_read(server: Server) -> None:
    wire = Wire(server, post(b"abc", "/", "Connection: Upgrade", "Upgrade: h2c") + get("/2"))
    server.answer(b"1")
    server.answer(b"2")
    assert [message["body"] for message in server.requests] == [b"abc", b""]
    assert wire.statuses == [200, 200]
