"""The pieces of Python in the pages run, and do what the pages say of them."""

from __future__ import annotations

import ast
import json
import sys
import unittest
from types import ModuleType

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import RequestFactory

from tests.docs.pages import DOCS, code
from txchannels.django import route
from txchannels.django.exceptions import DenyConnection
from txchannels.django.message import Message
from txchannels.django.routing import Router
from txchannels.django.test import WSClient, apply_routes
from txchannels.layers.names import check_channel
from txchannels.messages import WebSocketReceive


def run(page: str, number: int, **names: object) -> dict[str, object]:
    """What a piece of *page* defines."""
    defined: dict[str, object] = {"__name__": "snippet", **names}
    exec(compile(code(DOCS / page, "python")[number], page, "exec"), defined)
    return defined


def consumer_name(routing: object, channel: str, **content: object) -> tuple[str, dict[str, str]]:
    """Which consumer a message goes to, and with which arguments."""
    matched = Router(routing).match(Message(content, channel, None))
    assert matched is not None
    return matched[0].__name__, matched[1]


# Routing


def test_the_routing_of_the_page_of_routing_routes():
    routing = run("routing.md", 0)["channel_routing"]
    assert consumer_name(routing, "websocket.connect", path="/chat/lobby/") == (
        "chat_connect",
        {"room": "lobby"},
    )
    assert consumer_name(routing, "websocket.receive", path="/board/")[0] == "Board"
    assert consumer_name(routing, "orders.new")[0] == "new_order"
    assert Router(routing).match(Message({"path": "/chat/"}, "websocket.connect", None)) is None


def test_a_route_of_ones_own_comes_before_the_next():
    routing = run("routing.md", 1)["channel_routing"]
    assert consumer_name(routing, "orders.new", day=1)[0] == "monday"
    assert consumer_name(routing, "orders.new", day=2)[0] == "any_day"


def test_what_no_route_of_the_site_takes_can_be_denied():
    routing = run("routing.md", 2)["channel_routing"]
    router = Router(routing)
    router.check_default()
    consumer, _ = router.match(Message({"path": "/x/"}, "websocket.connect", None))
    with pytest.raises(DenyConnection):
        consumer(None)


# Sessions


class Sent:
    """A reply channel that keeps what it is sent."""

    name = "txchannels.response.tests!1"

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []

    def send(self, content: dict[str, object]) -> None:
        self.sent.append(content)


def test_a_handshake_of_a_foreign_page_is_denied():
    defined = run("sessions.md", 2)
    for name, origin, is_admitted in (
        ("connect_partners", b"https://partner.example", True),
        ("connect_partners", b"https://evil.example", False),
        ("connect_here", b"https://evil.example", False),
    ):
        message = Message({"headers": [[b"origin", origin]]}, "websocket.connect", None)
        message.reply_channel = Sent()
        if is_admitted:
            defined[name](message)
            assert message.reply_channel.sent == [{"accept": True}]
        else:
            with pytest.raises(DenyConnection):
                defined[name](message)


def test_who_is_not_logged_in_is_denied():
    connect = run("sessions.md", 0)["connect"]
    inner = connect
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    message = Message({}, "websocket.connect", None)
    message.user = AnonymousUser()
    with pytest.raises(DenyConnection):
        inner(message)


def test_a_socket_counts_in_its_session(database):
    count = run("sessions.md", 1)["count"]
    with apply_routes([route("websocket.receive", count)]):
        client, other = WSClient(), WSClient()
        for one, frames in ((client, 3), (other, 1)):
            for number in range(1, frames + 1):
                one.send_and_consume("websocket.receive", text="frame")
                assert one.receive(json=False) == str(number)


# Deployment


def test_the_page_for_health_checks_answers(database):
    health = run("deployment.md", 0)["health"]
    response = health(RequestFactory().get("/health/"))
    assert (response.status_code, response.content) == (200, b"ok")


# From Channels 4


def test_the_consumer_beside_that_of_channels_4_says_the_same(database):
    chat = run("migrating-channels4.md", 1)["Chat"]
    with apply_routes([chat.as_route(path=r"^/chat/(?P<room>[-\w]+)/$")]):
        ann, other, nobody = WSClient(), WSClient(), WSClient()
        for name, client in (("ann", ann), ("bob", other)):
            client.force_login(User.objects.create_user(name))
            client.send_and_consume("websocket.connect", path="/chat/lobby/")
        ann.send_and_consume("websocket.receive", path="/chat/lobby/", text={"says": "hi"})
        assert other.receive() == {"who": "ann", "says": "hi"}
        nobody.send_and_consume("websocket.connect", path="/chat/lobby/", check_accept=False)
        assert nobody.receive() == {"close": True}


def test_its_test_passes(database):
    """The test of an echo that stands beside that of Channels 4."""
    case = run("migrating-channels4.md", 5)["EchoTests"]

    def echo(message):
        message.reply_channel.send({"text": message["text"]})

    with_routes = apply_routes(
        [
            route(
                "websocket.connect", lambda message: message.reply_channel.send({"accept": True})
            ),
            route("websocket.receive", echo, path=r"^/echo/$"),
        ]
    )(case)
    result = unittest.TestResult()
    with_routes("test_echo").run(result)
    assert result.wasSuccessful(), result.errors + result.failures
    assert result.testsRun == 1


def test_its_routing_takes_the_same_paths(monkeypatch):
    chat = run("migrating-channels4.md", 1)["Chat"]
    package, consumers = ModuleType("chat"), ModuleType("chat.consumers")
    consumers.Chat = chat
    monkeypatch.setitem(sys.modules, "chat", package)
    monkeypatch.setitem(sys.modules, "chat.consumers", consumers)
    routing = run("migrating-channels4.md", 3)["channel_routing"]
    assert consumer_name(routing, "websocket.connect", path="/chat/my-room/")[1] == {
        "room": "my-room"
    }


def test_the_chat_of_the_index_reaches_everybody():
    routing = run("index.md", 0)["channel_routing"]
    with apply_routes(routing):
        client, other = WSClient(), WSClient()
        for one in (client, other):
            one.send_and_consume("websocket.connect", path="/chat/")
        client.send_and_consume("websocket.receive", path="/chat/", text="hello")
        assert other.receive(json=False) == "hello"


def test_the_message_of_the_concepts_is_one_of_ours():
    (piece,) = code(DOCS / "concepts.md", "python")[:1]
    message = ast.literal_eval(piece)
    assert set(message) == set(WebSocketReceive.__annotations__)
    assert check_channel(message["reply_channel"])
    assert json.dumps(message)
