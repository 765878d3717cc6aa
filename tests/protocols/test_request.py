from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.parsing import CHUNKED, HOST, make, parse, status_of


def heads(events: list[Any]) -> list[tuple[str, bytes]]:
    return [(event[0][0], event[0][1]) for event in events if isinstance(event, list)]


def bodies(events: list[Any]) -> list[bytes]:
    return [event[-1] for event in events if isinstance(event, list)]


def with_field(*fields: bytes, version: bytes = b"1.1", host: bytes = HOST) -> bytes:
    return b"POST / HTTP/" + version + b"\r\n" + host + b"\r\n".join(fields) + b"\r\n\r\n"


# What is legal


def test_a_request_is_told_with_lower_case_names_and_plain_values() -> None:
    events = parse(b"GET /a?b HTTP/1.1\r\nHost: a:80\r\nX-Y:  z \t\r\nempty:\r\n\r\n")
    fields = [(b"host", b"a:80"), (b"x-y", b"z"), (b"empty", b"")]
    assert events == [
        [("GET", b"/a?b", "1.1", b"a:80"), fields, (None, False, True, b""), b""],
        "end",
    ]


def test_requests_in_one_piece_are_told_in_order() -> None:
    request = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
    events = parse(b"".join(request % n for n in range(3)))
    assert heads(events) == [("GET", b"/0"), ("GET", b"/1"), ("GET", b"/2")]


def test_empty_lines_before_a_request_are_skipped() -> None:
    parser, recorder = make()
    parser.feed(b"\r\n\r\n")
    assert not parser.in_head
    parser.feed(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert heads(recorder.events) == [("GET", b"/")]


@pytest.mark.parametrize("rest", [b"", b"\r\n"])
def test_between_requests_no_head_has_begun(rest: bytes) -> None:
    parser, _ = make()
    parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + rest)
    assert not parser.in_head
    parser.feed(b"G")
    assert parser.in_head
    parser.feed(b"ET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not parser.in_head


def test_a_body_in_chunks_is_told_without_extensions_and_trailers() -> None:
    events = parse(CHUNKED + b"3;a=b\r\nabc\r\n02\r\nde\r\n0\r\nX: y\r\nHost: evil\r\n\r\n")
    assert bodies(events) == [b"abcde"]
    assert events[0][1] == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]
    assert events[1] == "end"


@pytest.mark.parametrize(
    ("version", "field", "keeps"),
    [
        (b"1.1", b"X: y", True),
        (b"1.1", b"Connection: close", False),
        (b"1.0", b"X: y", False),
        (b"1.0", b"Connection: keep-alive", True),
    ],
)
def test_the_version_and_connection_say_whether_it_is_kept(
    version: bytes, field: bytes, keeps: bool
) -> None:
    [head, _] = parse(with_field(field, version=version))
    assert head[2][2] is keeps


def test_http_1_0_needs_no_host() -> None:
    assert heads(parse(b"GET / HTTP/1.0\r\n\r\n")) == [("GET", b"/")]


@pytest.mark.parametrize(
    "after", [b"\r\n", b"\r\nX", b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16"]
)
def test_what_follows_a_request_that_asks_to_close_is_ignored(after: bytes) -> None:
    closing = with_field(b"Connection: close")
    assert parse(closing + after) == parse(closing, after) == parse(closing)


def test_bytes_from_0x80_pass_in_values() -> None:
    value = bytes(range(0x80, 0x100))
    assert (b"x", value) in parse(with_field(b"X: " + value))[0][1]


def test_names_with_an_underscore_pass() -> None:
    assert (b"x_y", b"z") in parse(with_field(b"X_Y: z"))[0][1]


# What could be read in two ways


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: +5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 5 5"],
        [b"Content-Length:"],
        [b"Content-Length : 5"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding:"],
        [b"X: a", b" b"],
        [b" X: a"],
        [b"X : a"],
        [b": a"],
        [b"X"],
        [b"X: a\nY: b"],
        [b"X: a\rb"],
        [b"X: a\0b"],
        [b"X\x80: a"],
        [b"Host: a"],
        [b"Host: b"],
    ],
)
def test_ambiguous_fields_are_answered_400(fields: list[bytes]) -> None:
    assert status_of(with_field(*fields) + b"0\r\n\r\n") == 400


@pytest.mark.parametrize("byte", [*range(9), *range(10, 0x20), 0x7F])
def test_a_control_byte_in_a_value_is_answered_400(byte: int) -> None:
    assert status_of(with_field(b"X: a%cb" % byte)) == 400


@pytest.mark.parametrize("byte", [*range(0x21), 0x23, *range(0x7F, 0x100)])
def test_a_byte_that_is_not_plain_in_a_target_is_answered_400(byte: int) -> None:
    assert status_of(b"GET /a%cb HTTP/1.1\r\nHost: a\r\n\r\n" % byte) == 400


@pytest.mark.parametrize("coding", [b"xchunked", b"gzip, chunked", b"identity", b"gzip"])
def test_a_transfer_coding_but_chunked_is_answered_501(coding: bytes) -> None:
    assert status_of(with_field(b"Transfer-Encoding: " + coding)) == 501


def test_a_transfer_coding_in_http_1_0_is_answered_400() -> None:
    assert status_of(with_field(b"Transfer-Encoding: chunked", version=b"1.0")) == 400


@pytest.mark.parametrize(
    "host", [b"", b"Host: a\r\nHost: a\r\n", b"Host: a b\r\n", b"Host: a/b\r\n", b"Host: u@a\r\n"]
)
def test_a_missing_double_or_invalid_host_is_answered_400(host: bytes) -> None:
    assert status_of(with_field(b"X: y", host=host)) == 400


@pytest.mark.parametrize("host", [b"a", b"a:80", b"[::1]:80", b"", b"a.b-c_d", b"[fe80::1%25eth0]"])
def test_a_host_may_be_a_name_or_an_address(host: bytes) -> None:
    assert parse(with_field(host=b"Host: " + host + b"\r\n"))[0][0][3] == host


@pytest.mark.parametrize(
    "body",
    [
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;a\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"\r\n",
        b"0\r\nContent-Length: 7\r\n\r\n",
    ],
)
def test_a_malformed_chunk_is_answered_400(body: bytes) -> None:
    assert status_of(CHUNKED + body) == status_of(CHUNKED, body) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\x80 HTTP/1.1",
        b"GET / HTTP/x.0",
        b"GET / HTTP/1.",
        b"GET / HTTPS/1.1",
        b"GET a HTTP/1.1",
    ],
)
def test_a_malformed_request_line_is_answered_400(line: bytes) -> None:
    assert status_of(line + b"\r\n" + HOST + b"\r\n") == 400


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\r\n", b" \r\n"])
def test_a_line_that_ends_otherwise_is_answered_400(end: bytes) -> None:
    assert status_of(b"GET / HTTP/1.1" + end + HOST + b"\r\n") == 400


# Limits


def test_a_long_request_line_is_answered_414() -> None:
    head = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
    assert heads(parse(head % (b"a" * 63), line=64))
    assert status_of(head % (b"a" * 64), line=64) == 414
    assert status_of(b"GET /", *[b"a"] * 64, line=64) == 414


def test_fields_that_are_large_together_are_answered_431() -> None:
    fields = [b"X: " + b"a" * 45] * 2  # 5 of Host and 2 x 46
    assert parse(with_field(*fields), header=97)
    assert status_of(with_field(*fields), header=96) == 431


def test_too_many_fields_are_answered_431() -> None:
    assert parse(with_field(b"X: y"), fields=2)
    assert status_of(with_field(b"X: y", b"X: y"), fields=2) == 431


@pytest.mark.parametrize("piece", [b"a" * 100, b"a: b\r\n" * 10, b"a"])
def test_a_head_without_end_is_answered_431(piece: bytes) -> None:
    start = b"GET / HTTP/1.1\r\nX: "
    assert status_of(start, *[piece] * 5000, line=1000, header=1000, fields=500) == 431


def test_a_head_that_begins_behind_many_requests_is_not_too_long() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    events = parse(request * 2000 + request[:-4], request[-4:])
    assert len(heads(events)) == 2001


def test_a_large_declared_body_is_answered_413_at_its_head() -> None:
    assert status_of(with_field(b"Content-Length: 11"), body=10) == 413
    assert status_of(with_field(b"Content-Length: 99999999999999999999999")) == 413


def test_a_large_body_in_chunks_is_answered_413() -> None:
    assert status_of(CHUNKED + b"6\r\n123456\r\n5\r\n12345\r\n", body=10) == 413
    assert status_of(CHUNKED + b"ffffffffffffffffff\r\n", body=10) == 413


@pytest.mark.parametrize("method", [b"BREW", b"get", b"GE", b"X!", b"DESCRIBE"])
def test_an_unknown_method_is_answered_501(method: bytes) -> None:
    whole = method + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert status_of(whole) == 501
    assert status_of(*[bytes([byte]) for byte in whole]) == 501


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00", b"\0", b"GET\r\n", b"{}", b"\xff\xff"]
)
def test_garbage_is_answered_400(garbage: bytes) -> None:
    assert status_of(garbage) == 400
    assert status_of(*[bytes([byte]) for byte in garbage]) == 400
    assert status_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + garbage) == 400


@pytest.mark.parametrize(
    "start",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        b"GET / HTTP/3.0\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET /\r\n\r\n",
    ],
)
def test_another_version_is_answered_505(start: bytes) -> None:
    assert status_of(start) == 505
    assert status_of(*[bytes([byte]) for byte in start]) == 505


def test_another_expectation_is_answered_417() -> None:
    assert status_of(with_field(b"Expect: 200-ok")) == 417


def test_endless_trailers_are_refused_even_after_a_large_body() -> None:
    body = b"10000\r\n" + b"a" * 65_536 + b"\r\n0\r\nX: "
    assert status_of(CHUNKED, body, *[b"a" * 60_000] * 2) == 400


def test_endless_extensions_are_refused() -> None:
    assert status_of(CHUNKED, b"5;", *[b"a" * 60_000] * 2) == 400


def test_tiny_chunks_may_cost_eight_bytes_each_and_no_more() -> None:
    tiny = b"1\r\na\r\n" * 10_000
    assert bodies(parse(CHUNKED, *[tiny] * 5)) == [b"a" * 50_000]
    padded = b"1;aaaaaaaaaaaaaaa\r\na\r\n" * 3_000
    assert status_of(CHUNKED, *[padded] * 10) == 400


# Upgrade


UPGRADE = (b"Connection: Upgrade", b"Upgrade: h2c")


def websocket(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    given = (line, b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket", *fields)
    return b"\r\n".join((*given, b"", b""))


def test_an_upgrade_to_a_websocket_is_told_with_what_follows() -> None:
    events = parse(websocket() + b"GET / frames")
    assert events[0][2][3] == b"websocket"
    assert events[1:] == [("upgrade", b"GET / frames")]


@pytest.mark.parametrize(
    "request_",
    [
        websocket(line=b"GET / HTTP/1.0"),
        websocket(line=b"DELETE / HTTP/1.1"),
        websocket().replace(b"Connection: Upgrade\r\n", b""),
        websocket().replace(b"websocket", b"h2c"),
    ],
)
def test_an_upgrade_that_is_not_taken_is_ignored(request_: bytes) -> None:
    events = parse(request_)
    assert events[0][2][3] == b""
    assert events[1:] == ["end"]


def test_the_body_of_a_request_with_an_ignored_upgrade_is_no_request() -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    length = b"Content-Length: %d" % len(smuggled)
    whole = with_field(*UPGRADE, length) + smuggled
    after = b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    for events in (parse(whole + after), parse(*[bytes([byte]) for byte in whole + after])):
        assert heads(events) == [("POST", b"/"), ("GET", b"/2")]
        assert bodies(events) == [smuggled, b""]


def test_the_chunks_of_a_request_with_an_ignored_upgrade_are_its_body() -> None:
    whole = with_field(*UPGRADE, b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n"
    for events in (parse(whole * 2), parse(*[bytes([byte]) for byte in whole * 2])):
        assert bodies(events) == [b"abc", b"abc"]


def test_a_websocket_with_a_body_is_a_request_with_a_body() -> None:
    events = parse(websocket(b"Content-Length: 3") + b"abc")
    assert bodies(events) == [b"abc"]
    assert events[-1] == "end"


def test_many_ignored_upgrades_in_one_piece_are_read() -> None:
    assert len(heads(parse(with_field(*UPGRADE) * 1500))) == 1500


@pytest.mark.parametrize("value", [b"a\x85b", b"\xc2\x85"])
def test_a_line_end_of_unicode_is_refused_before_a_websocket(value: bytes) -> None:
    assert status_of(websocket(b"X: " + value)) == 400
    assert parse(websocket(b"X: \xd1\x85\xc3\x85"))[-1] == ("upgrade", b"")
