"""Consumers that raise what they are told to, each at another moment.

A socket is told by its query (``?SystemExit``) what is raised when it connects, and by its
frames what is raised later; frames that are no such name come back.
"""

# Consumers are written here as their users write them.
# ruff: noqa: RUF012

from __future__ import annotations

from typing import Any

from tests.channels1.rough_site.raising import RAISERS, raise_it
from txchannels.django import Group, route, route_class
from txchannels.django.exceptions import ChannelSocketException, DenyConnection
from txchannels.django.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
)
from txchannels.django.sessions import channel_session, enforce_ordering
from txchannels.django.signals import consumer_finished, consumer_started

#: What the signals' receivers are to raise next, each once.
armed: dict[str, str] = {}


def asked_by(message: Any) -> str:
    return message["query_string"].decode()


def accept(message: Any) -> None:
    message.reply_channel.send({"accept": True})


def fail_to_connect(message: Any) -> None:
    raise_it(asked_by(message))


def accept_and_fail(message: Any) -> None:
    message.reply_channel.send({"accept": True})
    raise_it(asked_by(message))


def echo(message: Any) -> None:
    if message["text"] in RAISERS:
        raise_it(message["text"])
    message.reply_channel.send({"text": message["text"]})


def fail_to_disconnect(message: Any) -> None:
    """The close code says what is raised: 4000 is the first."""
    raise_it(list(RAISERS)[message["code"] - 4000])


def deny_too_late(message: Any) -> None:
    if message["text"] == "deny":
        raise DenyConnection
    if message["text"] == "fail":
        raise Unable
    echo(message)


class Unable(ChannelSocketException):
    """Cannot do what it is for."""

    def run(self, message: Any) -> None:
        raise SystemExit(6)


def spoil(message: Any) -> None:
    """Leave nothing of the message, and fail."""
    text = message["text"]
    message.content.clear()
    message.content = None
    message.channel_name = message.channel_layer = None
    if text in RAISERS:
        raise_it(text)
    raise ValueError("spoilt")


def spoil_connect(message: Any) -> None:
    name = asked_by(message)
    message.content.clear()
    message.content = None
    raise_it(name)


class Unpicklable:
    """Fails when the session that holds it is saved."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        raise_it(self.name)


@channel_session
def store(message: Any) -> None:
    """Count in the session what is no name; what is one, is stored and cannot be."""
    text = message["text"]
    session = message.channel_session
    if text in RAISERS:
        session["bad"] = Unpicklable(text)
    else:
        session["good"] = session.get("good", 0) + 1
    message.reply_channel.send({"text": f"{text} {session.get('good', 0)}"})


@enforce_ordering
def store_in_order(message: Any) -> None:
    """The same; but what is stored is saved when all is sent, to let the next one come."""
    store(message)


@enforce_ordering
def accept_in_order(message: Any) -> None:
    message.reply_channel.send({"accept": True})


def arm(message: Any) -> None:
    """``started SystemExit``: what the signal's next receiver raises; the rest comes back."""
    which, _, name = message["text"].partition(" ")
    message.reply_channel.send({"text": message["text"]})
    if name in RAISERS:
        armed[which] = name


def receive_started(**kwargs: Any) -> None:
    if name := armed.pop("started", None):
        raise_it(name)


def receive_finished(**kwargs: Any) -> None:
    if name := armed.pop("finished", None):
        # Armed by the message that ends here: its successor is to suffer.
        armed["finished-next"] = name
    elif name := armed.pop("finished-next", None):
        raise_it(name)


consumer_started.connect(receive_started)
consumer_finished.connect(receive_finished)


class Unsendable(str):
    """A text that cannot be copied."""

    __slots__ = ("name",)

    def encode(self, *args: Any) -> bytes:
        raise_it(self.name)

    __len__ = __str__ = __repr__ = encode  # type: ignore[assignment]


def send_what_cannot_be_sent(message: Any) -> None:
    text = message["text"]
    if text in RAISERS:
        bad = Unsendable("x")
        bad.name = text
        Group("nobody").send({"text": bad})
    message.reply_channel.send({"text": text})


class InConstructor(WebsocketConsumer):
    def __init__(self, message: Any, **kwargs: Any) -> None:
        if message.get("text") in RAISERS:
            raise_it(message["text"])
        super().__init__(message, **kwargs)

    def receive(self, text: Any = None, bytes: Any = None, **kwargs: Any) -> None:  # noqa: A002
        self.send(text=text)


class InReceive(JsonWebsocketConsumer):
    def receive(self, content: Any, **kwargs: Any) -> None:
        if isinstance(content, str) and content in RAISERS:
            raise_it(content)
        self.send(content)


class InGroups(WebsocketConsumer):
    def connection_groups(self, **kwargs: Any) -> Any:
        if self.message.channel_name == "websocket.connect":
            raise_it(asked_by(self.message))
        return []


class InStream(JsonWebsocketConsumer):
    strict_ordering = True

    def receive(self, content: Any, multiplexer: Any, **kwargs: Any) -> None:
        if content.get("raise"):
            raise_it(content["raise"])
        multiplexer.send(content)


class Streams(WebsocketDemultiplexer):
    consumers = {"stream": InStream}


class InRoute:
    """A route of the site's own, which fails when it is asked."""

    def match(self, message: Any) -> Any:
        if message.get("path") == "/route/" and message.get("text") in RAISERS:
            raise_it(message["text"])
        if message.get("path") == "/route/":
            return (echo if "text" in message else accept), {}
        return None

    def channel_names(self) -> set[str]:
        return {"websocket.connect", "websocket.receive"}


def fail_to_answer(message: Any) -> None:
    """An HTTP consumer of the site's own."""
    raise_it(asked_by(message))


RECEIVERS = {
    "/receive/": echo,
    "/accept/": echo,
    "/spoil/": spoil,
    "/late/": deny_too_late,
    "/session/": store,
    "/ordered/": store_in_order,
    "/signals/": arm,
    "/send/": send_what_cannot_be_sent,
}

routing: list[Any] = [
    InRoute(),
    route("http.request", fail_to_answer, path="^/consumer/$"),
    route("websocket.connect", fail_to_connect, path="^/connect/$"),
    route("websocket.connect", accept_in_order, path="^/ordered/$"),
    route("websocket.connect", accept_and_fail, path="^/accept/$"),
    route("websocket.connect", spoil_connect, path="^/spoil-connect/$"),
    route("websocket.disconnect", fail_to_disconnect, path="^/disconnect/$"),
    route_class(InConstructor, path="^/constructor/$"),
    route_class(InReceive, path="^/class/$"),
    route_class(InGroups, path="^/groups/$"),
    route_class(Streams, path="^/streams/$"),
    *(route("websocket.receive", one, path=f"^{path}$") for path, one in RECEIVERS.items()),
]
