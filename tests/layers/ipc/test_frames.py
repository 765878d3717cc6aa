"""Bytes in whatever pieces are the same frames; bytes that are none are refused."""

from __future__ import annotations

import struct
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from txchannels.errors import (
    ChannelClosed,
    ChannelFull,
    LayerUnavailable,
    MessageTooLarge,
    Unanswered,
)
from txchannels.layers.ipc.frames import (
    MAX_FRAME_BYTES,
    Decoder,
    FrameError,
    Word,
    encode,
    error_from,
    kind_of,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
frames = st.lists(st.tuples(st.sampled_from(Word), values, values), max_size=6)


def framed(payload):
    return struct.pack("!I", len(payload)) + payload


def cut(data, places):
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def feed(pieces):
    decoder = Decoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)]


@given(frames, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_chunking_gives_the_same_frames(sent, places):
    data = b"".join(encode(*fields) for fields in sent)
    assert feed(cut(data, places)) == [list(fields) for fields in sent]


def test_byte_by_byte_gives_the_same_frames():
    data = encode(Word.PING) + encode(Word.TELL, "a", {"b": [b"c", 1.5]}) + encode(Word.PONG)
    assert feed(data[at : at + 1] for at in range(len(data))) == feed([data])


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
@example(b"\x00\x00\x00\x00", [])
@settings(max_examples=400)
def test_garbage_raises_frame_errors_only(data, places):
    try:
        for frame in feed(cut(data, places)):
            assert type(frame[0]) is int
    except FrameError:
        pass


@given(st.binary(max_size=200))
@example(b"\x91\xc4\x01a")  # bytes as a word
@example(b"\x80")  # no list
@example(b"\x90")  # an empty one
@example(b"\x91\xc3")  # True is no word
@example(b"\x92\x00\x81\x90\x00")  # a list as a key
@example(b"\x92\x00\xd6\xff\x00\x00\x00\x00")  # a timestamp
@example(b"\x91\x00\x00")  # more than one value
@settings(max_examples=400)
def test_garbage_in_a_frame_raises_frame_errors_only(payload):
    try:
        [frame] = Decoder().feed(framed(payload))
    except FrameError:
        return
    assert type(frame) is list
    assert type(frame[0]) is int


@pytest.mark.parametrize(
    "payload",
    [
        b"\x93\x00\x01\xdd\xff\xff\xff\xff",
        b"\x92\x00" + b"\xdc\xff\xff" * 1000,
        b"\x92\x00\xdf\xff\xff\xff\xff",
        b"\x92\x00\xc6\xff\xff\xff\xff",
        b"\x92\x00\xdb\xff\xff\xff\xff",
        b"\x92\x00" + b"\x91" * 100_000,
        b"\x92\x00" + b"\x81\xa1a" * 100_000,
    ],
    ids=["list", "nested lists", "map", "bytes", "text", "deep", "deep maps"],
)
def test_a_claim_costs_no_more_memory_than_its_bytes(payload):
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            list(Decoder().feed(framed(payload)))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000 + 4 * len(payload)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [MAX_FRAME_BYTES + 1, 2**31, 2**32 - 1])
def test_a_length_bomb_is_refused_before_its_body_comes(length):
    with pytest.raises(FrameError, match=str(length)):
        list(Decoder().feed(struct.pack("!I", length)))


def test_the_largest_frame_passes_and_one_byte_more_does_not():
    overhead = len(encode(Word.TELL, b"x" * 2**20)) - 4 - 2**20
    whole = encode(Word.TELL, b"x" * (MAX_FRAME_BYTES - overhead))
    assert len(whole) == 4 + MAX_FRAME_BYTES
    [frame] = feed(cut(whole, [1, 5, 70_000]))
    assert len(frame[1]) == MAX_FRAME_BYTES - overhead
    with pytest.raises(MessageTooLarge):
        encode(Word.TELL, b"x" * (MAX_FRAME_BYTES - overhead + 1))


def test_what_came_before_garbage_is_read():
    reading = Decoder().feed(encode(Word.PING) + framed(b"\xc1"))
    assert next(reading) == [Word.PING]
    with pytest.raises(FrameError):
        next(reading)


def test_lone_surrogates_are_carried():
    assert feed([encode(Word.TELL, "\ud800")]) == [[Word.TELL, "\ud800"]]


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**64])
def test_what_no_layer_carries_is_a_type_error(value):
    with pytest.raises(TypeError):
        encode(Word.TELL, value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ChannelFull("a"), ChannelFull),
        (ChannelClosed("a"), ChannelClosed),
        (MessageTooLarge("a"), MessageTooLarge),
        (TypeError("a"), TypeError),
        (ValueError("a"), ValueError),
        (UnicodeError("a"), ValueError),
        (LayerUnavailable("a"), LayerUnavailable),
        (Unanswered("a"), Unanswered),
        (KeyError("a"), LayerUnavailable),
        (FrameError("a"), LayerUnavailable),
    ],
)
def test_an_error_is_the_same_at_the_other_end(error, kind):
    there = error_from(kind_of(error), str(error))
    assert type(there) is kind
    assert str(there) == str(error)
    assert type(error_from("unheard of", "a")) is LayerUnavailable
