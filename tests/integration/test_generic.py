"""Consumers that are classes, in a real daemon with a real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import Daemon, wait_until

pytestmark = pytest.mark.slow

SITE = "tests.integration.generic_site.settings"
WAIT = 30.0


@pytest.fixture(scope="module", params=["--threads=8", "--unordered"])
def site(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with Daemon(SITE, request.param) as daemon:
        yield daemon
        assert daemon.stop() == 0


def open_socket(site: Daemon, path: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{site.port}{path}",
        open_timeout=WAIT,
        close_timeout=WAIT,
        compression=None,
        proxy=None,
    )


def ask(client: ClientConnection, content: Any) -> Any:
    client.send(json.dumps(content))
    return json.loads(client.recv(WAIT))


def close_code(client: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(WAIT)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_texts_and_bytes_come_back_and_the_consumer_closes(site: Daemon) -> None:
    with open_socket(site, "/plain") as client:
        for message in ["", "h\xe9llo", b"", b"\xff" * 300]:
            client.send(message)
            assert client.recv(WAIT) == message
        client.send("close")
        assert client.recv(WAIT) == "bye"
        assert close_code(client) == 4321


def test_json_comes_back(site: Daemon) -> None:
    with open_socket(site, "/json") as client:
        for content in [{"a": [1, None, "h\xe9"]}, "", 0, [], {"x": "y" * 100_000}]:
            assert ask(client, content) == content


def test_a_room_reaches_its_sockets_alone(site: Daemon) -> None:
    with (
        open_socket(site, "/rooms/lobby") as one,
        open_socket(site, "/rooms/lobby") as two,
        open_socket(site, "/rooms/attic") as other,
    ):
        assert ask(one, {"hello": 1}) == {"hello": 1}
        assert json.loads(two.recv(WAIT)) == {"hello": 1}
        assert ask(other, {"alone": 1}) == {"alone": 1}


def test_streams_share_a_socket(site: Daemon) -> None:
    with open_socket(site, "/streams") as one, open_socket(site, "/streams") as two:
        assert ask(one, {"stream": "echo", "payload": {"a": 1}}) == {
            "stream": "echo",
            "payload": {"text": '{"a": 1}'},
        }
        for count in range(1, 21):
            told = {"stream": "counter", "payload": {"count": count}}
            assert ask(one, {"stream": "counter", "payload": {"by": 1}}) == told
            assert json.loads(two.recv(WAIT)) == told
    # One of its streams cannot connect: the others did.
    site.wait_for("ValueError: this stream has no luck")


def test_streams_in_order_stay_so_however_fast_they_come(site: Daemon) -> None:
    with open_socket(site, "/streams") as client:
        for _ in range(50):
            client.send('{"stream": "counter", "payload": {"by": 1}}')
        counts = [json.loads(client.recv(WAIT))["payload"]["count"] for _ in range(50)]
    assert counts == list(range(1, 51))


@pytest.mark.parametrize(
    ("path", "frame", "code", "line"),
    [
        ("/json", "{", 1007, "is no JSON: 'Expecting property name"),
        ("/json", "[" * 100_000, 1007, "is JSON nested much too deep"),
        ("/json", "[" * 100 + "]" * 100, 1007, "is no JSON: 'nested deeper than 64 levels"),
        ("/json", '{"a": 1e999}', 1007, "is no JSON: 'a number is too large"),
        ("/json", b"{}", 1003, "is binary"),
        ("/streams", b"{}", 1003, "is binary"),
        ("/streams", "[]", 1007, "is no object with a stream"),
        (
            "/streams",
            '{"stream": "echo", "payload": 1}',
            1007,
            "has a payload that is not an object",
        ),
        (
            "/streams",
            '{"stream": "nobody", "payload": {}}',
            1007,
            "is for a stream that there is not: 'nobody'",
        ),
    ],
    ids=lambda value: str(value)[:36],
)
def test_what_cannot_be_taken_closes_the_socket_with_a_line_in_the_log(
    site: Daemon, path: str, frame: str | bytes, code: int, line: str
) -> None:
    before = site.log.count("Traceback")
    with open_socket(site, path) as client, open_socket(site, "/json") as neighbour:
        if path == "/streams":  # one of its streams cannot connect, and leaves a traceback
            wait_until(lambda: site.log.count("Traceback") > before)
        tracebacks = site.log.count("Traceback")
        client.send(frame)
        assert close_code(client) == code
        assert line in site.wait_for(f"at {path!r} with {code}: its frame {line}")
        assert ask(neighbour, ["still here"]) == ["still here"]
    assert site.log.count("Traceback") == tracebacks


@pytest.mark.parametrize(("how", "logged"), [("fail", "boom"), ("exit", "SystemExit: 3")])
def test_a_consumer_that_fails_harms_nothing_else(site: Daemon, how: str, logged: str) -> None:
    with open_socket(site, "/json") as client, open_socket(site, "/json") as neighbour:
        client.send(json.dumps(how))
        site.wait_for("consumer tests.integration.generic_site.routing.JsonEcho on")
        site.wait_for(logged)
        assert ask(client, 1) == 1
        assert ask(neighbour, 2) == 2
