"""What a client sends that a consumer cannot take closes its socket, with a line in the log."""

from __future__ import annotations

import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from tests.channels1.rough import WAIT, Rough, close_code, open_socket

pytestmark = pytest.mark.slow

INCONSISTENT, UNACCEPTABLE = 1007, 1003

#: What is no JSON, for whatever reason.
NO_JSON = {
    "empty": "",
    "white": " ",
    "half": '{"a": ',
    "two": "{} {}",
    "single quotes": "{'a': 1}",
    "not a number": "NaN",
    "infinite": "-Infinity",
    "too large": "1e999",
    "too long": "9" * 5000,
    "too deep": "[" * 65 + "]" * 65,
    "much too deep": '{"a":' * 100_000,
    "a control character": '"\x00"',
    "a byte order mark": "\ufeff{}",
    "a line of prose": "hello",
}

#: What is JSON, and no frame of a stream.
NO_STREAM = {
    "a list": [],
    "a text": "stream",
    "nothing": None,
    "a number": 7,
    "an empty object": {},
    "no payload": {"stream": "stream"},
    "no stream": {"payload": {}},
    "a list of a payload": {"stream": "stream", "payload": []},
    "a text of a payload": {"stream": "stream", "payload": "{}"},
    "no value of a payload": {"stream": "stream", "payload": None},
    "a number of a stream": {"stream": 7, "payload": {}},
    "a list of a stream": {"stream": ["stream"], "payload": {}},
    "no value of a stream": {"stream": None, "payload": {}},
    "an unknown stream": {"stream": "nowhere", "payload": {}},
    "an attribute of the class": {"stream": "__class__", "payload": {}},
}

FRAMES = {
    **{
        f"{path} {name}": (path, text)
        for path in ("/class/", "/streams/")
        for name, text in NO_JSON.items()
    },
    **{f"/streams/ {name}": ("/streams/", json.dumps(value)) for name, value in NO_STREAM.items()},
}


def is_closed(site: Rough, path: str, frame: str | bytes, code: int) -> None:
    """*frame* closes its socket with *code* and one line; nobody else notices."""

    def lines() -> int:
        return site.log.count(f"at '{path}' with {code}: its frame ")

    told = site.settle()
    before = lines()
    with open_socket(site, path) as client, open_socket(site, "/receive/") as neighbour:
        client.send(frame)
        assert close_code(client) == code
        neighbour.send("still here")
        assert neighbour.recv(WAIT) == "still here"
    assert site.settle() == told, "a stranger's frame is no failure of a consumer"
    assert lines() == before + 1


@pytest.mark.parametrize(("path", "frame"), FRAMES.values(), ids=FRAMES)
def test_malformed_json_and_wrong_streams_close_with_1007(
    site: Rough, path: str, frame: str
) -> None:
    is_closed(site, path, frame, INCONSISTENT)


@pytest.mark.parametrize("path", ["/class/", "/streams/"])
@pytest.mark.parametrize("frame", [b"", b"{}", b"\xff\x00"])
def test_bytes_where_text_should_be_close_with_1003(site: Rough, path: str, frame: bytes) -> None:
    is_closed(site, path, frame, UNACCEPTABLE)


@pytest.mark.parametrize("path", ["/class/", "/streams/", "/receive/"])
def test_text_that_is_no_utf_8_closes_with_1007(site: Rough, path: str) -> None:
    """The protocol sees to that (RFC 6455, section 8.1): no consumer is given it."""
    told = site.settle()
    with open_socket(site, path) as client, open_socket(site, "/receive/") as neighbour:
        with contextlib.suppress(ConnectionClosed):  # perhaps before the last, empty piece is out
            client.send([b"\xc3", b"("], text=True)
        assert close_code(client) == INCONSISTENT
        neighbour.send("still here")
        assert neighbour.recv(WAIT) == "still here"
    assert site.settle() == told


@pytest.mark.parametrize("text", ['"\\ud800"', '{"\\udfff": 1}', '"\\u0000"'])
def test_what_json_can_say_and_text_cannot_comes_back(site: Rough, text: str) -> None:
    """Half a surrogate pair is in a JSON text as it is in JavaScript's strings."""
    with open_socket(site, "/class/") as client:
        client.send(text)
        assert json.loads(client.recv(WAIT)) == json.loads(text)
