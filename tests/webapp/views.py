"""Views that tell what came in, and answer in all the ways that Django knows."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import threading
from pathlib import Path

from django.contrib.auth.models import User
from django.db import connection
from django.db.backends.signals import connection_created
from django.http import (
    FileResponse,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)

logger = logging.getLogger(__name__)

#: Which responses and iterators were closed, in order.
CLOSINGS: list[str] = []
CONNECTIONS: list[str] = []


def _count_connection(sender: object, connection: object, **more: object) -> None:
    CONNECTIONS.append(threading.current_thread().name)


connection_created.connect(_count_connection)


def hello(request):
    return HttpResponse("Hello, world!", content_type="text/plain")


def meta(request):
    return JsonResponse({name: str(value) for name, value in request.META.items()})


def where(request):
    return JsonResponse(
        {
            "host": request.get_host(),
            "secure": request.is_secure(),
            "uri": request.build_absolute_uri(),
            "script_name": request.META["SCRIPT_NAME"],
            "path": request.path,
            "path_info": request.path_info,
            "client": request.META.get("REMOTE_ADDR"),
            "query": request.GET.dict(),
        }
    )


def show_path(request):
    return JsonResponse({"path": request.path, "query": dict(request.GET.lists())})


def cookies(request):
    response = JsonResponse(request.COOKIES)
    response.set_cookie("first", "1", httponly=True)
    response.set_cookie("second", "zwei", max_age=5)
    response.delete_cookie("third")
    return response


def headers(request):
    response = HttpResponseRedirect("/hello/?q=ä")
    response["X-Mixed-CASE"] = "kept"
    response["X-Latin"] = "é"
    return response


def raw(request):
    body = request.body
    return JsonResponse({"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})


def pieces(request):
    """Reads the body as a stream, in pieces."""
    digest, sizes = hashlib.sha256(), []
    while piece := request.read(100_000):
        digest.update(piece)
        sizes.append(len(piece))
    return JsonResponse({"sizes": sizes, "sha256": digest.hexdigest()})


def form(request):
    files = {
        name: {
            "name": file.name,
            "type": file.content_type,
            "bytes": file.size,
            "sha256": hashlib.sha256(file.read()).hexdigest(),
            "class": type(file).__name__,
        }
        for name, file in request.FILES.items()
    }
    return JsonResponse({"fields": dict(request.POST.lists()), "files": files})


class Noted:
    """Writes down when it is closed."""

    def __init__(self, name: str) -> None:
        self.label = name

    def close(self) -> None:
        CLOSINGS.append(self.label)


class NotedFile(Noted, io.FileIO):
    def __init__(self, path: str) -> None:
        Noted.__init__(self, "file")
        io.FileIO.__init__(self, path)

    def close(self) -> None:
        if not self.closed:
            Noted.close(self)
        io.FileIO.close(self)


def file(request):
    with tempfile.NamedTemporaryFile() as kept:
        kept.write(b"0123456789" * 100_000)
        kept.flush()
        return FileResponse(NotedFile(kept.name), filename="numbers.bin", as_attachment=True)


class Pipe(Noted):
    """A file of unknown length."""

    def __init__(self) -> None:
        super().__init__("pipe")
        self.pieces = [b"a" * 50_000, b"b" * 50_000, b""]

    def read(self, size: int) -> bytes:
        return self.pieces.pop(0)


def pipe(request):
    return FileResponse(Pipe(), content_type="text/plain")


def _parts(name: str, count: int):
    try:
        for number in range(count):
            yield f"part {number}\n"
    finally:
        CLOSINGS.append(name)


def stream(request):
    count = int(request.GET.get("count", "3"))
    response = StreamingHttpResponse(_parts("stream", count), content_type="text/plain")
    response._resource_closers.append(Noted("response").close)
    return response


def empty_stream(request):
    return StreamingHttpResponse(iter(()), content_type="text/plain")


def breaks(request):
    def parts():
        yield "so far so good\n"
        raise RuntimeError("the stream broke")

    return StreamingHttpResponse(parts(), content_type="text/plain")


def fails(request):
    raise RuntimeError("the view failed")


async def asynchronous(request):
    return HttpResponse(f"asynchronous in {type(request).__name__}")


async def asynchronous_stream(request):
    async def parts():
        yield "one "
        yield "two"

    return StreamingHttpResponse(parts(), content_type="text/plain")


def closed(request):
    """What was closed since the last time."""
    closings = list(CLOSINGS)
    del CLOSINGS[: len(closings)]
    return JsonResponse(closings, safe=False)


def wait(request):
    """Answers when the file exists that the query names, or never."""
    gate = Path(request.GET["for"])
    logger.warning("a view waits")
    pause = threading.Event()
    while not gate.exists():
        pause.wait(0.01)
    return HttpResponse("done waiting")


def users(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(str(User.objects.count()) if request.GET.get("count") else "1")


def connections_made(request):
    """How many database connections were opened so far, and by which threads."""
    return JsonResponse({"made": len(CONNECTIONS), "threads": sorted(set(CONNECTIONS))})
