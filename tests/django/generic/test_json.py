from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txchannels.django.generic.websockets import BadFrame, JsonWebsocketConsumer
from txchannels.django.generic.websockets.frames import parse_json

DEEPEST = "[" * 64 + "]" * 64


class Echo(JsonWebsocketConsumer):
    def receive(self, content, **kwargs):
        self.send(content)


class Shouting(Echo):
    @classmethod
    def decode_json(cls, text):
        return json.loads(text.removeprefix("JSON!"))

    @classmethod
    def encode_json(cls, content):
        return "JSON!" + json.dumps(content)


def assert_closed(socket, caplog, replies, code, words):
    """That the last frame has closed *socket*, with one line in the log and no traceback."""
    assert replies == [{"close": code}]
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.exc_info is None
    line = record.getMessage()
    assert len(line.splitlines()) == 1
    for part in (socket.name, repr(socket.path), str(code), words):
        assert part in line


# In and out


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, true]}', '"x"', "0", "null", "[]", DEEPEST])
def test_what_the_json_says_is_received_and_sent(open_socket, text):
    assert open_socket(Echo).text(text) == [{"text": text}]


def test_receive_has_what_the_route_matched(open_socket):
    class Room(JsonWebsocketConsumer):
        def receive(self, content, room, **kwargs):
            self.send({room: content}, close=4000)

    socket = open_socket(Room.as_route(path=r"^/(?P<room>\w+)$"), path="/lobby")
    assert socket.text("1") == [{"text": '{"lobby": 1}', "close": 4000}]


def test_without_a_receive_json_is_ignored(open_socket, caplog):
    assert open_socket(JsonWebsocketConsumer).text("{}") == []
    assert caplog.records == []


def test_json_is_sent_to_groups(layer):
    Echo.group_send("all", {"a": 1})
    Echo.group_send("all", [], close=True)
    Shouting.group_send("all", [], close=4000)
    assert layer.sent_to_groups == [
        ("all", {"text": '{"a": 1}'}),
        ("all", {"text": "[]", "close": True}),
        ("all", {"text": "JSON![]", "close": 4000}),
    ]


def test_another_json_may_be_spoken(open_socket):
    assert open_socket(Shouting).text("JSON![1]") == [{"text": "JSON![1]"}]


@pytest.mark.parametrize("content", [math.nan, [math.inf], {"a": -math.inf}])
def test_numbers_that_no_browser_could_read_are_not_sent(content):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Echo.encode_json(content)


@pytest.mark.parametrize("content", [object(), b"x", {1, 2}])
def test_what_json_cannot_say_is_refused_by_name(content):
    with pytest.raises(TypeError, match=f"{type(content).__name__} is not JSON serializable"):
        Echo.group_send("all", content)


def test_a_hook_that_gives_no_text_is_told_so(make_message):
    class Bytes(Echo):
        @classmethod
        def encode_json(cls, content):
            return json.dumps(content).encode()

    with pytest.raises(TypeError, match="text must be str, not bytes"):
        Bytes(make_message(path="/", text="1"))


# What clients send that is no JSON


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "hello", "{'a': 1}", "[1,]", '{"a": 1} 2', "\ufeff{}", '"\n"', "\x00", "+1"),
        *("NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "-1e999", "9" * 5000),
        *("[" + DEEPEST + "]", "[" * 500_000, "[" * 200_000 + "]" * 200_000, '{"a":' * 100_000),
    ],
    ids=lambda text: f"{text[:12]!r}..{len(text)}",
)
def test_what_is_no_json_closes_the_socket_with_1007(open_socket, caplog, text):
    socket = open_socket(Echo)
    assert_closed(socket, caplog, socket.text(text), 1007, "JSON")
    assert len(caplog.text) < 500


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"])
def test_bytes_close_the_socket_with_1003(open_socket, caplog, data):
    socket = open_socket(Echo)
    assert_closed(socket, caplog, socket.binary(data), 1003, "is binary")


def test_what_a_hook_cannot_decode_closes_the_socket_too(open_socket, caplog):
    class Numbers(Echo):
        @classmethod
        def decode_json(cls, text):
            raise ValueError(f"{text}\r\nforged line {'x' * 1000}")

    socket = open_socket(Numbers)
    assert_closed(socket, caplog, socket.text("1"), 1007, "forged line")
    assert len(caplog.text) < 500


def test_a_hook_may_say_itself_how_the_socket_is_closed(open_socket, caplog):
    class Picky(Echo):
        @classmethod
        def decode_json(cls, text):
            raise BadFrame(1003, "is not what we like")

    socket = open_socket(Picky)
    assert_closed(socket, caplog, socket.text("1"), 1003, "its frame is not what we like")


def test_a_bad_frame_is_a_value_error_as_in_channels_1(make_message):
    with pytest.raises(ValueError, match="The frame is binary"):
        Echo(make_message(path="/", text=None, bytes=b"x"))
    with pytest.raises(ValueError, match=r"The frame is no JSON: .*line 1 column 1"):
        Echo(make_message(path="/", text="x"))


def test_a_bad_frame_without_a_socket_has_nothing_to_close(make_message):
    with pytest.raises(ValueError, match="reply channel"):
        BadFrame(1003, "x").run(make_message(reply_channel=None))


def test_an_error_in_receive_is_the_consumers_own(open_socket, caplog):
    class Failing(Echo):
        def receive(self, content, **kwargs):
            raise ValueError("boom")

    assert open_socket(Failing).text("1") == []
    assert caplog.records[0].exc_info[0] is ValueError


def test_the_depth_may_be_another(open_socket, caplog):
    consumer = open_socket(Echo.as_route({"max_json_depth": 1}))
    assert consumer.text("[1, 2]") == [{"text": "[1, 2]"}]
    assert consumer.text('{"a": [1]}') == [{"close": 1007}]


def depth_of(value):
    if not isinstance(value, dict | list):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, children), default=0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.integers(1, 4))
def test_every_value_is_read_as_it_was_said_up_to_its_depth(value, max_depth):
    try:
        text = Echo.encode_json(value)
    except ValueError:
        return
    if depth_of(value) > max_depth:
        with pytest.raises(ValueError, match=f"deeper than {max_depth} levels"):
            parse_json(text, max_depth)
    else:
        assert parse_json(text, max_depth) == value


@given(st.text(alphabet='[]{}",:\\u0d8e+-.1 NaIfinty\n') | st.text())
def test_whatever_a_client_sends_is_a_value_or_a_value_error(text):
    try:
        value = parse_json(text, 64)
    except ValueError:
        return
    assert parse_json(Echo.encode_json(value), 64) == value
