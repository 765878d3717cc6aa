# Consumers are written here as their users write them.
# ruff: noqa: A002, RUF012

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

from txchannels.django import route_class
from txchannels.django.asgi import ChannelLayerWrapper
from txchannels.django.exceptions import DenyConnection, SendNotAvailableOnDemultiplexer
from txchannels.django.generic.websockets import WebsocketConsumer
from txchannels.django.message import Message
from txchannels.django.sessions import session_for_reply_channel

PLAIN = WebsocketConsumer.as_route()
ACCEPT = {"accept": True}


class Echo(WebsocketConsumer):
    def receive(self, text=None, bytes=None, **kwargs):
        self.send(text=text, bytes=bytes)


class Noting(WebsocketConsumer):
    """Notes each call, and the groups that the socket is in at the time."""

    groups = ["all"]
    notes: list = []

    def note(self, name, **kwargs):
        layer = self.message.channel_layer.channel_layer
        groups = sorted(group for group, members in layer.groups.items() if members)
        self.notes.append((name, groups, kwargs))

    def connect(self, message, **kwargs):
        assert message is self.message
        self.note("connect", **kwargs)

    def disconnect(self, message, **kwargs):
        assert message is self.message
        self.note("disconnect", code=message["code"], **kwargs)


@pytest.fixture
def notes(monkeypatch):
    fresh: list = []
    monkeypatch.setattr(Noting, "notes", fresh)
    return fresh


# Connect, receive, disconnect


def test_a_socket_is_accepted_and_the_rest_ignored_unless_overridden(open_socket, caplog):
    socket = open_socket(WebsocketConsumer)
    assert socket.connect() == [ACCEPT]
    assert socket.text("x") == []
    assert socket.disconnect() == []
    assert caplog.records == []


def test_who_overrides_connect_accepts(open_socket, notes):
    assert open_socket(Noting).connect() == []


@pytest.mark.parametrize("text", ["", "h\xe9llo"])
def test_a_text_comes_as_text_also_where_the_message_has_both_keys(open_socket, text):
    assert open_socket(Echo).text(text) == [{"text": text}]


@pytest.mark.parametrize("data", [b"", b"\xff"])
def test_bytes_come_as_bytes(open_socket, data):
    assert open_socket(Echo).binary(data) == [{"bytes": data}]


@pytest.mark.parametrize("fields", [{"text": "x"}, {"bytes": b"x"}])
def test_a_layer_may_leave_out_the_key_of_the_other_kind(make_message, layer, fields):
    Echo(make_message(path="/", **fields))
    assert layer.on("sockets!a") == [fields]


def test_methods_know_the_path_and_what_the_route_matched(make_message):
    seen = []

    class Room(WebsocketConsumer):
        def receive(self, text=None, bytes=None, **kwargs):
            seen.append((self.path, self.kwargs, kwargs))

    message = make_message(path="/rooms/a", text="x")
    consumer, kwargs = Room.as_route(path=r"^/rooms/(?P<room>\w+)$").match(message)
    consumer(message, **kwargs)
    assert seen == [("/rooms/a", {"room": "a"}, {"room": "a"})]


def test_it_is_routed_for_the_three_channels_of_a_socket():
    channels = {"websocket.connect", "websocket.receive", "websocket.disconnect"}
    assert route_class(WebsocketConsumer).channel_names() == channels
    assert PLAIN.channel_names() == channels


# Groups


def test_groups_are_joined_before_connect_and_left_before_disconnect(open_socket, notes, layer):
    socket = open_socket(Noting)
    socket.connect()
    assert layer.groups["all"] == ["sockets!a"]
    socket.disconnect(4000)
    assert notes == [("connect", ["all"], {}), ("disconnect", [], {"code": 4000})]


def test_groups_may_depend_on_what_the_route_matched(open_socket, layer):
    class Room(WebsocketConsumer):
        def connection_groups(self, room, **kwargs):
            return [f"room-{room}", "all"]

    socket = open_socket(Room.as_route(path=r"^/(?P<room>\w+)$"), path="/lobby")
    socket.connect()
    assert dict(layer.groups) == {"room-lobby": ["sockets!a"], "all": ["sockets!a"]}
    socket.disconnect()
    assert dict(layer.groups) == {"room-lobby": [], "all": []}


def test_groups_are_those_of_the_layer_that_the_message_came_from(layer):
    other = ChannelLayerWrapper(type(layer)(), "other", [])
    content = {"reply_channel": "sockets!a", "path": "/"}
    Noting(Message(content, "websocket.connect", other))
    assert other.channel_layer.groups["all"] == ["sockets!a"]
    assert layer.groups == {}


def test_groups_that_are_one_text_are_refused_by_name(make_message):
    class Wrong(WebsocketConsumer):
        groups = "lobby"

    with pytest.raises(TypeError, match=r"groups of .*Wrong must be a list.*'lobby'"):
        Wrong(make_message("websocket.connect", path="/"))


def test_a_denied_handshake_is_closed(open_socket):
    class Closed(WebsocketConsumer):
        def connect(self, message, **kwargs):
            raise DenyConnection

    assert open_socket(Closed).connect() == [{"close": True}]


# Sending


@pytest.fixture
def consumer(make_message):
    return WebsocketConsumer(make_message(path="/", text=""))


def test_frames_are_sent_and_may_close_the_socket(consumer, layer):
    consumer.send("")
    consumer.send(bytes=b"")
    consumer.send(text="x", close=True)
    consumer.send(bytes=b"x", close=4000)
    assert layer.on("sockets!a") == [
        {"text": ""},
        {"bytes": b""},
        {"text": "x", "close": True},
        {"bytes": b"x", "close": 4000},
    ]


def test_the_socket_is_closed(consumer, layer):
    consumer.close()
    consumer.close(4001)
    consumer.close(status=3000)
    assert layer.on("sockets!a") == [{"close": True}, {"close": 4001}, {"close": 3000}]


def test_frames_are_sent_to_groups(layer):
    WebsocketConsumer.group_send("all", "x")
    WebsocketConsumer.group_send("all", bytes=b"x", close=True)
    Echo.group_send("all", text="", close=4000)
    assert layer.sent_to_groups == [
        ("all", {"text": "x"}),
        ("all", {"bytes": b"x", "close": True}),
        ("all", {"text": "", "close": 4000}),
    ]


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({}, ValueError, "text or bytes"),
        ({"close": True}, ValueError, "text or bytes"),
        ({"text": "x", "bytes": b"x"}, ValueError, "not both"),
        ({"text": b"x"}, TypeError, "text must be str, not bytes"),
        ({"bytes": "x"}, TypeError, "bytes must be bytes, not str"),
        ({"text": {"a": 1}}, TypeError, "text must be str, not dict"),
    ],
)
def test_what_is_no_frame_is_refused_by_name(consumer, layer, fields, error, words):
    with pytest.raises(error, match=words):
        consumer.send(**fields)
    with pytest.raises(error, match=words):
        WebsocketConsumer.group_send("all", **fields)
    assert layer.on("sockets!a") == []
    assert layer.sent_to_groups == []


def test_without_a_reply_channel_nobody_can_be_answered(make_message):
    with pytest.raises(ValueError, match=r"WebsocketConsumer needs a socket.*websocket\.connect"):
        WebsocketConsumer(make_message("websocket.connect", reply_channel=None, path="/"))


def test_a_consumer_of_a_stream_has_no_send_of_its_own(make_message):
    with pytest.raises(SendNotAvailableOnDemultiplexer, match=r"Echo runs in a demultiplexer"):
        Echo(make_message(path="/", text="x"), multiplexer=object())


# A consumer that fails


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_a_method_raises_is_logged_and_the_socket_goes_on(open_socket, caplog, error):
    class Failing(Echo):
        def receive(self, text=None, bytes=None, **kwargs):
            if text == "fail":
                raise error("boom")
            super().receive(text=text, bytes=bytes)

    socket = open_socket(Failing)
    socket.connect()
    assert socket.text("fail") == []
    assert socket.text("x") == [{"text": "x"}]
    [record] = caplog.records
    assert record.exc_info[0] is error
    assert "Failing" in record.getMessage()


# Users and order


class Whoami(WebsocketConsumer):
    def connect(self, message, **kwargs):
        self.send(self.name(message))

    def receive(self, text=None, bytes=None, **kwargs):
        self.send(self.name(self.message))

    def name(self, message):
        browser = getattr(message, "http_session", None)
        message.channel_session["seen"] = True
        return f"{message.user.username}, {'' if browser is None else browser.get('cart')}"


@pytest.fixture
def cookie(database):
    """The headers of a browser whose user is logged in."""
    user = User.objects.create_user("ada")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session["cart"] = "apples"
    session.create()
    return [[b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}".encode()]]


@pytest.mark.parametrize(
    ("flags", "at_connect", "later"),
    [
        ({"channel_session_user": True}, ", ", ", "),
        ({"http_user": True}, "ada, apples", "ada, "),
        ({"http_user_and_session": True}, "ada, apples", "ada, apples"),
        ({"http_user": True, "strict_ordering": True}, "ada, apples", "ada, "),
    ],
)
def test_users_and_sessions_are_those_that_the_flags_ask_for(
    make_message, layer, cookie, flags, at_connect, later
):
    consumer = Whoami.as_route(flags).consumer
    http = {"path": "/", "query_string": b"", "headers": cookie}
    consumer(make_message("websocket.connect", order=0, **http))
    consumer(make_message(path="/", order=1, text="who?"))
    assert layer.on("sockets!a") == [{"text": at_connect}, {"text": later}]
    assert session_for_reply_channel("sockets!a")["seen"]


def test_strict_ordering_handles_messages_in_order(make_message, layer, database):
    class Ordered(Echo):
        strict_ordering = True

    Ordered(make_message("websocket.connect", path="/", order=0))
    Ordered(make_message(path="/", text="2", order=2))
    assert layer.on("sockets!a") == [ACCEPT]
    Ordered(make_message(path="/", text="1", order=1))
    assert layer.on("sockets!a") == [ACCEPT, {"text": "1"}]
    [waiting] = layer.on("websocket.receive")
    Ordered(make_message(**waiting))
    assert layer.on("sockets!a") == [ACCEPT, {"text": "1"}, {"text": "2"}]


def test_slight_ordering_is_refused_by_name(make_message):
    class Slight(WebsocketConsumer):
        slight_ordering = True

    with pytest.raises(ValueError, match=r"Slight sets slight_ordering, which is gone"):
        Slight(make_message("websocket.connect", path="/"))
