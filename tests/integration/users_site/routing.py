"""Views that log in and out, and a socket that is for users alone."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import path

from txchannels.django.events import EventStreamResponse
from txchannels.django.exceptions import DenyConnection
from txchannels.django.generic.websockets import WebsocketConsumer
from txchannels.django.users import attach_socket, disconnect


def sign_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username=request.GET["name"], password=request.GET["password"])
    if user is None:
        return HttpResponse(status=403)
    login(request, user)
    return HttpResponse("in")


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("out")


def change_password(request: HttpRequest) -> HttpResponse:
    request.user.set_password(request.GET["password"])
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse("changed")


def throw_out(request: HttpRequest) -> HttpResponse:
    disconnect(User.objects.get(username=request.GET["name"]), int(request.GET["code"]))
    return HttpResponse("thrown out")


def news(request: HttpRequest) -> HttpResponse:
    """An event stream for users, which says at once that it is there."""
    if not request.user.is_authenticated:
        return HttpResponse(status=403)
    response = EventStreamResponse(request, "news", replay=lambda _last: [{"text": "hello"}])
    if not attach_socket(response.reply_channel, request.user, request.session):
        return HttpResponse(status=403)
    return response


urlpatterns = [
    path("news", news),
    path("in", sign_in),
    path("out", sign_out),
    path("password", change_password),
    path("throw", throw_out),
]


class Members(WebsocketConsumer):
    """Says who the client is; of nobody, the handshake is denied."""

    http_user = True

    def connect(self, message: Any, **kwargs: Any) -> None:
        if not message.user.is_authenticated:
            raise DenyConnection
        super().connect(message, **kwargs)

    def receive(self, text: str | None = None, **kwargs: Any) -> None:
        self.send(self.message.user.get_username() or "nobody")


class Late(Members):
    """Does not accept: that is another's part, who never comes."""

    def connect(self, message: Any, **kwargs: Any) -> None:
        pass


routing = [Members.as_route(path="^/members$"), Late.as_route(path="^/late$")]
