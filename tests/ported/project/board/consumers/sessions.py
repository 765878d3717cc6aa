"""What sockets remember."""

# ruff: noqa: UP031 - as they were written

from txchannels.django.auth import (
    channel_and_http_session_user_from_http,
    http_session_user,
    transfer_user,
)
from txchannels.django.sessions import (
    channel_and_http_session,
    channel_session,
    http_session,
)


@channel_session
def start_count(message):
    message.channel_session["count"] = 0
    message.reply_channel.send({"accept": True})


@channel_session
def count(message):
    message.channel_session["count"] += 1
    message.reply_channel.send({"text": str(message.channel_session["count"])})


@http_session
def show_browser(message):
    session = message.http_session
    visits = "no session" if session is None else session.get("visits")
    message.reply_channel.send({"accept": True, "text": str(visits)})


@channel_and_http_session
def start_both(message):
    message.reply_channel.send({"accept": True})
    message.channel_session["seen"] = message.http_session.get("visits")


@channel_and_http_session
def show_both(message):
    message.reply_channel.send(
        {"text": "%s %s" % (message.channel_session["seen"], message.http_session.get("visits"))}
    )


@http_session_user
def greet(message):
    message.reply_channel.send({"text": "hello " + (message.user.get_username() or "stranger")})


@channel_and_http_session_user_from_http
def remember(message):
    message.reply_channel.send({"accept": True})
    other = {}
    transfer_user(message.http_session or {}, other)
    message.channel_session["known"] = len(other)


@channel_and_http_session_user_from_http
def recall(message):
    message.reply_channel.send(
        {
            "text": "%s %d %s"
            % (
                message.user.get_username() or "stranger",
                message.channel_session["known"],
                message.http_session is not None,
            )
        }
    )


def forget(message):
    pass
