"""Frames (RFC 6455, section 5): the same events for the same bytes, however they come."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.protocols.sockets import mask_frame, read_frames
from txchannels.errors import PeerError
from txchannels.protocols import frames
from txchannels.protocols.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    encode_close,
    encode_frame,
    is_close_code,
)

LIMIT = 1000

SIZES = [0, 1, 5, 124, 125, 126, 127, 1000, 65_535, 65_536, 70_000]


class Recorder:
    """Keeps what the frames meant."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def text_received(self, text: str) -> None:
        self.events.append(("text", text))

    def binary_received(self, data: bytes) -> None:
        self.events.append(("binary", data))

    def ping_received(self, payload: bytes) -> None:
        self.events.append(("ping", payload))

    def pong_received(self, payload: bytes) -> None:
        self.events.append(("pong", payload))

    def close_received(self, code: int) -> None:
        self.events.append(("close", code))


class OnlyAutobahn(FrameReader):
    """The reader without its own path."""

    def _read_whole(self, data: bytes) -> bytes:
        return data


def read(
    *pieces: bytes, limit: int = LIMIT, reader_class: type[FrameReader] = FrameReader
) -> list[tuple[str, Any]]:
    """The events; an error is the last of them, and the pieces after it are not fed."""
    recorder = Recorder()
    reader = reader_class(recorder, limit)
    for piece in pieces:
        try:
            reader.feed(piece)
        except PeerError as error:
            recorder.events.append(("error", error.close_code))
            break
    return recorder.events


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


masks = st.binary(min_size=4, max_size=4)
payloads = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.binary(max_size=140),
    st.sampled_from([b"", b"\xc3", b"\xa4", "\N{SNOWMAN}".encode(), b"\xed\xa0\x80", b"a" * 300]),
)
any_frames = st.builds(
    lambda opcode, payload, fin, rsv, mask: mask_frame(
        opcode, payload, fin=fin, rsv=rsv, mask=mask
    ),
    st.sampled_from([0, 1, 1, 1, 2, 2, 8, 9, 10, 3, 11]),
    payloads,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0] * 20 + [1, 4, 7]),
    masks,
)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Frames that are mostly legal: messages in one or more pieces, pings between them."""
    stream = []
    for opcode, parts in draw(
        st.lists(
            st.tuples(st.sampled_from([1, 2]), st.lists(payloads, min_size=1, max_size=4)),
            max_size=6,
        )
    ):
        for at, part in enumerate(parts):
            kind = 0 if at else opcode
            stream.append(mask_frame(kind, part, fin=at == len(parts) - 1, mask=draw(masks)))
            controls = draw(st.lists(st.sampled_from([9, 10]), max_size=2))
            stream += [mask_frame(one, draw(st.binary(max_size=125))) for one in controls]
    stream += draw(st.lists(any_frames, max_size=2))
    return b"".join(stream)


cuts = st.lists(st.integers(min_value=0, max_value=2000), max_size=12)


@given(conversations(), cuts)
@example(mask_frame(8, b"\x03\xe8") + mask_frame(1, b"late") + mask_frame(9), [8])
@example(mask_frame(1, b"a") + mask_frame(8) + mask_frame(1, b"late"), [7, 13])
def test_any_chunking_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    assert read(*cut(stream, places)) == read(stream)


@given(conversations(), cuts)
def test_the_short_path_and_autobahn_agree(stream: bytes, places: list[int]) -> None:
    pieces = cut(stream, places)
    assert read(*pieces) == read(*pieces, reader_class=OnlyAutobahn)


@given(st.lists(any_frames, max_size=8).map(b"".join), cuts)
def test_any_frames_give_the_same_events_on_both_paths(stream: bytes, places: list[int]) -> None:
    pieces = cut(stream, places)
    assert read(*pieces) == read(stream) == read(stream, reader_class=OnlyAutobahn)


@given(st.binary(max_size=300), cuts)
def test_garbage_raises_only_peer_errors(data: bytes, places: list[int]) -> None:
    pieces = cut(data, places)
    assert read(*pieces) == read(data, reader_class=OnlyAutobahn)


@given(st.binary(max_size=200), masks)
def test_every_mask_is_taken_off(payload: bytes, mask: bytes) -> None:
    assert read(mask_frame(BINARY, payload, mask=mask)) == [("binary", payload)]
    assert read(mask_frame(BINARY, payload, mask=mask), reader_class=OnlyAutobahn) == [
        ("binary", payload)
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_of_any_size_is_read(opcode: int, size: int) -> None:
    payload = b"x" * size
    [(kind, content)] = read(mask_frame(opcode, payload), limit=100_000)
    assert kind == ("text" if opcode == TEXT else "binary")
    assert len(content) == size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_an_encoded_frame_is_the_shortest_form_and_unmasked(opcode: int, size: int) -> None:
    frame = encode_frame(opcode, b"x" * size)
    assert read_frames(frame) == [(0x80 | opcode, b"x" * size)]
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65_536 else 10)


def test_short_and_middling_frames_never_need_autobahn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_Autobahn", None)
    stream = mask_frame(1, b"a") + mask_frame(9) + mask_frame(2, b"b" * 900) + mask_frame(10)
    assert [kind for kind, _ in read(stream)] == ["text", "ping", "binary", "pong"]


# Messages in several frames


def test_a_fragmented_message_comes_whole_with_the_pings_between_its_frames_first() -> None:
    stream = (
        mask_frame(1, b"Hel", fin=False)
        + mask_frame(9, b"1")
        + mask_frame(0, b"lo ", fin=False)
        + mask_frame(10, b"2")
        + mask_frame(0, b"all")
        + mask_frame(1, b"next")
    )
    assert read(stream) == [("ping", b"1"), ("pong", b"2"), ("text", "Hello all"), ("text", "next")]


def test_a_character_may_be_split_over_frames() -> None:
    snowman = "\N{SNOWMAN}".encode()
    stream = mask_frame(1, snowman[:1], fin=False) + mask_frame(0, snowman[1:])
    assert read(stream) == [("text", "\N{SNOWMAN}")]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"\xff"],
        [b"abc\xc3"],
        [b"\xed\xa0\x80"],
        [b"\xc0\xaf"],
        [b"\xf4\x90\x80\x80"],
        [b"ok \xe2\x98", b"\x41"],
        [b"\xe2", b"\x98"],
        [b"", b"\xce", b""],
        [b"a" * 200 + b"\xff"],
    ],
)
def test_text_that_is_not_utf_8_is_1007(pieces: list[bytes]) -> None:
    last = len(pieces) - 1
    stream = [mask_frame(0 if at else 1, piece, fin=at == last) for at, piece in enumerate(pieces)]
    assert read(b"".join(stream)) == [("error", 1007)]
    assert read(*stream) == [("error", 1007)]


def test_text_that_cannot_become_utf_8_fails_before_the_message_ends() -> None:
    assert read(mask_frame(1, b"\xff", fin=False)) == [("error", 1007)]


@pytest.mark.parametrize(
    "stream",
    [
        mask_frame(0, b"a"),
        mask_frame(1, b"a", fin=False) + mask_frame(1, b"b"),
        mask_frame(2, b"a", fin=False) + mask_frame(2, b"b"),
        mask_frame(1, b"a") + mask_frame(0, b"b"),
    ],
)
def test_wrong_fragmentation_is_1002(stream: bytes) -> None:
    assert read(stream)[-1] == ("error", 1002)


# What may never come


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_a_reserved_opcode_is_1002(opcode: int) -> None:
    assert read(mask_frame(opcode, b"x")) == [("error", 1002)]


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_reserved_bit_is_1002_for_no_extension_is_spoken(opcode: int, rsv: int) -> None:
    assert read(mask_frame(opcode, b"", rsv=rsv)) == [("error", 1002)]


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_an_unmasked_frame_is_1002(opcode: int) -> None:
    assert read(encode_frame(opcode, b"")) == [("error", 1002)]
    assert read(encode_frame(opcode, b"xy" * 10)) == [("error", 1002)]


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_over_125_bytes_is_1002(opcode: int) -> None:
    assert read(mask_frame(opcode, b"\x03\xe8" + b"x" * 124)) == [("error", 1002)]


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_pieces_is_1002(opcode: int) -> None:
    assert read(mask_frame(opcode, b"", fin=False)) == [("error", 1002)]


@pytest.mark.parametrize(
    "head",
    [
        b"\x81\xfe\x00\x05",
        b"\x82\xfe\x00\x7d",
        b"\x81\xff" + struct.pack("!Q", 126),
        b"\x82\xff" + struct.pack("!Q", 65_535),
        b"\x82\xff" + struct.pack("!Q", 2**63),
    ],
)
def test_a_length_that_is_not_in_its_shortest_form_is_1002(head: bytes) -> None:
    assert read(head + b"\0" * 4 + b"x" * 200, limit=2**64) == [("error", 1002)]


# The size


def test_a_message_of_the_limit_is_read_and_one_byte_more_is_1009() -> None:
    assert read(mask_frame(2, b"x" * LIMIT)) == [("binary", b"x" * LIMIT)]
    assert read(mask_frame(2, b"x" * (LIMIT + 1))) == [("error", 1009)]


@pytest.mark.parametrize("size", [1001, 65_536, 2**40])
def test_a_declared_size_over_the_limit_is_refused_before_the_payload_comes(size: int) -> None:
    length = struct.pack("!BH", 0xFE, size) if size < 65_536 else struct.pack("!BQ", 0xFF, size)
    assert read(b"\x82" + length + b"mask") == [("error", 1009)]


def test_the_limit_holds_for_all_frames_of_a_message_together() -> None:
    stream = mask_frame(2, b"x" * 600, fin=False) + mask_frame(0, b"", fin=False)
    assert read(stream + mask_frame(0, b"x" * 400)) == [("binary", b"x" * 1000)]
    assert read(stream + mask_frame(0, b"x" * 401)) == [("error", 1009)]


def test_empty_frames_take_no_memory() -> None:
    reader = FrameReader(Recorder(), LIMIT)
    reader.feed(mask_frame(1, b"a", fin=False))
    reader.feed(mask_frame(0, b"", fin=False) * 120)
    autobahn = reader._autobahn
    assert autobahn is not None
    held = [value for value in vars(autobahn).values() if isinstance(value, list)]
    assert all(len(value) < 10 for value in held)
    assert len(autobahn._message) == 1


def test_a_control_frame_is_not_held_to_the_limit_of_messages() -> None:
    assert read(mask_frame(9, b"x" * 100), limit=10) == [("ping", b"x" * 100)]


# Closing


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
)
def test_a_legal_close_code_is_told(code: int) -> None:
    assert is_close_code(code)
    assert read(mask_frame(8, struct.pack("!H", code) + b"bye")) == [("close", code)]


@pytest.mark.parametrize(
    "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535]
)
def test_an_illegal_close_code_is_1002(code: int) -> None:
    assert not is_close_code(code)
    assert read(mask_frame(8, struct.pack("!H", code))) == [("error", 1002)]


def test_a_close_without_code_is_1005() -> None:
    assert read(mask_frame(8)) == [("close", 1005)]


def test_a_close_with_half_a_code_is_1002() -> None:
    assert read(mask_frame(8, b"\x03")) == [("error", 1002)]


def test_a_close_reason_that_is_not_utf_8_is_1007() -> None:
    assert read(mask_frame(8, b"\x03\xe8\xff")) == [("error", 1007)]
    assert read(mask_frame(8, b"\x03\xe8\xe2\x98")) == [("error", 1007)]


def test_nothing_is_read_after_a_close() -> None:
    late = mask_frame(1, b"late") + mask_frame(9) + mask_frame(8)
    assert read(mask_frame(8) + late) == [("close", 1005)]
    assert read(mask_frame(8), late, b"\xff" * 50) == [("close", 1005)]


def test_what_comes_after_a_close_is_not_kept() -> None:
    reader = FrameReader(Recorder(), LIMIT)
    reader.feed(mask_frame(8))
    for _ in range(100):
        reader.feed(b"x" * 1000)
    assert reader._autobahn is not None
    assert reader._autobahn.data == b""


# A message in many frames


def fragments(*sizes: int) -> list[bytes]:
    """One message in frames of *sizes*."""
    last = len(sizes) - 1
    return [
        mask_frame(0 if at else 2, bytes(size), fin=at == last) for at, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    "sizes",
    [
        [1] * 129,
        [0] * 128,
        [64] * 1024,
        [0] * 128 + [64] * 100,
        [1000] * 200 + [0],
        [60_000] + [0] * 900,
    ],
)
def test_a_message_may_come_in_many_frames(sizes: list[int]) -> None:
    payload = bytes(sum(sizes))
    assert read(b"".join(fragments(*sizes)), limit=2**20) == [("binary", payload)]


@pytest.mark.parametrize(
    ("sizes", "fails_at"),
    [
        ([0] * 1000, 129),
        ([1] * 1000, 131),
        ([0] * 128 + [63] * 100, 129),
        ([1000] + [0] * 1000, 144),
        ([1000] * 2000, 1025),
    ],
)
def test_a_message_in_too_many_frames_fails_at_the_first_too_many(
    sizes: list[int], fails_at: int
) -> None:
    frames = fragments(*sizes)
    assert read(b"".join(frames[: fails_at - 1]), limit=2**21) == []
    assert read(b"".join(frames), limit=2**21) == [("error", 1008)]
    assert read(*frames[:fails_at], limit=2**21) == [("error", 1008)]


def test_each_message_s_frames_are_counted_anew() -> None:
    messages = fragments(*[0] * 128) * 3
    assert read(b"".join(messages)) == [("binary", b"")] * 3


@given(st.text(max_size=200))
def test_a_close_reason_is_cut_to_whole_characters_that_fit(reason: str) -> None:
    [(first, payload)] = read_frames(encode_close(4000, reason))
    assert first == 0x88
    assert len(payload) <= 125
    assert reason.startswith(payload[2:].decode())
    assert payload[:2] == struct.pack("!H", 4000)


def test_a_close_without_code_is_empty() -> None:
    assert encode_close(1005) == b"\x88\x00"
