"""What holds of the request parser for any bytes, in any pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.parsing import CHUNKED, make
from txchannels.errors import PeerError

#: Of two rules that are broken at once, either may be the answer.
EITHER = ({400, 501}, {400, 414}, {400, 431})


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def events_of(pieces: list[bytes]) -> tuple[list[Any], int]:
    """What is told, and the status of the error that ends it; what follows that is not fed."""
    parser, recorder = make(line=200, header=300, fields=10, body=500)
    try:
        for piece in pieces:
            parser.feed(piece)
            if recorder.events and recorder.events[-1][0] == "upgrade":
                break
    except PeerError as error:
        return recorder.events, error.status
    return recorder.events, 0


tokens = st.text("abcXYZ019-_!~", min_size=1, max_size=12)
values = st.text([chr(n) for n in (*range(0x21, 0x7F), *range(0xA0, 0x100))], max_size=20)
reserved = ("host", "content-length", "transfer-encoding", "connection", "upgrade", "expect")
fields = st.lists(
    st.tuples(tokens.filter(lambda name: name.lower() not in reserved), values), max_size=6
)
targets = st.text([chr(n) for n in range(0x21, 0x7F) if chr(n) != "#"], max_size=30).map(
    "/{}".format
)


@st.composite
def requests(draw: Any) -> tuple[bytes, list[Any]]:
    """A legal request in bytes, and what must be told of it."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]))
    target = draw(targets)
    given = draw(fields)
    body = draw(st.binary(max_size=60))
    is_chunked = draw(st.booleans())
    lines = [f"{method} {target} HTTP/1.1", "Host: a.example", *(f"{n}: {v}" for n, v in given)]
    told = [(b"host", b"a.example"), *((n.lower().encode(), v.encode("latin-1")) for n, v in given)]
    if is_chunked:
        lines.append("Transfer-Encoding: chunked")
        told.append((b"transfer-encoding", b"chunked"))
        sizes = draw(st.lists(st.integers(0, 60), max_size=4))
        chunks = [chunk for chunk in cut(body, sizes) if chunk]
        wire = b"".join(b"%x;e=f\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\nT: u\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
        told.append((b"content-length", b"%d" % len(body)))
        wire = body
    framing = (None if is_chunked else len(body), is_chunked or bool(body), True, b"")
    first = (method, target.encode(), "1.1", b"a.example")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + wire, [[first, told, framing, body], "end"]


@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 2000), max_size=8))
def test_a_legal_request_is_told_as_it_was_made_in_any_pieces(
    made: list[tuple[bytes, list[Any]]], cuts: list[int]
) -> None:
    data = b"".join(wire for wire, _ in made)
    parser, recorder = make()
    for piece in cut(data, cuts):
        parser.feed(piece)
    assert recorder.events == [event for _, told in made for event in told]
    assert not parser.in_head


snippets = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"X: " + b"y" * 290 + b"\r\n",
        b"\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
        b"GET /" + b"a" * 250,
        b"GET / HTTP/2.0\r\n",
        b"BREW ",
    ]
)
wild = st.lists(st.one_of(snippets, st.binary(max_size=8)), max_size=8).map(b"".join)


@given(wild, st.lists(st.integers(0, 2000), max_size=8))
def test_any_pieces_of_any_bytes_tell_the_same(data: bytes, cuts: list[int]) -> None:
    whole, status = events_of([data])
    pieces, status_in_pieces = events_of(cut(data, cuts))
    if whole and whole[-1][0] == "upgrade":
        whole[-1] = pieces[-1] = "upgrade"
    assert pieces == whole
    assert status_in_pieces == status or {status, status_in_pieces} in EITHER


@given(st.binary(max_size=300))
def test_garbage_raises_only_the_clients_error(data: bytes) -> None:
    events_of([data])
    events_of([b"POST / HTTP/1.1\r\nHost: a\r\n" + data])
    events_of([CHUNKED + data])
