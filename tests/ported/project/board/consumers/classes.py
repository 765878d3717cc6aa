"""Consumers that are classes, of every kind."""

# ruff: noqa: RUF012, UP031 - as they were written

from board.bindings import LoudBinding, NoticeBinding
from txchannels.django.exceptions import DenyConnection, SendNotAvailableOnDemultiplexer
from txchannels.django.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from txchannels.django.security.websockets import allowed_hosts_only
from txchannels.django.utils import name_that_thing


class Echo(WebsocketConsumer):
    """Text and bytes; says its name when asked for it."""

    groups = ["echoes"]

    def receive(self, text=None, bytes=None, **kwargs):  # noqa: A002
        if text == "name":
            self.send(text=name_that_thing(type(self)))
        elif text == "all":
            self.group_send("echoes", text="to all echoes")
        elif text == "close":
            self.close(4002)
        else:
            self.send(text=text, bytes=bytes)


class Room(JsonWebsocketConsumer):
    """A room whose members are in the group of its name."""

    def connection_groups(self, room, **kwargs):
        return ["json-" + room]

    def receive(self, content, room, **kwargs):
        self.group_send("json-" + room, {"from": self.path, "content": content})


class Account(JsonWebsocketConsumer):
    """The browser's user, and its session."""

    http_user_and_session = True

    def connect(self, message, **kwargs):
        if not message.user.is_authenticated:
            raise DenyConnection("members only")
        super().connect(message, **kwargs)

    def receive(self, content, **kwargs):
        self.send(
            {
                "user": self.message.user.get_username(),
                "visits": self.message.http_session.get("visits"),
            }
        )


class Ordered(JsonWebsocketConsumer):
    """In order; counts in its session, with the user of the handshake."""

    strict_ordering = True
    http_user = True

    def receive(self, content, **kwargs):
        session = self.message.channel_session
        session["numbers"] = [*session.get("numbers", []), content]
        self.send({"user": self.message.user.get_username(), "numbers": session["numbers"]})


class Greeter(WebsocketConsumer):
    """Greets the user whom its own session knows, and closes."""

    greeting = "hello"
    channel_session_user = True

    def connect(self, message, **kwargs):
        message.reply_channel.send({"accept": True})
        self.send(text="%s %s" % (self.greeting, message.user.is_anonymous), close=True)


class Guarded(WebsocketConsumer):
    """Pages of our own only."""

    def get_handler(self, message, **kwargs):
        handler = super().get_handler(message, **kwargs)
        if message.channel.name == "websocket.connect":
            return allowed_hosts_only(handler)
        return handler


class Sum(JsonWebsocketConsumer):
    """One stream: adds."""

    channel_session = True

    def connect(self, message, multiplexer, **kwargs):
        multiplexer.send({"state": "open"})

    def receive(self, content, multiplexer, **kwargs):
        session = self.message.channel_session
        session["sum"] = session.get("sum", 0) + content["add"]
        multiplexer.send({"sum": session["sum"]})

    def disconnect(self, message, multiplexer, **kwargs):
        WebsocketMultiplexer.group_send("sums", "sum", {"left": message.channel_session.get("sum")})


class Shout(JsonWebsocketConsumer):
    """Another: to all who listen; has no `send` of its own."""

    groups = ["sums"]

    def receive(self, content, multiplexer, **kwargs):
        try:
            self.send({"text": "to whom?"})
        except SendNotAvailableOnDemultiplexer:
            multiplexer.group_send("sums", multiplexer.stream, {"shout": content["text"]})


def count(message, multiplexer, **kwargs):
    """A stream's consumer may be a function."""
    if message.channel.name == "websocket.receive":
        multiplexer.send({"length": len(message["text"])})


class Streams(WebsocketDemultiplexer):
    consumers = {"sum": Sum, "shout": Shout, "count": count}


class Rows(WebsocketDemultiplexer):
    """Rows of the attic, and all of them, loudly."""

    http_user = True
    groups = ["notices-attic", "loud", "log"]
    consumers = {"notices": NoticeBinding.consumer, "loud": LoudBinding.consumer}
