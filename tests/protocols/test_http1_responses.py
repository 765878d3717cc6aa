"""How a response is framed, and what the application may not put into it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.exchanges import Server, Wire, get
from txchannels.errors import ChannelClosed


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_response_of_unknown_length_is_sent_in_chunks_as_they_come(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"one", more=True)
    assert wire.sent.endswith(b"\r\n\r\n3\r\none\r\n")
    server.stream(b"")
    server.stream(b"twotwo")
    assert wire.sent.endswith(b"3\r\none\r\n6\r\ntwotwo\r\n")
    server.stream(b"three", more=False)
    response = wire.response()
    assert (response.body, response.is_whole) == (b"onetwotwothree", True)
    wire.feed(get())
    server.answer(b"next")
    assert wire.responses()[1].body == b"next"


def test_a_stream_without_content_has_an_empty_body(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"", more=True)
    server.stream(b"", more=False)
    assert wire.sent.endswith(b"\r\n\r\n0\r\n\r\n")


def test_a_stream_of_declared_length_is_not_chunked(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"12", headers=[[b"Content-Length", b"5"]], more=True)
    server.stream(b"345", more=False)
    assert wire.response().field("Transfer-Encoding") is None
    assert wire.response().body == b"12345"
    assert not wire.is_closed


def test_content_beyond_the_declared_length_is_cut_off(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"123", headers=[[b"Content-Length", b"2"]], more=True)
    server.stream(b"HTTP/1.1 200 OK", more=False)
    assert wire.response().body == b"12"


def test_a_response_shorter_than_declared_breaks_the_connection(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"123", headers=[[b"Content-Length", b"5"]], more=True)
    server.stream(b"", more=False)
    assert wire.is_aborted
    assert server.count("http.bad_response") == 1


def test_a_whole_response_has_the_length_that_it_has(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"12345", headers=[[b"Content-Length", b"99"]])
    assert wire.response().field("Content-Length") == "5"


# HEAD, 204, 304


@pytest.mark.parametrize("more", [False, True])
def test_the_answer_to_head_has_no_body(server: Server, more: bool) -> None:
    wire = Wire(server, get(method="HEAD"))
    server.answer(b"Hello", more=more)
    response = wire.response("HEAD")
    assert response.field("Content-Length") == (None if more else "5")
    assert response.field("Transfer-Encoding") is None
    wire.feed(get())
    server.answer(b"x")
    assert [one.body for one in wire.responses("HEAD", "GET")] == [b"", b"x"]


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_the_declared_length_of_what_is_not_sent_is_kept(
    server: Server, method: str, more: bool
) -> None:
    wire = Wire(server, get(method=method))
    status = 200 if method == "HEAD" else 304
    server.answer(b"", status=status, headers=[[b"Content-Length", b"99"]], more=more)
    assert wire.response(method).field("Content-Length") == "99"
    assert not wire.is_aborted


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_stream_that_has_no_body_ends_with_its_head(
    server: Server, method: str, status: int
) -> None:
    wire = Wire(server, get(method=method) + get("/next"))
    server.answer(b"one", status=status, more=True)
    with pytest.raises(ChannelClosed):
        server.stream(b"two", at=0)
    assert server.log.requests[0][4:] == (status, 0)
    server.answer(b"next")
    first, second = wire.responses(method, "GET")
    assert (first.field("Transfer-Encoding"), first.field("Connection")) == (None, None)
    assert (second.body, wire.transport.is_paused) == (b"next", False)


def test_a_stream_without_a_body_closes_before_a_long_rest_of_the_request() -> None:
    server = Server(inline_body_bytes=10)
    wire = Wire(server, get("/", "Content-Length: 9000000", method="POST") + b"a" * 10)
    server.answer(b"", status=204, more=True)
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(server: Server, status: int) -> None:
    wire = Wire(server, get())
    server.answer(b"not sent", status=status)
    response = wire.response()
    assert response.status == status
    assert response.field("Content-Length") is None
    assert b"not sent" not in wire.sent


def test_a_204_has_no_length(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"", status=204, headers=[[b"Content-Length", b"0"]])
    assert wire.response().field("Content-Length") is None


# HTTP/1.0


def test_http_1_0_is_closed_after_the_answer(server: Server) -> None:
    wire = Wire(server, get(version="1.0"))
    server.answer(b"x")
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed


def test_http_1_0_is_kept_when_it_asks(server: Server) -> None:
    wire = Wire(server)
    for _ in range(2):
        wire.feed(get("/", "Connection: keep-alive", version="1.0"))
        server.answer(b"x")
    assert [one.field("Connection") for one in wire.responses()] == ["keep-alive"] * 2
    assert not wire.is_closed


def test_http_1_0_gets_no_chunks(server: Server) -> None:
    wire = Wire(server, get("/", "Connection: keep-alive", version="1.0"))
    server.answer(b"one", more=True)
    server.stream(b"two", more=False)
    assert wire.response().body == b"onetwo"
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed


# What the application may not do


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X", b"a\r\nSet-Cookie: b"),
        (b"X", b"a\nb"),
        (b"X", b"a\rb"),
        (b"X", b"a\0b"),
        (b"X: a\r\nY", b"b"),
        (b"X Y", b"b"),
        (b"", b"b"),
        (b"X:", b"b"),
        (b"Content-Length", b"-5"),
        (b"Content-Length", b"1_0"),
        ("X", 5),
        (b"X", "\u20ac"),
    ],
)
def test_a_field_that_would_break_the_response_is_answered_500(
    server: Server, name: Any, value: Any
) -> None:
    wire = Wire(server, get())
    server.answer(b"x", headers=[[name, value]])
    assert wire.statuses == [500]
    assert b"Set-Cookie" not in wire.sent
    assert (server.count("http.500"), server.count("http.bad_response")) == (1, 1)
    wire.feed(get())
    server.answer(b"fine")
    assert wire.statuses == [500, 200]


@pytest.mark.parametrize("status", [100, 101, 199, 0, -1, 1000, "200", None, [200]])
def test_a_status_that_is_not_final_is_answered_500(server: Server, status: Any) -> None:
    wire = Wire(server, get())
    server.answer(b"x", status=status)
    assert wire.statuses == [500]


@pytest.mark.parametrize("content", ["text", 5, ["a"]])
def test_content_that_is_not_bytes_is_answered_500(server: Server, content: Any) -> None:
    wire = Wire(server, get())
    server.answer(content)
    assert wire.statuses == [500]


def test_content_may_be_any_kind_of_bytes(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(bytearray(b"x"), more=True)
    server.stream(memoryview(b"y"), more=False)
    assert wire.response().body == b"xy"


def test_a_second_status_breaks_the_connection(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"x", more=True)
    server.answer(b"y")
    assert wire.is_aborted


def test_an_unknown_status_has_no_phrase(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"", status=299)
    assert wire.sent.startswith(b"HTTP/1.1 299 \r\n")
