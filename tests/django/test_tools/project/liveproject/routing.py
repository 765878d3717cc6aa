"""The consumers."""

from django.contrib.auth.models import User

from txchannels.django import Group, route
from txchannels.django.auth import channel_session_user, channel_session_user_from_http


@channel_session_user_from_http
def connect(message):
    message.reply_channel.send({"accept": True})
    Group("all").add(message.reply_channel)
    message.reply_channel.send({"text": f"hello {message.user.username}"})


@channel_session_user
def receive(message):
    """Add a user of that name, and tell all."""
    User.objects.create(username=message["text"])
    Group("all").send({"text": f"{message.user.username} adds {message['text']}"})


@channel_session_user
def disconnect(message):
    Group("all").discard(message.reply_channel)


channel_routing = [
    route("websocket.connect", connect, path="^/ws/$"),
    route("websocket.receive", receive, path="^/ws/$"),
    route("websocket.disconnect", disconnect, path="^/ws/$"),
]
