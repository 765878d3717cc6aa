"""Views and middleware that raise what the query names: ``?SystemExit``."""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from tests.channels1.rough_site.raising import raise_it
from txchannels.django import channel_layers

logger = logging.getLogger("django.channels")


def name_of(request: HttpRequest) -> str:
    return request.META["QUERY_STRING"]


def fail_on_the_way(get_response: Any) -> Any:
    """Middleware that fails before the view, or after it."""

    def middleware(request: HttpRequest) -> Any:
        if request.path == "/before/":
            raise_it(name_of(request))
        response = get_response(request)
        if request.path == "/after/":
            raise_it(name_of(request))
        return response

    return middleware


def fine(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("fine")


def fail(request: HttpRequest) -> HttpResponse:
    raise_it(name_of(request))


def fail_in_a_stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Any:
        yield b"so far so good"
        raise_it(name_of(request))

    return StreamingHttpResponse(parts())


def fail_at_the_streams_end(request: HttpRequest) -> StreamingHttpResponse:
    """Its iterator cannot be closed."""

    class Parts:
        def __iter__(self) -> Any:
            return iter([b"all"])

        def close(self) -> None:
            raise_it(name_of(request))

    return StreamingHttpResponse(Parts())


class Unclosable(HttpResponse):
    """A response whose end fails."""

    def close(self) -> None:
        super().close()
        raise_it(self.headers["X-Raise"])


def fail_at_the_end(request: HttpRequest) -> HttpResponse:
    return Unclosable("all", headers={"X-Raise": name_of(request)})


def mark(request: HttpRequest) -> HttpResponse:
    """A line in the log, behind all that this thread has told."""
    logger.error("mark %s.", name_of(request))
    return HttpResponse("marked")


def state(_request: HttpRequest) -> HttpResponse:
    """Which thread this is, and the layer's books."""
    gc.collect()
    hub = channel_layers["default"].channel_layer.hub
    books = {
        name: [one.sent, one.delivered, one.dropped.total(), one.lost, one.pending]
        for name, one in hub.accounts().items()
    }
    workers = [one.name for one in threading.enumerate() if one.name.startswith("txchannels-work")]
    here = threading.current_thread()
    return HttpResponse(
        json.dumps(
            {"pid": os.getpid(), "thread": [here.name, here.ident], "all": workers, "books": books}
        )
    )


urlpatterns = [
    path("fine/", fine),
    path("before/", fine),
    path("after/", fine),
    path("view/", fail),
    path("stream/", fail_in_a_stream),
    path("stream-end/", fail_at_the_streams_end),
    path("end/", fail_at_the_end),
    path("mark/", mark),
    path("state/", state),
]
