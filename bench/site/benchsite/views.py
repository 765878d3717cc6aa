"""The measured views: plain synchronous Django."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse

from benchsite.models import Note

NAP_SECONDS = 0.05


def hello(request: HttpRequest) -> HttpResponse:
    """Answer at once."""
    return HttpResponse("Hello, world!")


def nap(request: HttpRequest) -> HttpResponse:
    """Answer after `NAP_SECONDS`, as a view does that waits for another service."""
    time.sleep(NAP_SECONDS)
    return HttpResponse("Good morning.")


def note(request: HttpRequest) -> HttpResponse:
    """Answer with one row of the database."""
    return HttpResponse(Note.objects.get(pk=1).text)


def burn(request: HttpRequest) -> HttpResponse:
    """Keep a thread busy with Python code for ``?seconds=``, as a report does."""
    deadline = time.monotonic() + float(request.GET["seconds"])
    turns = 0
    while time.monotonic() < deadline:
        turns += sum(range(100))
    return HttpResponse(str(turns))
