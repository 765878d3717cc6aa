"""The one view that only txchannels can serve: an event stream of the group."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from benchsite.timing import GROUP
from txchannels.django.events import EventStreamResponse


def stream(request: HttpRequest) -> HttpResponse:
    """Send on to the client what is sent to the group that sockets listen to."""
    return EventStreamResponse(request, GROUP)
