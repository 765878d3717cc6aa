"""A request parser, and what it tells, in a form that can be compared."""

from __future__ import annotations

from typing import Any

import pytest

from txchannels.errors import PeerError
from txchannels.protocols.request import Head, HeadLimits, RequestParser

__all__ = ["CHUNKED", "HOST", "Recorder", "make", "parse", "status_of"]

HOST = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Recorder:
    """Keeps events; pieces of a body are joined."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def head_received(self, head: Head) -> None:
        framing = (head.content_length, head.has_body, head.keep_alive, head.upgrade)
        fields = [tuple(field) for field in head.fields]
        first = (head.method, head.target, head.version, head.host)
        self.events.append([first, fields, framing, b""])

    def body_received(self, data: bytes) -> None:
        self.events[-1][-1] += data

    def request_received(self) -> None:
        self.events.append("end")

    def upgrade_received(self, rest: bytes) -> None:
        self.events.append(("upgrade", rest))


def make(
    line: int = 8192, header: int = 32_768, fields: int = 100, body: int = 2**20
) -> tuple[RequestParser, Recorder]:
    recorder = Recorder()
    return RequestParser(recorder, HeadLimits(line, header, fields), body), recorder


def parse(*pieces: bytes, **limits: int) -> list[Any]:
    parser, recorder = make(**limits)
    for piece in pieces:
        parser.feed(piece)
    return recorder.events


def status_of(*pieces: bytes, **limits: int) -> int:
    with pytest.raises(PeerError) as caught:
        parse(*pieces, **limits)
    return caught.value.status
