"""Rooms whose members see what the others write."""

# ruff: noqa: UP031 - as they were written

from board.models import Notice
from txchannels.django import Group
from txchannels.django.auth import channel_session_user, channel_session_user_from_http
from txchannels.django.sessions import enforce_ordering


@enforce_ordering
@channel_session_user_from_http
def enter(message, room, language=None):
    message.reply_channel.send({"accept": True})
    message.channel_session["room"] = room
    message.channel_session["language"] = language
    Group("board-" + room).add(message.reply_channel)
    Group("everybody").add(message.reply_channel)


@enforce_ordering
@channel_session_user
def say(message, room, language=None):
    session = message.channel_session
    assert session["room"] == room
    session["said"] = session.get("said", 0) + 1
    if message["text"] == "post":
        Notice.objects.create(room=room, text="by hand")
        return
    name = message.user.get_username() or "nobody"
    Group("board-" + room).send(
        {"text": "%s says %s (%d)" % (name, message["text"], session["said"])}
    )


@enforce_ordering(slight=False)
@channel_session_user
def leave(message, room, language=None):
    Group("board-" + room).discard(message.reply_channel)
    Group("everybody").discard(message.reply_channel)


def tell_language(message, language):
    message.reply_channel.send({"text": language, "close": True})


def tell_day(message, day):
    message.reply_channel.send({"accept": True, "text": day})
    message.reply_channel.send({"close": 4000})
