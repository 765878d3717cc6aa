"""HTTP without views."""

from django.http import JsonResponse

from txchannels.django.auth import http_session_user
from txchannels.django.handler import AsgiHandler, AsgiRequest


def ping(message):
    """The message that answers, by hand."""
    message.reply_channel.send(
        {"status": 200, "headers": [(b"X-Pong", b"yes")], "content": b"pong"}
    )


@http_session_user
def who_am_i(message):
    """A response of Django's, encoded."""
    request = AsgiRequest(message)
    response = JsonResponse({"user": message.user.get_username(), "query": request.GET.get("q")})
    response.set_cookie("asked", "yes")
    for chunk in AsgiHandler.encode_response(response):
        message.reply_channel.send(chunk)


def drip(message, drops):
    """A response in pieces."""
    message.reply_channel.send({"status": 200, "headers": [], "more_content": True})
    for number in range(int(drops)):
        message.reply_channel.send({"content": b"%d " % number, "more_content": True})
    message.reply_channel.send({"content": b"done", "more_content": False})


def gone(message):
    pass
