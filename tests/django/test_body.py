from __future__ import annotations

import io
import itertools
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txchannels.django.body import BodyStream
from txchannels.django.exceptions import RequestAborted, RequestTimeout

LINES = b"one\ntwo\n\nfour"
CUTS = st.lists(st.integers(0, len(LINES)), max_size=6)


class Pieces:
    """A layer on whose body channel *messages* wait; then nothing comes."""

    def __init__(self, messages):
        self.messages = deque(messages)
        self.timeouts = []

    def receive(self, channels, block=False, timeout=None):
        assert (channels, block) == (["body?a"], True)
        self.timeouts.append(timeout)
        return ("body?a", self.messages.popleft()) if self.messages else (None, None)


def stream_of(*contents, start=b"", ends=True, timeout=5.0):
    messages = [{"content": content, "more_content": True} for content in contents]
    if ends:
        messages.append({"content": b"", "more_content": False})
    return BodyStream(Pieces(messages), "body?a", start, timeout)


def cut(data, cuts):
    bounds = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


@given(CUTS, st.integers(1, 20))
def test_any_cutting_reads_the_same(cuts, size):
    start, *rest = cut(LINES, cuts)
    stream, file = stream_of(*rest, start=start), io.BytesIO(LINES)
    while piece := file.read(size):
        assert stream.read(size) == piece
    assert stream.read(size) == b""


@given(CUTS, st.sampled_from([-1, None, 1, 3, 4, 100]))
def test_any_cutting_has_the_same_lines(cuts, size):
    start, *rest = cut(LINES, cuts)
    stream, file = stream_of(*rest, start=start), io.BytesIO(LINES)
    while line := file.readline(size):
        assert stream.readline(size) == line
    assert stream.readline(size) == b""


@pytest.mark.parametrize("size", [-1, None])
def test_without_a_size_all_is_read(size):
    assert stream_of(b"b", b"c", start=b"a").read(size) == b"abc"


def test_nothing_is_waited_for_to_read_nothing():
    stream = stream_of(ends=False)
    assert stream.read(0) == b""
    assert stream.readline(0) == b""
    assert stream._layer.timeouts == []


def test_what_is_there_is_given_before_more_is_waited_for():
    stream = stream_of(ends=False, start=b"abc")
    assert stream.read(3) == b"abc"
    assert stream._layer.timeouts == []


def test_it_is_a_file_for_others_too():
    assert stream_of(b"ab", start=b"c").readable()
    buffer = bytearray(2)
    assert stream_of(b"ab", start=b"c").readinto(buffer) == 2
    assert buffer == b"ca"
    assert io.BufferedReader(stream_of(b"a\n", b"b")).readlines() == [b"a\n", b"b"]
    assert list(stream_of(b"a\n", b"b")) == [b"a\n", b"b"]


def test_a_client_that_leaves_is_told_and_stays_away():
    pieces = Pieces([{"content": b"a", "more_content": True}, {"closed": True}])
    stream = BodyStream(pieces, "body?a", b"", 5.0)
    assert stream.read(1) == b"a"
    for _ in range(2):
        with pytest.raises(RequestAborted):
            stream.read(1)
    with pytest.raises(RequestAborted):
        stream.readline()


def test_a_piece_that_does_not_come_in_time_is_a_timeout_ever_after():
    stream = stream_of(b"a", ends=False, timeout=0.01)
    assert stream.read(1) == b"a"
    for _ in range(2):
        with pytest.raises(RequestTimeout):
            stream.read(1)


def test_each_piece_has_the_whole_timeout():
    stream = stream_of(b"a", b"b", timeout=60.0)
    stream.read()
    assert all(59 < timeout <= 60 for timeout in stream._layer.timeouts)


def test_a_body_of_which_a_part_expired_is_not_read_as_if_it_were_whole(layer):
    stream = BodyStream(layer, "body?x", b"ab", 1.0)
    layer.send("body?x", {"offset": 4, "content": b"ef", "more_content": False})
    with pytest.raises(RequestAborted, match="expired"):
        stream.read()
