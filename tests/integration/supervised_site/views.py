"""The views, each under the path that it is named by."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from supervised_site import doing
from supervised_site.version import VERSION
from txchannels.django import Group


def hello(request: HttpRequest) -> HttpResponse:
    doing.pause(float(request.GET.get("seconds", "0")))
    return HttpResponse(f"{VERSION} {os.getpid()}")


def upload(request: HttpRequest) -> JsonResponse:
    digest, size = hashlib.sha256(), 0
    if "gate" in request.GET:
        doing.wait_for(request.GET["gate"])
    while piece := request.read(65_536):
        digest.update(piece)
        size += len(piece)
    return JsonResponse({"size": size, "sha256": digest.hexdigest()})


def parts(request: HttpRequest) -> StreamingHttpResponse:
    """One part, and the rest when the gate is opened."""

    def stream() -> Iterator[bytes]:
        yield f"{os.getpid()}\n".encode()
        doing.wait_for(request.GET["gate"])
        for number in range(int(request.GET["count"])):
            yield f"{number:08}".encode().ljust(50_000, b".")

    return StreamingHttpResponse(stream())


def wait(request: HttpRequest) -> HttpResponse:
    doing.wait_for(request.GET["gate"])
    return HttpResponse(f"{VERSION} {os.getpid()}")


def die(request: HttpRequest) -> HttpResponse:
    doing.die(request.GET["how"])
    return HttpResponse("alive")


def tell(request: HttpRequest) -> HttpResponse:
    Group("room").send({"text": request.GET["text"]}, immediately=True)
    return HttpResponse("told")


def grow(request: HttpRequest) -> HttpResponse:
    """Take so many bytes of memory for good."""
    _kept.append(b"." * int(request.GET["size"]))
    return HttpResponse("grown")


def leave_child(request: HttpRequest) -> HttpResponse:
    """Start a program that lives on, with all that this process has open."""
    child = subprocess.Popen(["sleep", "600"], close_fds=False)
    return HttpResponse(f"{os.getpid()} {child.pid}")


_kept: list[bytes] = []

urlpatterns = [
    path(one.__name__, one) for one in (hello, upload, parts, wait, die, tell, grow, leave_child)
]
