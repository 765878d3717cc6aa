"""RFC 6455 by section, against a real daemon over a bare socket.

Autobahn's test suite needs Python 2; these are the cases that it made known, and ours.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Self

import pytest

from tests.integration.daemon import Daemon
from tests.protocols.sockets import ACCEPT, KEY, mask_frame

pytestmark = pytest.mark.slow

SITE = "tests.integration.socket_site.settings"
WAIT = 20.0

CLOSED = (0x88, b"\x03\xe8")


@pytest.fixture(scope="module")
def site() -> Iterator[Daemon]:
    with Daemon(SITE) as daemon:
        yield daemon
        assert "Traceback" not in daemon.log
        assert daemon.stop() == 0


class Wire:
    """A client that sends bytes and reads frames."""

    def __init__(self, site: Daemon) -> None:
        self.socket = socket.create_connection(site.address, WAIT)
        self.stream = self.socket.makefile("rb")
        self.send(
            f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            line = self.stream.readline()
            assert line, self.head
            self.head += line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, *data: bytes | str) -> None:
        for piece in data:
            self.socket.sendall(piece.encode() if isinstance(piece, str) else piece)

    def frame(self) -> tuple[int, bytes] | None:
        """The next frame; None at the end of the stream."""
        head = self.stream.read(2)
        if len(head) < 2:
            assert head == b""
            return None
        size = head[1]
        if size == 126:
            [size] = struct.unpack("!H", self.stream.read(2))
        elif size == 127:
            [size] = struct.unpack("!Q", self.stream.read(8))
        return head[0], self.stream.read(size)

    def rest(self) -> list[tuple[int, bytes]]:
        """All frames to the end of the stream."""
        frames = []
        while (frame := self.frame()) is not None:
            frames.append(frame)
        return frames


@pytest.fixture
def wire(site: Daemon) -> Iterator[Wire]:
    with Wire(site) as wire:
        yield wire


def fails(wire: Wire, data: bytes, code: int) -> None:
    """The server fails the connection with *code*, and ends it (section 7.1.7)."""
    wire.send(data)
    frames = wire.rest()
    assert frames
    first, payload = frames[-1]
    assert first == 0x88
    assert int.from_bytes(payload[:2], "big") == code
    payload[2:].decode()


# 4.2.2 The opening handshake


def test_the_accept_key_is_that_of_the_client_s_key(wire: Wire) -> None:
    assert wire.head.startswith(b"HTTP/1.1 101 ")
    assert f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n".encode() in wire.head


# 5.2 Framing


@pytest.mark.parametrize(
    "size", [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537, 2**18, 2**20]
)
@pytest.mark.parametrize("opcode", [1, 2])
def test_payloads_of_all_lengths_are_echoed(wire: Wire, opcode: int, size: int) -> None:
    payload = b"*" * size
    wire.send(mask_frame(opcode, payload))
    assert wire.frame() == (0x80 | opcode, payload)


@pytest.mark.parametrize("size", [1, 997])
def test_frames_in_pieces_of_any_size_are_read(wire: Wire, size: int) -> None:
    payload = b"*" * 5000 if size > 1 else b"*" * 130
    data = mask_frame(1, payload)
    wire.send(*[data[at : at + size] for at in range(0, len(data), size)])
    assert wire.frame() == (0x81, payload)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [1, 2, 8, 9, 10])
def test_a_reserved_bit_fails_the_connection(wire: Wire, opcode: int, rsv: int) -> None:
    fails(wire, mask_frame(opcode, b"", rsv=rsv), 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"hello"])
def test_a_reserved_opcode_fails_the_connection(wire: Wire, opcode: int, payload: bytes) -> None:
    fails(wire, mask_frame(opcode, payload), 1002)


def test_what_came_before_a_violation_is_not_lost(wire: Wire) -> None:
    wire.send(mask_frame(1, b"good"))
    assert wire.frame() == (0x81, b"good")
    fails(wire, mask_frame(3, b""), 1002)


# 5.3 Masking


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x80\x7f\xfe"])
@pytest.mark.parametrize("size", [3, 300, 70_000])
def test_every_mask_is_taken_off(wire: Wire, mask: bytes, size: int) -> None:
    payload = bytes(at % 251 for at in range(size))
    wire.send(mask_frame(2, payload, mask=mask))
    assert wire.frame() == (0x82, payload)


@pytest.mark.parametrize("frame", [b"\x81\x05hello", b"\x82\x00", b"\x89\x00", b"\x88\x02\x03\xe8"])
def test_an_unmasked_frame_fails_the_connection(wire: Wire, frame: bytes) -> None:
    fails(wire, frame, 1002)


# 5.4 Fragmentation


@pytest.mark.parametrize("opcode", [1, 2])
@pytest.mark.parametrize("parts", [2, 3, 50])
def test_fragments_become_one_message(wire: Wire, opcode: int, parts: int) -> None:
    for at in range(parts):
        wire.send(mask_frame(0 if at else opcode, b"part ", fin=at == parts - 1))
    assert wire.frame() == (0x80 | opcode, b"part " * parts)


def test_empty_fragments_become_an_empty_message(wire: Wire) -> None:
    wire.send(mask_frame(1, fin=False), mask_frame(0, fin=False), mask_frame(0))
    assert wire.frame() == (0x81, b"")


def test_control_frames_may_come_between_fragments(wire: Wire) -> None:
    wire.send(mask_frame(1, b"a", fin=False), mask_frame(9, b"ping"))
    assert wire.frame() == (0x8A, b"ping")
    wire.send(mask_frame(0, b"b", fin=False), mask_frame(10), mask_frame(0, b"c"))
    assert wire.frame() == (0x81, b"abc")


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_of_nothing_fails_the_connection(wire: Wire, fin: bool) -> None:
    fails(wire, mask_frame(0, b"x", fin=fin), 1002)


@pytest.mark.parametrize("opcode", [1, 2])
def test_a_new_message_within_another_fails_the_connection(wire: Wire, opcode: int) -> None:
    fails(wire, mask_frame(1, b"a", fin=False) + mask_frame(opcode, b"b"), 1002)


# 5.5 Control frames


@pytest.mark.parametrize("payload", [b"", b"hello", b"\0\xff\xfe\xfd", b"x" * 125])
def test_a_ping_is_answered_with_its_payload(wire: Wire, payload: bytes) -> None:
    wire.send(mask_frame(9, payload))
    assert wire.frame() == (0x8A, payload)


def test_of_ten_pings_the_last_is_answered_and_others_in_order(wire: Wire) -> None:
    wire.send(b"".join(mask_frame(9, b"%d" % number) for number in range(10)))
    answers = [wire.frame()]
    while answers[-1] != (0x8A, b"9"):
        answers.append(wire.frame())
        assert len(answers) <= 10
    assert answers == sorted(answers)


@pytest.mark.parametrize("payload", [b"", b"unasked", b"x" * 125])
def test_a_pong_is_ignored(wire: Wire, payload: bytes) -> None:
    wire.send(mask_frame(10, payload), mask_frame(9, b"after"))
    assert wire.frame() == (0x8A, b"after")


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_a_control_frame_over_125_bytes_fails_the_connection(wire: Wire, opcode: int) -> None:
    fails(wire, mask_frame(opcode, b"\x03\xe8" + b"x" * 124), 1002)


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_a_fragmented_control_frame_fails_the_connection(wire: Wire, opcode: int) -> None:
    fails(wire, mask_frame(opcode, b"", fin=False) + mask_frame(0), 1002)


# 5.6, 8.1 UTF-8

VALID = [
    "\N{SNOWMAN}",
    "\0",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\ufffd",
    "\U00010000",
    "\U0010ffff",
]


@pytest.mark.parametrize("text", VALID)
def test_valid_utf_8_is_echoed_whole_and_byte_by_byte(wire: Wire, text: str) -> None:
    data = f"<{text}>".encode()
    wire.send(mask_frame(1, data))
    assert wire.frame() == (0x81, data)
    for at in range(len(data)):
        wire.send(mask_frame(0 if at else 1, data[at : at + 1], fin=at == len(data) - 1))
    assert wire.frame() == (0x81, data)


INVALID = [
    b"\x80",
    b"\xbf\xbf",
    b"\xc0\xaf",
    b"\xc1\x81",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xe2\x98",
    b"\xf0\x90\x80",
]


@pytest.mark.parametrize("data", INVALID, ids=bytes.hex)
@pytest.mark.parametrize("before", [b"", b"\xce\xba" * 100])
def test_invalid_utf_8_fails_the_connection(wire: Wire, data: bytes, before: bytes) -> None:
    fails(wire, mask_frame(1, before + data), 1007)


@pytest.mark.parametrize("data", INVALID, ids=bytes.hex)
def test_invalid_utf_8_over_fragments_fails_the_connection(wire: Wire, data: bytes) -> None:
    frames = [
        mask_frame(0 if at else 1, data[at : at + 1], fin=at == len(data) - 1)
        for at in range(len(data))
    ]
    fails(wire, b"".join(frames), 1007)


def test_bytes_need_not_be_utf_8(wire: Wire) -> None:
    wire.send(mask_frame(2, b"\xff\xfe"))
    assert wire.frame() == (0x82, b"\xff\xfe")


# 5.5.1, 7 Closing


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 3999, 4000, 4999]
)
@pytest.mark.parametrize("reason", [b"", "gr\xfc\xdfe".encode(), b"x" * 123])
def test_a_close_is_answered_and_the_server_drops(wire: Wire, code: int, reason: bytes) -> None:
    wire.send(mask_frame(8, struct.pack("!H", code) + reason))
    assert wire.rest() == [(0x88, struct.pack("!H", code))]


def test_a_close_without_code_is_answered_without_code(wire: Wire) -> None:
    wire.send(mask_frame(8))
    assert wire.rest() == [(0x88, b"")]


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]
)
def test_an_illegal_close_code_fails_the_connection(wire: Wire, code: int) -> None:
    fails(wire, mask_frame(8, struct.pack("!H", code)), 1002)


def test_a_close_with_half_a_code_fails_the_connection(wire: Wire) -> None:
    fails(wire, mask_frame(8, b"\x03"), 1002)


def test_a_close_reason_that_is_not_utf_8_fails_the_connection(wire: Wire) -> None:
    fails(wire, mask_frame(8, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80"), 1007)


@pytest.mark.parametrize("late", [mask_frame(1, b"late"), mask_frame(9, b"late"), mask_frame(8)])
def test_nothing_that_follows_a_close_is_answered(wire: Wire, late: bytes) -> None:
    wire.send(mask_frame(8, b"\x03\xe8") + late)
    assert wire.rest() == [CLOSED]


def test_a_close_within_a_fragmented_message_drops_it(wire: Wire) -> None:
    wire.send(mask_frame(1, b"half", fin=False) + mask_frame(8, b"\x03\xe8"))
    assert wire.rest() == [CLOSED]


# 10.4 Limits


def test_a_message_over_the_limit_fails_the_connection_at_its_head(wire: Wire) -> None:
    fails(wire, mask_frame(2, b"x" * (2**20 + 1))[:14], 1009)


def test_fragments_over_the_limit_together_fail_the_connection(wire: Wire) -> None:
    fails(wire, mask_frame(2, b"x" * 2**20, fin=False) + mask_frame(0, b"x"), 1009)
