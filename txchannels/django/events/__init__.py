"""Server-sent events and long polls: clients of groups that only receive.

A view returns an `EventStreamResponse` or a `LongPollResponse` and is done; from then on
what is sent to the groups goes to these clients as it goes to WebSockets, and no thread
waits. See ``docs/events.md``.
"""

from txchannels.django.events.missed import last_event_id
from txchannels.django.events.responses import EventStreamResponse, LongPollResponse

__all__ = ["EventStreamResponse", "LongPollResponse", "last_event_id"]
