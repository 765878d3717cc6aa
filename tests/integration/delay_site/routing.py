"""Views and consumers. What arrives goes as a line into a file of the folder ``NOTES``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path

from txchannels.django import Channel, route


def note(file: str, *words: object) -> None:
    with Path(os.environ["NOTES"], file).open("a") as lines:
        lines.write(f"{' '.join(map(str, words))}\n")


def order(channel: str, delay: Any, content: Any) -> None:
    Channel("asgi.delay").send({"channel": channel, "delay": delay, "content": content})


# Views


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def later(request: HttpRequest) -> HttpResponse:
    """Order *count* notes, numbered from *first*."""
    first = int(request.GET.get("first", "0"))
    for number in range(first, first + int(request.GET.get("count", "1"))):
        order("notes", int(request.GET["delay"]), {"n": number})
    return HttpResponse("ordered")


def raw(request: HttpRequest) -> HttpResponse:
    """Send to ``asgi.delay`` whatever the request's body is."""
    Channel("asgi.delay").send(json.loads(request.body))
    return HttpResponse("sent")


urlpatterns = [path("hello", hello), path("later", later), path("raw", raw)]


# Consumers


def accept(message: Any) -> None:
    message.reply_channel.send({"accept": True})


def answer_later(message: Any) -> None:
    """The text is how many milliseconds later."""
    content = {"text": f"{message['text']} ms later"}
    order(message.reply_channel.name, int(message["text"]), content)


def note_arrival(message: Any) -> None:
    note("arrived", message["n"], os.getpid())


routing = [
    route("websocket.connect", accept),
    route("websocket.receive", answer_later),
    route("notes", note_arrival),
]
