"""The page, two ways to listen, and one to speak: views like any others."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from chart.consumers import keep_measuring
from chart.models import Point, everyone
from txchannels.django.events import EventStreamResponse, LongPollResponse

__all__ = ["mark", "page", "poll", "stream"]

#: So many marks all visitors together may make in a second.
MAX_MARKS = 20


@require_safe
@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "chart/page.html")


@require_safe
def stream(request: HttpRequest) -> HttpResponse:
    """An event stream. The view returns; the stream goes on."""
    keep_measuring()
    return EventStreamResponse(request, everyone(), replay=Point.missed)


@require_safe
def poll(request: HttpRequest) -> HttpResponse:
    """A long poll. The view returns; the answer waits for the next point."""
    keep_measuring()
    return LongPollResponse(request, everyone(), replay=Point.missed)


@require_POST
def mark(request: HttpRequest) -> HttpResponse:
    """A visitor has pointed at the chart: everyone sees where."""
    try:
        value, hue = float(request.POST["value"]), int(request.POST["hue"])
    except (KeyError, ValueError):
        return HttpResponse("value and hue must be numbers", status=400)
    if not (0 <= value <= 100 and 0 <= hue < 360):
        return HttpResponse("value: 0 to 100; hue: 0 to 359", status=400)
    now = time.time()
    if Point.objects.filter(hue__isnull=False, at__gt=now - 1).count() >= MAX_MARKS:
        return HttpResponse("Not so fast", status=429)
    point = Point.objects.create(at=now, value=value, hue=hue)
    everyone().send(point.as_message())
    return HttpResponse(status=204)
