"""Consumers and routings for the checks, good and bad."""

from __future__ import annotations

import functools

from txchannels.django import include, route
from txchannels.django.auth import (
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from txchannels.django.generic.websockets import WebsocketConsumer, WebsocketDemultiplexer
from txchannels.django.security.websockets import allowed_hosts_only
from txchannels.django.sessions import channel_session, enforce_ordering, http_session

CONNECT, RECEIVE = "websocket.connect", "websocket.receive"


def plain(message):
    pass


def other(message):
    pass


def logged(func):
    """A decorator of somebody else's."""

    @functools.wraps(func)
    def inner(*args, **kwargs):
        return func(*args, **kwargs)

    return inner


with_channel_session = channel_session(plain)
with_http_session = http_session(plain)
with_http_user = http_session_user(plain)
with_user = logged(channel_session_user(plain))
takes_user_over = allowed_hosts_only(channel_session_user_from_http(plain))
ordered = enforce_ordering(plain)
guarded = logged(allowed_hosts_only(plain))


@channel_session
def takes_over_by_hand(message):
    transfer_user(message.http_session, message.channel_session)


class Open(WebsocketConsumer):
    pass


class Guarded(WebsocketConsumer):
    @allowed_hosts_only
    def connect(self, message, **kwargs):
        self.message.reply_channel.send({"accept": True})


class GuardedBelow(WebsocketConsumer):
    """Whose decorators cannot be seen."""

    def get_handler(self, message, **kwargs):
        return allowed_hosts_only(super().get_handler(message, **kwargs))


class WithUser(WebsocketConsumer):
    channel_session_user = True


class WithHttpUser(WebsocketConsumer):
    http_user = True


class Ordered(WebsocketConsumer):
    strict_ordering = True


class Streams(WebsocketDemultiplexer):
    http_user = True
    consumers = {"a": WithUser}  # noqa: RUF012 - as sites write it

    @allowed_hosts_only
    def connect(self, message, **kwargs):
        super().connect(message, **kwargs)


OriginalConsumer = type("OriginalConsumer", (), {"__module__": "channels.generic.websocket"})


class FromOriginal(OriginalConsumer):
    @classmethod
    def channel_names(cls):
        return {RECEIVE}


unreachable = [route(CONNECT, plain), route(CONNECT, other, path=r"^/chat/$")]
reachable = [route(CONNECT, other, path=r"^/chat/$"), route(CONNECT, plain)]
inner_unreachable = [include([route(RECEIVE, plain), route(RECEIVE, other)], path=r"^/a")]


class BlockingLayer:
    """A layer of others: good for programs that send, not for the daemon."""

    def __init__(self, **config):
        self.send = self.receive_many = self.new_channel = None
