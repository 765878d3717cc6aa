# Consumers are written here as their users write them.
# ruff: noqa: RUF012

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from txchannels.django.exceptions import (
    ConsumeLater,
    DenyConnection,
    SendNotAvailableOnDemultiplexer,
    WebsocketCloseException,
)
from txchannels.django.generic import BaseConsumer
from txchannels.django.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from txchannels.django.sessions import channel_session, session_for_reply_channel

ACCEPT = {"accept": True}


class Echo(JsonWebsocketConsumer):
    """Answers on its stream; `notes` has what it was called for."""

    notes: list = []

    def connect(self, message, multiplexer, **kwargs):
        self.notes.append((multiplexer.stream, "connect"))

    def receive(self, content, multiplexer, **kwargs):
        self.notes.append((multiplexer.stream, content, kwargs))
        multiplexer.send({"echo": content})

    def disconnect(self, message, multiplexer, **kwargs):
        self.notes.append((multiplexer.stream, "disconnect"))


def shout(message, multiplexer, **kwargs):
    Echo.notes.append((multiplexer.stream, message.channel_name))
    if message.channel_name == "websocket.receive":
        multiplexer.send(message["text"].upper())


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {"echo": Echo, "other": Echo, "shout": shout}


@pytest.fixture
def notes(monkeypatch):
    fresh: list = []
    monkeypatch.setattr(Echo, "notes", fresh)
    return fresh


@pytest.fixture
def socket(open_socket):
    return open_socket(Demultiplexer)


def frame(stream, payload):
    return json.dumps({"stream": stream, "payload": payload})


def answers(replies):
    return [json.loads(reply["text"]) for reply in replies]


# Streams


def test_the_socket_is_accepted_first_and_every_stream_told(socket, notes):
    assert socket.connect() == [ACCEPT]
    assert notes == [("echo", "connect"), ("other", "connect"), ("shout", "websocket.connect")]


def test_every_stream_is_told_of_the_end(socket, notes):
    assert socket.disconnect() == []
    streams = [("echo", "disconnect"), ("other", "disconnect")]
    assert notes == [*streams, ("shout", "websocket.disconnect")]


def test_a_payload_goes_to_its_streams_consumer_alone_and_is_answered_there(socket, notes):
    [answer] = answers(socket.text(frame("other", {"a": 1})))
    assert answer == {"stream": "other", "payload": {"echo": {"a": 1}}}
    assert notes == [("other", {"a": 1}, {})]


def test_a_function_finds_the_payload_as_the_messages_text(socket, notes):
    [answer] = answers(socket.text(frame("shout", {"a": "b"})))
    assert answer == {"stream": "shout", "payload": '{"A": "B"}'}


def test_consumers_have_what_the_route_matched(open_socket, notes):
    socket = open_socket(Demultiplexer.as_route(path=r"^/(?P<room>\w+)$"), path="/lobby")
    socket.text(frame("echo", {}))
    assert notes == [("echo", {}, {"room": "lobby"})]


def test_more_keys_of_a_frame_are_ignored(socket, notes):
    socket.text('{"stream": "echo", "payload": {}, "id": 5}')
    assert notes == [("echo", {}, {})]


def test_consumers_may_be_given_to_the_route(open_socket, notes):
    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": {"mine": Echo}}))
    socket.text(frame("mine", {}))
    assert notes == [("mine", {}, {})]


def test_consumers_may_depend_on_the_message(open_socket, notes):
    class Chosen(WebsocketDemultiplexer):
        @property
        def consumers(self):
            return {self.path: Echo}

    open_socket(Chosen).text(frame("/x", {}))
    assert notes == [("/x", {}, {})]


def test_the_multiplexer_may_be_of_another_class(open_socket, notes):
    class Versioned(WebsocketMultiplexer):
        @classmethod
        def encode_json(cls, content):
            return json.dumps({"v": 2, **content})

    class Other(Demultiplexer):
        multiplexer_class = Versioned

    [answer] = answers(open_socket(Other).text(frame("echo", {})))
    assert answer == {"v": 2, "stream": "echo", "payload": {"echo": {}}}


def test_a_class_is_told_only_of_the_channels_that_it_names(open_socket, caplog):
    class Receiving(BaseConsumer):
        method_mapping = {"websocket.receive": "receive"}

        def receive(self, message, multiplexer, **kwargs):
            multiplexer.send(message["text"])

    class Deaf(BaseConsumer):
        method_mapping = {"websocket.connect": "receive"}

        def receive(self, message, **kwargs):
            pass

    class Mixed(WebsocketDemultiplexer):
        consumers = {"in": Receiving, "deaf": Deaf}

    socket = open_socket(Mixed)
    assert socket.connect() == [ACCEPT]
    assert len(socket.text(frame("in", {}))) == 1
    assert socket.disconnect() == []
    assert caplog.records == []
    assert socket.text(frame("deaf", {})) == [{"close": 1007}]


def test_the_groups_of_streams_and_of_the_socket_are_joined_and_left(open_socket, layer):
    class Grouped(WebsocketConsumer):
        groups = ["stream"]

    class Both(WebsocketDemultiplexer):
        groups = ["socket"]
        consumers = {"a": Grouped}

    socket = open_socket(Both)
    socket.connect()
    assert dict(layer.groups) == {"socket": ["sockets!a"], "stream": ["sockets!a"]}
    socket.disconnect()
    assert dict(layer.groups) == {"socket": [], "stream": []}


def test_a_stream_may_close_the_socket(open_socket):
    class Closing(Echo):
        def receive(self, content, multiplexer, **kwargs):
            self.close(4000)

    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": {"a": Closing}}))
    assert socket.text(frame("a", {})) == [{"close": 4000}]


def test_a_consumer_that_cannot_be_called_is_refused_when_the_class_is_made():
    with pytest.raises(TypeError, match=r"Wrong.consumers\['chat'\] cannot be called: 'Echo'"):

        class Wrong(WebsocketDemultiplexer):
            consumers = {"chat": "Echo"}


# Frames that are none


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "is no JSON"),
        ("[]", "is no object"),
        ("null", "is no object"),
        ('"echo"', "is no object"),
        ("{}", "has no stream"),
        ('{"payload": {}}', "has no stream"),
        ('{"stream": "echo"}', "has no payload"),
        ('{"stream": 1, "payload": {}}', "a stream that is not text"),
        ('{"stream": ["echo"], "payload": {}}', "a stream that is not text"),
        ('{"stream": {}, "payload": {}}', "a stream that is not text"),
        ('{"stream": null, "payload": {}}', "a stream that is not text"),
        ('{"stream": "echo", "payload": []}', "a payload that is not an object"),
        ('{"stream": "echo", "payload": "x"}', "a payload that is not an object"),
        ('{"stream": "echo", "payload": null}', "a payload that is not an object"),
        ('{"stream": "nobody", "payload": {}}', "there is not: 'nobody'"),
        ('{"stream": "a\\nb", "payload": {}}', r"there is not: 'a\nb'"),
        (frame("x" * 100_000, {}), "there is not: 'xxx"),
        (frame("echo", {"a": 1}).replace("1", "1e999"), "is no JSON"),
        (frame("echo", {"a": 1}).replace("1", "[" * 70 + "]" * 70), "is no JSON"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_no_frame_of_a_stream_closes_the_socket_with_1007(
    socket, notes, caplog, text, words
):
    assert socket.text(text) == [{"close": 1007}]
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.exc_info is None
    assert words in record.getMessage()
    assert len(record.getMessage().splitlines()) == 1
    assert len(record.getMessage()) < 500
    assert notes == []


def test_bytes_close_the_socket_with_1003(socket, notes):
    assert socket.binary(b"{}") == [{"close": 1003}]
    assert notes == []


def test_a_wrong_frame_is_a_value_error_as_in_channels_1(make_message):
    for text in ("{}", frame("nobody", {}), '{"stream": "echo", "payload": 1}'):
        with pytest.raises(ValueError, match="The frame "):
            Demultiplexer(make_message(path="/", text=text))


# Sending


def test_what_is_sent_needs_a_stream(make_message):
    demultiplexer = Demultiplexer(make_message(path="/", text=frame("echo", {})))
    with pytest.raises(SendNotAvailableOnDemultiplexer, match=r"Demultiplexer.send\(\)"):
        demultiplexer.send({"a": 1})
    with pytest.raises(SendNotAvailableOnDemultiplexer, match=r"Demultiplexer.group_send\(\)"):
        Demultiplexer.group_send("all", "echo", {})


def test_a_stream_has_no_send_without_its_name_and_its_class_keeps_its_own(
    open_socket, layer, make_message, caplog
):
    class Sending(JsonWebsocketConsumer):
        def receive(self, content, **kwargs):
            self.send(content)

    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": {"a": Sending}}))
    assert socket.text(frame("a", {})) == []
    assert caplog.records[0].exc_info[0] is SendNotAvailableOnDemultiplexer
    Sending(make_message(reply_channel="sockets!b", path="/", text="[]"))
    assert layer.on("sockets!b") == [{"text": "[]"}]


RICH = {"at": datetime(2026, 1, 2, tzinfo=UTC), "cost": Decimal("1.50"), "id": uuid.UUID(int=1)}


def test_a_payload_may_hold_what_django_can_say_in_json():
    encoded = WebsocketMultiplexer.encode("a", RICH)
    payload = {"at": "2026-01-02T00:00:00Z", "cost": "1.50", "id": str(uuid.UUID(int=1))}
    assert answers([encoded]) == [{"stream": "a", "payload": payload}]
    assert encoded.keys() == {"text"}


def test_a_payload_is_sent_to_groups(layer):
    WebsocketMultiplexer.group_send("all", "a", {"b": 1})
    WebsocketMultiplexer.group_send("all", "a", [], close=True)
    WebsocketMultiplexer.group_send("all", "a", [], close=4000)
    text = {"text": '{"stream": "a", "payload": []}'}
    assert layer.sent_to_groups == [
        ("all", {"text": '{"stream": "a", "payload": {"b": 1}}'}),
        ("all", {**text, "close": True}),
        ("all", {**text, "close": 4000}),
    ]


@pytest.mark.parametrize("payload", [object(), float("nan"), b"x"])
def test_what_json_cannot_say_is_not_sent(payload):
    with pytest.raises((TypeError, ValueError), match="JSON"):
        WebsocketMultiplexer.group_send("all", "a", payload)


# One stream harms no other


def failing(error):
    def fail(message, **kwargs):
        raise error

    return fail


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), DenyConnection()])
def test_a_stream_that_fails_keeps_no_other_from_its_message(open_socket, notes, caplog, error):
    consumers = {"bad": failing(error), "echo": Echo}
    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": consumers}))
    replies = socket.connect()
    assert replies[0] == ACCEPT
    socket.disconnect()
    assert notes == [("echo", "connect"), ("echo", "disconnect")]


def test_all_that_streams_raise_is_logged_at_once(open_socket, caplog):
    consumers = {"a": failing(ValueError("one")), "b": failing(KeyError("two"))}
    open_socket(WebsocketDemultiplexer.as_route({"consumers": consumers})).connect()
    [record] = caplog.records
    assert [str(error) for error in record.exc_info[1].exceptions] == ["one", "'two'"]


def test_a_stream_may_close_the_socket_by_an_exception(open_socket, notes, caplog):
    consumers = {"bad": failing(WebsocketCloseException(4000)), "echo": Echo}
    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": consumers}))
    assert socket.connect() == [ACCEPT, {"close": 4000}]
    assert socket.text(frame("bad", {})) == [{"close": 4000}]
    assert notes == [("echo", "connect")]
    assert caplog.records == []


def test_a_stream_that_closes_the_socket_hides_no_failure_of_another(open_socket, caplog):
    closing = failing(WebsocketCloseException(4000))
    consumers = {"closing": closing, "bad": failing(ValueError("boom"))}
    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": consumers}))
    assert socket.connect() == [ACCEPT, {"accept": False}, {"close": 4000}]
    assert caplog.records[0].exc_info[0] is ValueError


def test_a_message_that_a_stream_cannot_take_yet_comes_again_as_it_was(open_socket, layer, notes):
    consumers = {"later": failing(ConsumeLater()), "echo": Echo}
    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": consumers}))
    text = frame("later", {"a": 1})
    socket.connect()
    socket.text(text)
    assert [content["__retries__"] for content in layer.on("websocket.connect")] == [1]
    assert [content["text"] for content in layer.on("websocket.receive")] == [text]
    assert notes == []


def test_what_a_stream_does_to_its_message_no_other_sees(open_socket):
    seen = []

    def spoil(message, **kwargs):
        seen.append((message.get("path"), hasattr(message, "mark")))
        message.mark = True
        message.content.clear()

    consumers = {"a": spoil, "b": spoil}
    open_socket(WebsocketDemultiplexer.as_route({"consumers": consumers})).connect()
    assert seen == [("/x", False), ("/x", False)]


# Sessions and order


def counting(key):
    @channel_session
    def count(message, **kwargs):
        message.channel_session[key] = message.channel_session.get(key, 0) + 1

    return count


@pytest.mark.parametrize("flags", [{}, {"channel_session": True}, {"strict_ordering": True}])
def test_every_stream_has_the_sockets_session_and_keeps_it(open_socket, database, flags):
    consumers = {"a": counting("a"), "b": counting("b")}
    socket = open_socket(WebsocketDemultiplexer.as_route({"consumers": consumers, **flags}))
    socket.connect()
    socket.text(frame("b", {}))
    session = session_for_reply_channel(socket.name)
    assert (session["a"], session["b"]) == (1, 2)


def test_a_stream_sees_the_session_and_the_user_of_the_demultiplexer(open_socket, database):
    seen = []

    def look(message, **kwargs):
        seen.append((message.user.is_anonymous, message.channel_session.session_key[:3]))

    flags = {"consumers": {"a": look}, "http_user": True}
    socket = open_socket(WebsocketDemultiplexer.as_route(flags))
    socket.connect()
    socket.text(frame("a", {}))
    assert seen == [(True, "chn")] * 2


def test_streams_that_ask_for_order_get_the_order_of_their_socket(make_message, notes, database):
    class Ordered(Echo):
        strict_ordering = True

    class Strict(WebsocketDemultiplexer):
        consumers = {"a": Ordered, "b": Ordered, "c": Echo}

    def receive(order, stream):
        return make_message(path="/", order=order, text=frame(stream, {"at": order}))

    Strict(make_message("websocket.connect", path="/", order=0))
    assert [stream for stream, _ in notes] == ["a", "b", "c"]
    early = receive(2, "b")
    Strict(early)
    Strict(receive(1, "c"))
    assert notes[3:] == [("c", {"at": 1}, {})]
    [(_, waiting)] = [early.channel_layer.receive(["websocket.receive"])]
    Strict(make_message(**waiting))
    assert notes[4:] == [("b", {"at": 2}, {})]


def test_a_demultiplexer_of_consumers_without_order_needs_no_session(make_message, notes):
    Demultiplexer(make_message("websocket.connect", path="/", order=5))
    assert len(notes) == 3


def test_ordering_on_the_demultiplexer_itself_is_done_once(make_message, notes, database):
    class Strict(Demultiplexer):
        strict_ordering = True

    Strict(make_message("websocket.connect", path="/", order=0))
    Strict(make_message(path="/", order=1, text=frame("echo", {})))
    assert len(notes) == 4
    assert session_for_reply_channel("sockets!a")["__channels_next_order"] == 2
