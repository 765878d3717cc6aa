"""The classes over a real layer, message by message in the test's own thread."""

# Consumers are written here as their users write them.
# ruff: noqa: RUF012

from __future__ import annotations

import json

import pytest

from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.dispatch import Dispatcher
from txchannels.django.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from txchannels.layers.memory import MemoryLayer

SOCKETS = "sockets!"


class Room(JsonWebsocketConsumer):
    def connection_groups(self, room, **kwargs):
        return [f"room-{room}"]

    def receive(self, content, room, **kwargs):
        self.group_send(f"room-{room}", content)


class Counter(JsonWebsocketConsumer):
    groups = ["counters"]

    def receive(self, content, multiplexer, **kwargs):
        WebsocketMultiplexer.group_send("counters", multiplexer.stream, content)


class Streams(WebsocketDemultiplexer):
    consumers = {"counter": Counter}


ROUTING = [Room.as_route(path=r"^/rooms/(?P<room>\w+)$"), Streams.as_route(path="^/streams$")]


class Site:
    """A layer and a routing, without threads."""

    def __init__(self):
        self.layer = ChannelLayerWrapper(MemoryLayer(), "default", ROUTING)
        self.dispatch = Dispatcher(self.layer, self.layer.router)

    def send(self, channel, socket, path, **fields):
        """Send a socket's message through the layer to its consumer."""
        content = {"reply_channel": f"{SOCKETS}{socket}", "path": path, **fields}
        self.layer.send(channel, content)
        self.dispatch(*self.layer.receive([channel]))

    def open(self, socket, path):
        self.send("websocket.connect", socket, path, headers=[], query_string=b"")

    def text(self, socket, path, content):
        self.send("websocket.receive", socket, path, text=json.dumps(content), bytes=None)

    def replies(self):
        """What waits for each socket, in order."""
        found: dict = {}
        while (received := self.layer.receive([SOCKETS]))[0] is not None:
            channel, message = received
            found.setdefault(channel.removeprefix(SOCKETS), []).append(message)
        return found


@pytest.fixture
def site():
    site = Site()
    old = channel_layers.set("default", site.layer)
    yield site
    channel_layers.set("default", old)


def test_a_room_reaches_its_sockets_until_they_leave(site):
    for socket, room in (("a", "lobby"), ("b", "lobby"), ("c", "attic")):
        site.open(socket, f"/rooms/{room}")
    assert site.replies() == {socket: [{"accept": True}] for socket in "abc"}
    site.text("a", "/rooms/lobby", {"hello": 1})
    assert site.replies() == {socket: [{"text": '{"hello": 1}'}] for socket in "ab"}
    site.send("websocket.disconnect", "b", "/rooms/lobby", code=1000)
    site.text("a", "/rooms/lobby", [])
    assert site.replies() == {"a": [{"text": "[]"}]}


def test_a_stream_reaches_the_sockets_of_its_group(site):
    for socket in "ab":
        site.open(socket, "/streams")
    site.replies()
    site.text("a", "/streams", {"stream": "counter", "payload": {"count": 3}})
    for replies in site.replies().values():
        assert replies == [{"text": '{"stream": "counter", "payload": {"count": 3}}'}]


def test_a_bad_frame_closes_its_socket_and_no_other(site):
    for socket in "ab":
        site.open(socket, "/rooms/lobby")
    site.replies()
    site.send("websocket.receive", "a", "/rooms/lobby", text="{", bytes=None)
    site.text("b", "/rooms/lobby", 1)
    replies = site.replies()
    assert replies["a"][0] == {"close": 1007}
    assert replies["b"] == [{"text": "1"}]
