"""A page that has a bridge, and what the bridge talks to: sockets, an event stream, a POST."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.http import require_POST

from txchannels.django import route
from txchannels.django.exceptions import DenyConnection

PAGE = """<!doctype html><title>A page</title><link rel="icon" href="data:,">
<script src="/static/page.js"></script>{scripts}"""
SCRIPT = """<script src="/static/txchannels/{file}"></script>
<script>ready(channels.WebSocketBridge)</script>"""
MODULE = """<script type="module">
import {{ WebSocketBridge }} from "/static/txchannels/{file}";
ready(WebSocketBridge);
</script>"""

#: What `/note/` and `/post/` were sent, by this daemon.
noted: list[Any] = []
streams: list[queue.Queue[str]] = []


def page(request: HttpRequest, file: str) -> HttpResponse:
    get_token(request)
    scripts = (MODULE if ".module." in file else SCRIPT).format(file=file)
    return HttpResponse(PAGE.format(scripts=scripts), headers={"Cache-Control": "max-age=60"})


def elsewhere(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!doctype html><title>Elsewhere</title>")


def notes(request: HttpRequest) -> JsonResponse:
    return JsonResponse(noted, safe=False)


def events(request: HttpRequest) -> StreamingHttpResponse:
    """What is posted, as events with numbers, and heartbeats; it says first what was asked for."""
    posted: queue.Queue[str] = queue.Queue()
    streams.append(posted)

    def stream() -> Iterator[str]:
        try:
            hello = {"hello": request.GET.get("after", "")}
            yield f"id: 7\ndata: {json.dumps(hello)}\n\n"
            for _ in range(int(request.GET.get("beats", 1_000))):
                try:
                    yield f"data: {posted.get(timeout=0.05)}\n\n"
                except queue.Empty:
                    yield "event: heartbeat\ndata: \n\n"
            if request.GET.get("then") == "silence":
                threading.Event().wait(3)
        finally:
            streams.remove(posted)

    return StreamingHttpResponse(stream(), content_type="text/event-stream")


@require_POST
def post(request: HttpRequest) -> HttpResponse:
    frame = json.loads(request.body)
    if frame == "refuse":
        return HttpResponse(status=403)
    noted.append(frame)
    for posted in streams:
        posted.put(json.dumps({"posted": frame}))
    return HttpResponse(status=204)


urlpatterns = [
    path("page/<file>", page),
    path("elsewhere", elsewhere),
    path("notes/", notes),
    path("events/", events),
    path("post/", post),
]


def connect(message: Any) -> None:
    message.reply_channel.send({"accept": True})


def deny(message: Any) -> None:
    raise DenyConnection


def choose(message: Any) -> None:
    message.reply_channel.send({"accept": True, "subprotocol": "v2"})


def tell_query(message: Any) -> None:
    connect(message)
    message.reply_channel.send({"text": json.dumps(message["query_string"].decode())})


def echo(message: Any) -> None:
    message.reply_channel.send({"text": message["text"]})


def note(message: Any) -> None:
    noted.append(json.loads(message["text"]))
    echo(message)


def answer(message: Any) -> None:
    """Of a stream on that stream; `both` is answered without a stream too."""
    frame = json.loads(message["text"])
    reply: dict[str, Any] = {"echo": frame}
    if isinstance(frame, dict) and "stream" in frame:
        reply = {"stream": frame["stream"], "payload": {"echo": frame["payload"]}}
    message.reply_channel.send({"text": json.dumps(reply)})


def close(message: Any) -> None:
    message.reply_channel.send({"close": json.loads(message["text"])})


def say_nothing(message: Any) -> None:
    pass


def send_raw(message: Any) -> None:
    """Bytes, then what is no JSON, then JSON."""
    for frame in ({"bytes": b"[1]"}, {"text": "{"}, {"text": "[2]"}):
        message.reply_channel.send(frame)


PATHS = {
    "/": (connect, echo),
    "/echo/": (connect, echo),
    "/page/relative/": (connect, echo),
    "/note/": (connect, note),
    "/streams/": (connect, answer),
    "/close/": (connect, close),
    "/silent/": (connect, say_nothing),
    "/raw/": (connect, send_raw),
    "/query/": (tell_query, echo),
    "/protocol/": (choose, echo),
    "/deny/": (deny, echo),
}

channel_routing = []
for _path, (_connect, _receive) in PATHS.items():
    channel_routing.append(route("websocket.connect", _connect, path=f"^{_path}$"))
    channel_routing.append(route("websocket.receive", _receive, path=f"^{_path}$"))
