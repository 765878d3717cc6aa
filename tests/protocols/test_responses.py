from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txchannels.protocols.request import Head
from txchannels.protocols.responses import (
    IllegalResponse,
    encode_error,
    encode_head,
    encode_response,
    error_body,
    reason_of,
    status_line,
)

DATE = b"Date: x"


def encode(
    *fields: Any,
    method: str = "GET",
    version: str = "1.1",
    status: Any = 200,
    size: int = 0,
    more: bool = False,
) -> tuple[list[bytes], bool, int | None, bool]:
    head, *rest = encode_response(Head(method, b"/", version, []), status, fields, size, more, DATE)
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n"), *rest


def test_a_status_has_its_phrase() -> None:
    assert status_line(404) == b"HTTP/1.1 404 Not Found"
    assert status_line(599) == b"HTTP/1.1 599 "
    assert (reason_of(503), reason_of(599)) == ("Service Unavailable", "")


@pytest.mark.parametrize("status", [0, 100, 199, 1000, -200, "200", None, 200.5])
def test_a_status_that_is_not_final_is_illegal(status: Any) -> None:
    with pytest.raises(IllegalResponse):
        status_line(status)


def test_a_head_is_its_lines() -> None:
    assert encode_head(200, [b"A: b"]) == b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"


@pytest.mark.parametrize("line", [b"A: b\r\nC: d", b"A: b\nC", b"A: b\r", b"A: \0"])
def test_a_line_that_would_break_the_head_is_illegal(line: bytes) -> None:
    with pytest.raises(IllegalResponse):
        encode_head(200, [line])


def test_a_whole_response_has_a_length() -> None:
    lines, has_body, left, is_chunked = encode([b"A", b"b"], size=3)
    assert lines == [b"HTTP/1.1 200 OK", b"A: b", b"Content-Length: 3", DATE]
    assert (has_body, left, is_chunked) == (True, None, False)


def test_a_stream_is_chunked_or_has_the_declared_length() -> None:
    lines, _, left, is_chunked = encode(more=True)
    assert b"Transfer-Encoding: chunked" in lines
    assert (left, is_chunked) == (None, True)
    lines, _, left, is_chunked = encode([b"content-length", b"9"], more=True)
    assert b"Content-Length: 9" in lines
    assert (left, is_chunked) == (9, False)


def test_http_1_0_is_told_the_end_of_a_stream_by_closing() -> None:
    lines, _, left, is_chunked = encode(more=True, version="1.0")
    assert lines == [b"HTTP/1.1 200 OK", b"Connection: close", DATE]
    assert (left, is_chunked) == (None, False)


def test_the_same_length_twice_is_one_and_two_lengths_are_illegal() -> None:
    length = [b"Content-Length", b"9"]
    lines, *_ = encode(length, length, more=True)
    assert lines.count(b"Content-Length: 9") == 1
    with pytest.raises(IllegalResponse):
        encode(length, [b"Content-Length", b"8"], more=True)


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b" 1", b"1_0", b"0x1", b"9" * 19])
def test_a_length_that_is_none_is_illegal(value: bytes) -> None:
    with pytest.raises(IllegalResponse):
        encode([b"Content-Length", value])


@pytest.mark.parametrize("value", [b"close", b"Close", b"foo, close"])
def test_a_connection_field_asks_to_close(value: bytes) -> None:
    lines, *_ = encode([b"Connection", value])
    assert lines == [b"HTTP/1.1 200 OK", b"Content-Length: 0", b"Connection: close", DATE]


def test_an_error_says_what_a_person_can_read() -> None:
    assert error_body(413, "Too much.") == b"413 Request Entity Too Large\n\nToo much.\n" or (
        error_body(413, "Too much.") == b"413 Content Too Large\n\nToo much.\n"
    )


@pytest.mark.parametrize(("status", "retries"), [(503, True), (400, False)])
def test_an_error_of_the_server_is_a_whole_response(status: int, retries: bool) -> None:
    head, _, body = encode_error(status, "Why", DATE, 1).partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert b"\r\nConnection: close\r\n" in head
    assert (b"\r\nRetry-After: 1\r\n" in head) is retries


@given(
    st.lists(
        st.tuples(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"A", b"Content-Length"])),
            st.binary(max_size=6),
        ),
        max_size=4,
    ),
    st.integers(0, 1100),
    st.booleans(),
)
def test_whatever_is_encoded_has_one_line_a_field(
    fields: list[tuple[bytes, bytes]], status: int, more: bool
) -> None:
    try:
        lines, *_ = encode(*fields, status=status, more=more, size=3)
    except IllegalResponse:
        return
    assert all(b": " in line and not set(line) & set(b"\r\n\0") for line in lines[1:])
    assert sum(line.startswith(b"Content-Length: ") for line in lines) <= 1
    assert lines.count(DATE) == 1
