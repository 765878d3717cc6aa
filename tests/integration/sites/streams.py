"""A site of views that stream, read slowly, wait and tell of each other. Settings and all."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from txchannels.django import route
from txchannels.django.message import Message

SECRET_KEY = "for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = __name__
MIDDLEWARE: list[str] = []
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "tests.integration.sites.streams.channel_routing",
    }
}
INSTALLED_APPS: list[str] = []
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20

PIECE = b"x" * 65_536

#: A guard against hanging for ever.
WAIT_SECONDS = 60.0

gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)
counts: Counter[str] = Counter()


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello, {request.META.get('REMOTE_ADDR', 'nobody')}, {request.scheme}!")


def open_gate(request: HttpRequest, gate: str) -> HttpResponse:
    """Let the views go on that wait at *gate*."""
    gates[gate].set()
    return HttpResponse("open")


def count(request: HttpRequest, what: str) -> HttpResponse:
    return HttpResponse(str(counts[what]))


def wait(request: HttpRequest, gate: str) -> HttpResponse:
    counts[f"waiting-{gate}"] += 1
    gates[gate].wait(WAIT_SECONDS)
    return HttpResponse("waited")


def parts(request: HttpRequest, gate: str) -> StreamingHttpResponse:
    """One part, and another when the gate is opened."""

    def stream() -> Iterator[bytes]:
        yield b"one"
        gates[gate].wait(WAIT_SECONDS)
        yield b"two"

    return StreamingHttpResponse(stream())


def download(request: HttpRequest, mebibytes: int) -> StreamingHttpResponse:
    def stream() -> Iterator[bytes]:
        try:
            for _ in range(mebibytes * 16):
                yield PIECE
        finally:
            counts["closed"] += 1

    return StreamingHttpResponse(stream())


def upload(request: HttpRequest, gate: str) -> JsonResponse:
    """Reads 1 MiB of a body, and the rest when the gate is opened."""
    size = len(request.read(2**20))
    gates[gate].wait(WAIT_SECONDS)
    while piece := request.read(65_536):
        size += len(piece)
    return JsonResponse({"size": size})


class CountingHandler(FileUploadHandler):
    """An upload handler of the site: it keeps nothing and counts."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        counts["handled"] = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        counts["handled"] += len(raw_data)
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


def multipart(request: HttpRequest) -> JsonResponse:
    """What became of the uploaded file."""
    request.upload_handlers.insert(0, CountingHandler(request))
    file = request.FILES["file"]
    return JsonResponse(
        {
            "size": file.size,
            "kind": type(file).__name__,
            "handled": counts["handled"],
            "title": request.POST["title"],
            "edges": [file.read(4).decode(), file.size and _last(file, 4).decode()],
        }
    )


def _last(file: Any, size: int) -> bytes:
    file.seek(-size, 2)
    return file.read()


def many_bytes(request: HttpRequest, size: int) -> HttpResponse:
    return HttpResponse(b"x" * size)


def refuse(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no", status=403)


urlpatterns = [
    path("", hello),
    path("open/<gate>", open_gate),
    path("count/<what>", count),
    path("wait/<gate>", wait),
    path("parts/<gate>", parts),
    path("download/<int:mebibytes>", download),
    path("upload/<gate>", upload),
    path("multipart", multipart),
    path("refuse", refuse),
    path("bytes/<int:size>", many_bytes),
]


def accept(message: Message) -> None:
    message.reply_channel.send({"accept": True})


def echo(message: Message) -> None:
    message.reply_channel.send({"text": message["text"]})


channel_routing = [route("websocket.connect", accept), route("websocket.receive", echo)]
