"""Views and consumers. What they note goes as a line into a file of the folder ``NOTES``."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from txchannels.django import Channel, Group, route
from txchannels.django.exceptions import DenyConnection
from txchannels.django.signals import gap

logger = logging.getLogger(__name__)

HOST = os.environ.get("HOST_NAME", "")

#: A guard against hanging for ever.
WAIT_SECONDS = 30.0

_pause = threading.Event()
_connected: set[str] = set()


def note(file: str, *words: object) -> None:
    with Path(os.environ["NOTES"], file).open("a") as lines:
        lines.write(f"{' '.join(map(str, words))}\n")


def wait_for(gate: str) -> None:
    """Until the file *gate* exists."""
    for _ in range(int(WAIT_SECONDS * 100)):
        if Path(gate).exists():
            return
        _pause.wait(0.01)


# Views


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello from {HOST}")


def upload(request: HttpRequest) -> JsonResponse:
    digest, size = hashlib.sha256(), 0
    while piece := request.read(65_536):
        digest.update(piece)
        size += len(piece)
    return JsonResponse({"size": size, "sha256": digest.hexdigest(), "host": HOST})


def parts(request: HttpRequest) -> StreamingHttpResponse:
    """One part, and the rest when the gate is opened."""

    def stream() -> Iterator[bytes]:
        yield b"begun\n"
        wait_for(request.GET["gate"])
        for number in range(int(request.GET["count"])):
            yield f"{number:08}".encode().ljust(50_000, b".")

    return StreamingHttpResponse(stream())


def wait(request: HttpRequest) -> HttpResponse:
    note("waiting", HOST)
    wait_for(request.GET["gate"])
    return HttpResponse(f"waited on {HOST}")


def tell(request: HttpRequest) -> HttpResponse:
    """Send to a group: *count* messages of the same text, filled up to *size*."""
    text = request.GET["text"].ljust(int(request.GET.get("size", "0")), ".")
    for _ in range(int(request.GET.get("count", "1"))):
        Group(request.GET.get("group", "room")).send({"text": text}, immediately=True)
    return HttpResponse("told")


def post(request: HttpRequest) -> HttpResponse:
    """Send to the channel ``notes``, which every worker reads."""
    Channel("notes").send({"text": request.GET["text"]}, immediately=True)
    return HttpResponse("posted")


urlpatterns = [
    path("hello", hello),
    path("upload", upload),
    path("parts", parts),
    path("wait", wait),
    path("tell", tell),
    path("post", post),
]


# Consumers


def accept(message: Any) -> None:
    message.reply_channel.send({"accept": True})


def accept_slowly(message: Any) -> None:
    message.reply_channel.send({"accept": True}, immediately=True)
    _pause.wait(0.2)
    note("order", "connected", message.reply_channel.name)


def deny(message: Any) -> None:
    raise DenyConnection


def join(message: Any) -> None:
    Group("room").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def echo(message: Any) -> None:
    message.reply_channel.send({"text": message.content["text"]})


def note_order(message: Any) -> None:
    note("order", message.content["text"], message.reply_channel.name)
    echo(message)


def wait_at_gate(message: Any) -> None:
    """The text is a gate, or is sent back."""
    if message.content["text"].startswith("/"):
        note("waiting", HOST)
        wait_for(message.content["text"])
    echo(message)


def tell_room(message: Any) -> None:
    Group("room").send({"text": message.content["text"]})


def disconnect(message: Any) -> None:
    note("disconnects", HOST, message.content["path"], message.content["code"])


def note_text(message: Any) -> None:
    note("notes", message.content["text"])


def note_gap(message: Any) -> None:
    note("gaps", HOST, "channel", message.content["since"], message.content["until"])


@receiver(gap)
def note_signal(since: float, until: float, **more: Any) -> None:
    note("gaps", HOST, "signal", since, until)


PATHS = {
    "/echo": (accept, echo),
    "/order": (accept_slowly, note_order),
    "/deny": (deny, echo),
    "/gate": (accept, wait_at_gate),
    "/room": (join, tell_room),
}

routing = [route("websocket.disconnect", disconnect), route("notes", note_text)]
if os.environ.get("GAP_BY") == "channel":
    routing.append(route("txchannels.gap", note_gap))
for one, (connected, received) in PATHS.items():
    routing.append(route("websocket.connect", connected, path=f"^{one}$"))
    routing.append(route("websocket.receive", received, path=f"^{one}$"))
