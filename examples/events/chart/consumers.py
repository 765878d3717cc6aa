"""A socket joins the group; and while anybody looks, somebody measures."""

from __future__ import annotations

import time

from django.http import QueryDict

from chart.load import busy_percent
from chart.models import Point, Second, everyone
from txchannels.django import Channel
from txchannels.django.message import Message

__all__ = ["connect", "keep_measuring", "measure"]


def connect(message: Message) -> None:
    """A WebSocket: accept it, join the group, hand over what was missed."""
    message.reply_channel.send({"accept": True})
    everyone().add(message.reply_channel)
    for missed in Point.missed(QueryDict(message["query_string"]).get("after", "")):
        message.reply_channel.send(missed)
    keep_measuring()


def keep_measuring() -> None:
    """Have the next second measured, unless somebody does. Called for each client that comes."""
    second = int(time.time()) + 1
    if Second.take(second):
        Channel("measure").send({"second": second})


def measure(message: Message) -> None:
    """Wait for a second, measure, tell everyone, and go on as long as anybody looks.

    It sleeps in its thread: that harms nobody, and of each second there is only one.
    """
    time.sleep(max(0.0, message["second"] - time.time()))
    Point.forget_old()
    point = Point.objects.create(at=time.time(), value=busy_percent())
    group = everyone()
    group.send(point.as_message())
    if group.channel_layer.group_channels(group.name):
        keep_measuring()
