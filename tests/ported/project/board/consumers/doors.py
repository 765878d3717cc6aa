"""Who may come in, and who has to leave."""

from txchannels.django.exceptions import (
    ChannelSocketException,
    DenyConnection,
    WebsocketCloseException,
)
from txchannels.django.security.websockets import BaseOriginValidator, allowed_hosts_only


def closed(message):
    raise DenyConnection("closed")


@allowed_hosts_only
def own(message):
    message.reply_channel.send({"accept": True})


class FriendsOnly(BaseOriginValidator):
    def validate_origin(self, message, origin):
        return origin == "http://friends.example"


@FriendsOnly
def friends(message):
    message.reply_channel.send({"accept": True})


def accept(message):
    message.reply_channel.send({"accept": True})


class LastWord(ChannelSocketException):
    """One of our own: says something, and closes."""

    def run(self, message):
        message.reply_channel.send({"text": str(self), "close": 3001})


def throw_out(message):
    if message["text"] == "last word":
        raise LastWord("and stay out")
    if message["text"] == "plain":
        raise WebsocketCloseException
    raise WebsocketCloseException(int(message["text"]))
