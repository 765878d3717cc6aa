"""One group, `prices`, and every way to be in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.http import require_POST

from txchannels.django import Group, route
from txchannels.django.events import EventStreamResponse, LongPollResponse

PAGE = """<!doctype html><title>A page</title><link rel="icon" href="data:,">
<script src="/static/txchannels/websocketbridge.min.js"></script>"""


def prices(request: HttpRequest) -> HttpResponse:
    """An event stream; `known`: the history's events have the numbers up to that."""
    request.session["seen"] = True
    return EventStreamResponse(request, "prices", replay=history(request), heartbeat=1, retry=0.1)


def poll(request: HttpRequest) -> HttpResponse:
    timeout = float(request.GET.get("timeout", 25))
    return LongPollResponse(request, "prices", replay=history(request), timeout=timeout)


def history(request: HttpRequest) -> Any:
    known = int(request.GET.get("known", 0))

    def missed(last: str) -> Iterator[dict[str, Any]]:
        for number in range(int(last or 0) + 1, known + 1):
            yield {"text": str(number), "id": number}

    return missed


@require_POST
def send(request: HttpRequest) -> HttpResponse:
    message: dict[str, Any] = {"text": request.body.decode()}
    if "id" in request.GET:
        message["id"] = request.GET["id"]
    Group(request.GET.get("group", "prices")).send(message)
    return HttpResponse(status=204)


def members(request: HttpRequest) -> JsonResponse:
    group = Group("prices")
    return JsonResponse({"members": len(group.channel_layer.group_channels(group.name))})


def process(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(os.getpid()))


def page(request: HttpRequest) -> HttpResponse:
    get_token(request)
    return HttpResponse(PAGE)


urlpatterns = [
    path("prices/", prices),
    path("poll/", poll),
    path("send/", send),
    path("members/", members),
    path("process/", process),
    path("page/", page),
]


def connect(message: Any) -> None:
    message.reply_channel.send({"accept": True})
    Group("prices").add(message.reply_channel)


def deny(message: Any) -> None:
    message.reply_channel.send({"accept": False})


def stream(message: Any) -> None:
    """A consumer instead of a view."""
    EventStreamResponse(message, ["prices", "others"]).send()


def gone(message: Any) -> None:
    """Somebody has left: tell those who listen to that."""
    Group("gone").send({"text": message["path"]})


def watch(message: Any) -> None:
    EventStreamResponse(message, "gone").send()


channel_routing = [
    route("http.request", stream, path=r"^/consumer/$"),
    route("http.request", watch, path=r"^/gone/$"),
    route("http.disconnect", gone, path=r"^/(?:prices|consumer)/$"),
    route("websocket.connect", connect, path=r"^/socket/$"),
    route("websocket.connect", deny, path=r"^/denied/$"),
]
