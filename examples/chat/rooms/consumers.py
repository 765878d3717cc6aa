"""What happens on a room's socket: three plain functions.

They block, use the ORM and return, like views. What they send goes out when they return, so
nobody hears of a message that is not in the database yet.
"""

from __future__ import annotations

from django.http import QueryDict

from rooms import frames, presence
from rooms.logins import LOGGED_OUT, sockets_of
from rooms.models import Room
from txchannels.django.auth import channel_session_user, channel_session_user_from_http
from txchannels.django.exceptions import DenyConnection, WebsocketCloseException
from txchannels.django.message import Message
from txchannels.django.sessions import channel_session

__all__ = ["connect", "disconnect", "receive"]


@channel_session_user_from_http
def connect(message: Message, slug: str) -> None:
    """Let a user in: accept, join the room, hand over what they missed, tell the others."""
    room = Room.objects.filter(slug=slug).first()
    if room is None or not message.user.is_authenticated:
        raise DenyConnection
    message.reply_channel.send({"accept": True})
    room.group.add(message.reply_channel)
    sockets_of(message.http_session).add(message.reply_channel)
    history = room.history(after=last_seen(message))
    message.reply_channel.send(frames.write("history", **history))
    presence.enter(room, message.user, message.reply_channel.name)
    room.group.send(frames.write("people", **presence.changed(room)))


@channel_session_user
def receive(message: Message, slug: str) -> None:
    """Keep what was said and tell everyone; be polite about anything else."""
    if not message.user.is_authenticated:  # the password was changed, say
        raise WebsocketCloseException(LOGGED_OUT)
    room = Room.objects.get(slug=slug)
    try:
        frame = frames.read(message.get("text"))
    except frames.FrameError as error:
        nonce = error.nonce and error.nonce.hex
        message.reply_channel.send(frames.write("error", reason=str(error), nonce=nonce))
        return
    if isinstance(frame, frames.Typing):
        room.group.send(frames.write("typing", name=message.user.get_username()))
        return
    said, is_new = room.messages.get_or_create(
        author=message.user, nonce=frame.nonce, defaults={"text": frame.text}
    )
    listeners = room.group if is_new else message.reply_channel
    listeners.send(frames.write("message", message=said.as_dict()))


@channel_session
def disconnect(message: Message, slug: str) -> None:
    """Tell those who stay. (The socket's groups forgot it when it closed.)"""
    message.channel_session.flush()
    room = presence.leave(message.reply_channel.name)
    if room is not None:
        room.group.send(frames.write("people", **presence.changed(room)))


def last_seen(message: Message) -> int:
    """The last message that this browser had before it lost its connection; 0 for none."""
    after = QueryDict(message["query_string"]).get("after", "")
    return int(after) if after.isdecimal() and len(after) < 16 else 0
