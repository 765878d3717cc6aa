"""What txchannels serves: the same consumers as in `benchsite.asgi`, as functions."""

from __future__ import annotations

import time

from benchsite.timing import BLOCK_SECONDS, GROUP, SLOW_SECONDS
from txchannels.django import Group, route
from txchannels.django.message import Message


def accept(message: Message) -> None:
    """Take the socket."""
    message.reply_channel.send({"accept": True})


def subscribe(message: Message) -> None:
    """Take the socket into the group."""
    message.reply_channel.send({"accept": True})
    Group(GROUP).add(message.reply_channel)


def echo(message: Message) -> None:
    """Send the message back."""
    message.reply_channel.send({"text": message.content["text"]})


def slow_echo(message: Message) -> None:
    """Send the message back after asking something else."""
    time.sleep(SLOW_SECONDS)
    echo(message)


def blocking_echo(message: Message) -> None:
    """Send the message back after a while."""
    time.sleep(BLOCK_SECONDS)
    echo(message)


def publish(message: Message) -> None:
    """Send the message to the group."""
    Group(GROUP).send({"text": message.content["text"]})


channel_routing = [
    route("websocket.connect", subscribe, path=r"^/fan$"),
    route("websocket.connect", accept),
    route("websocket.receive", echo, path=r"^/echo$"),
    route("websocket.receive", slow_echo, path=r"^/slow$"),
    route("websocket.receive", blocking_echo, path=r"^/block$"),
    route("websocket.receive", publish, path=r"^/pub$"),
]
