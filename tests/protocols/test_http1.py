from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import UNIXAddress

from tests.protocols.exchanges import HOST, Server, Wire, get, post, read_responses
from tests.protocols.sockets import Transport
from txchannels.errors import ChannelClosed

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def server() -> Server:
    return Server()


# Requests and responses


def test_a_request_becomes_a_message(server: Server) -> None:
    Wire(server, get("/caf%C3%A9?q=%20", "X-Y: z"))
    [message] = server.requests
    assert message.pop("reply_channel").startswith(server.site.prefix)
    assert message == {
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/café",
        "query_string": b"q=%20",
        "root_path": "",
        "headers": [[b"host", b"example.com"], [b"x-y", b"z"]],
        "body": b"",
        "body_channel": None,
        "client": ["192.0.2.7", 50_123],
        "server": ["192.0.2.1", 8000],
    }


def test_the_first_message_becomes_the_response(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"Hello", status=201, headers=[[b"X-A", b"1"], ["X-B", "é"], [b"X-A", b"2"]])
    assert wire.sent == (
        b"HTTP/1.1 201 Created\r\nX-A: 1\r\nX-B: \xe9\r\nX-A: 2\r\nContent-Length: 5\r\n"
        b"Date: Sun, 09 Sep 2001 01:46:40 GMT\r\n\r\nHello"
    )


def test_a_connection_is_kept_for_the_next_request(server: Server) -> None:
    wire = Wire(server)
    for n in range(3):
        wire.feed(get(f"/{n}"))
        server.answer(b"%d" % n)
    assert [response.body for response in wire.responses()] == [b"0", b"1", b"2"]
    assert not wire.is_closed


def test_a_client_that_asks_to_close_is_closed_after_the_answer(server: Server) -> None:
    wire = Wire(server, get("/", "Connection: close"))
    assert not wire.is_closed
    server.answer(b"x")
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed


def test_a_view_that_asks_to_close_is_obeyed(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"x", headers=[[b"Connection", b"close"]])
    assert wire.response().field("Connection") == "close"
    assert wire.is_closed


@pytest.mark.parametrize("name", [b"Transfer-Encoding", b"Keep-Alive", b"upgrade", b"Date"])
def test_fields_on_the_connection_are_the_servers(server: Server, name: bytes) -> None:
    wire = Wire(server, get())
    server.answer(b"x", headers=[[name, b"chunked"]])
    assert b"chunked" not in wire.sent
    assert wire.response().body == b"x"


def test_there_is_one_date_and_it_moves(server: Server) -> None:
    wire = Wire(server, get())
    server.answer(b"", headers=[[b"date", b"never"]])
    assert wire.response().field("Date") == "Sun, 09 Sep 2001 01:46:40 GMT"
    server.wall_seconds += 1
    server.advance(1)
    wire.feed(get())
    server.answer(b"")
    assert wire.responses()[1].field("Date") == "Sun, 09 Sep 2001 01:46:41 GMT"


# Targets


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://other.example:81/a?b", "/a", b"b"),
        ("HTTPS://other.example:81/a?b", "/a", b"b"),
        ("http://other.example:81", "/", b""),
        ("http://other.example:81?b", "/", b"b"),
    ],
)
def test_an_absolute_target_wins_over_host(
    server: Server, target: str, path: str, query: bytes
) -> None:
    Wire(server, get(target))
    [message] = server.requests
    assert (message["path"], message["query_string"]) == (path, query)
    assert message["headers"] == [[b"host", b"other.example:81"]]


@pytest.mark.parametrize("target", ["http://u@a/", "http:///a", "ftp://a/b", 'http://a"b/', "*"])
def test_a_target_that_is_not_ours_is_answered_400(server: Server, target: str) -> None:
    wire = Wire(server, get(target))
    assert wire.statuses == [400]
    assert server.requests == []


def test_options_for_the_server_are_answered_by_it(server: Server) -> None:
    wire = Wire(server, get("*", method="OPTIONS"))
    assert wire.response().status == 200
    assert "GET" in (wire.response().field("Allow") or "")
    assert server.requests == []


def test_invalid_utf_8_in_a_path_is_replaced(server: Server) -> None:
    Wire(server, get("/%FF%41"))
    assert server.requests[0]["path"] == "/\ufffdA"


def test_a_unix_socket_has_no_addresses(server: Server) -> None:
    transport = Transport()
    transport.getPeer = transport.getHost = lambda: UNIXAddress(None)
    wire = Wire(server, get(), transport=transport)
    assert server.requests[0]["client"] is None
    assert server.requests[0]["server"] is None
    server.answer(b"x")
    assert wire.statuses == [200]


def test_the_trusted_proxy_says_who_the_client_is() -> None:
    server = Server(proxy_hops=1)
    Wire(server, get("/", "X-Forwarded-For: 192.0.2.99, 2001:db8::1", "X-Forwarded-Proto: https"))
    assert server.requests[0]["client"] == ["2001:db8::1", 0]
    assert server.requests[0]["scheme"] == "https"


# When the client is gone


@pytest.mark.parametrize("at", [*range(1, 60), 70])
def test_a_client_may_vanish_at_any_byte(server: Server, at: int) -> None:
    data = post(b"0123456789" * 3, "/", "Connection: close")
    wire = Wire(server, data[:at])
    wire.lose()
    server.assert_nothing_left()
    other = Wire(server, get("/other"))
    server.answer(b"x")
    assert other.statuses == [200]


def test_a_client_that_leaves_takes_its_reply_channel_with_it(server: Server) -> None:
    server.listen_to_disconnects()
    wire = Wire(server, get("/a"))
    server.answer(b"x", more=True)
    wire.lose()
    server.assert_nothing_left()
    with pytest.raises(ChannelClosed):
        server.stream(b"y")
    [message] = server.requests
    assert server.gone == [{"reply_channel": message["reply_channel"], "path": "/a"}]
    assert server.log.requests == [(["192.0.2.7", 50_123], "GET", b"/a", "1.1", 200, 1)]


def test_each_request_is_logged_once(server: Server) -> None:
    wire = Wire(server, get("/1") + get("/2", "Connection: close"))
    server.answer(b"x", at=0)
    server.answer(b"xy", at=1)
    wire.lose()
    told = [(line[2], line[4], line[5]) for line in server.log.requests]
    assert told == [(b"/1", 200, 1), (b"/2", 200, 2)]


def test_a_request_whose_client_left_first_is_logged_499(server: Server) -> None:
    Wire(server, get("/1")).lose()
    assert server.log.requests[0][4] == 499


# Properties


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                get("/a"),
                post(b"hello"),
                get("/h", method="HEAD"),
                get("/c", "Connection: close"),
                get("*", method="OPTIONS"),
                b"POST / HTTP/1.1\r\n"
                + HOST
                + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
                b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\n",
                b"garbage\r\n\r\n",
                b"\r\n",
            ]
        ),
        max_size=5,
    ),
    st.lists(st.integers(0, 600), max_size=8),
    st.booleans(),
)
def test_any_pieces_get_the_same_responses(
    sent: list[bytes], cuts: list[int], is_late: bool
) -> None:
    data = b"".join(sent)
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    answers = [_converse([data], is_late), _converse(pieces, is_late)]
    if b"garbage" in data:  # behind another request, a method is not known
        answers = [[400 if one == 501 else one for one in answer] for answer in answers]
    assert answers[0] == answers[1]


def _converse(pieces: list[bytes], is_late: bool) -> list[int]:
    server = Server()
    wire = Wire(server)
    answered = 0
    for piece in [*pieces, b""]:
        if piece:
            wire.feed(piece)
        while answered < len(server.requests) and (not is_late or not piece):
            server.answer(b"x", at=answered)
            answered += 1
    methods = [message["method"] for message in server.requests]
    if b"OPTIONS" in b"".join(pieces):  # the server's own answers are told by no message
        methods = ["HEAD"] * wire.sent.count(b"HTTP/1.1 ")
        heads = b"".join(_without_bodies(wire.sent))
        return [response.status for response in read_responses(heads, *methods)]
    return [response.status for response in wire.responses(*methods)]


def _without_bodies(data: bytes) -> list[bytes]:
    parts = data.split(b"HTTP/1.1 ")[1:]
    return [b"HTTP/1.1 " + part.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for part in parts]
