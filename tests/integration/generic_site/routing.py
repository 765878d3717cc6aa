"""The consumers, each under the path that it is routed with."""

# Consumers are written here as their users write them.
# ruff: noqa: RUF012

from __future__ import annotations

from typing import Any

from txchannels.django import route_class
from txchannels.django.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)

urlpatterns: list[Any] = []


class Plain(WebsocketConsumer):
    def receive(self, text=None, bytes=None, **kwargs):  # noqa: A002
        if text == "close":
            self.send("bye", close=4321)
        else:
            self.send(text, bytes)


class JsonEcho(JsonWebsocketConsumer):
    def receive(self, content, **kwargs):
        if content == "fail":
            raise ValueError("boom")
        if content == "exit":
            raise SystemExit(3)
        self.send(content)


class Room(JsonWebsocketConsumer):
    def connection_groups(self, room, **kwargs):
        return [f"room-{room}"]

    def receive(self, content, room, **kwargs):
        self.group_send(f"room-{room}", content)


class Counter(JsonWebsocketConsumer):
    """Counts its stream's messages in the socket's session, and tells all sockets."""

    groups = ["counters"]
    strict_ordering = True
    channel_session = True

    def receive(self, content, multiplexer, **kwargs):
        session = self.message.channel_session
        session["count"] = session.get("count", 0) + content["by"]
        WebsocketMultiplexer.group_send("counters", multiplexer.stream, {"count": session["count"]})


def echo(message: Any, multiplexer: Any, **kwargs: Any) -> None:
    if message.channel_name == "websocket.receive":
        multiplexer.send({"text": message["text"]})


class Failing(JsonWebsocketConsumer):
    def connect(self, message, **kwargs):
        raise ValueError("this stream has no luck")


class Streams(WebsocketDemultiplexer):
    consumers = {"failing": Failing, "counter": Counter, "echo": echo}


routing = [
    route_class(Plain, path=r"^/plain$"),
    JsonEcho.as_route(path=r"^/json$"),
    Room.as_route(path=r"^/rooms/(?P<room>\w+)$"),
    Streams.as_route(path=r"^/streams$"),
]
