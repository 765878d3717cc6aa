"""Sessions for sockets: one of their own, and the browser's.

- `channel_session`: belongs to the reply channel, lives as long as the socket;
- `http_session`: the browser's, found by its cookie;
- `channel_and_http_session`: both, on every message of a socket;
- `enforce_ordering`: a socket's messages are handled in the order they were sent.

The decorators take functions and methods; the message is the first or the second
positional argument.

Source: Channels 1, ``channels.sessions``.
"""

from txchannels.django.sessions.decorators import (
    channel_and_http_session,
    channel_session,
    http_session,
)
from txchannels.django.sessions.ordering import (
    enforce_ordering,
    requeue_messages,
    wait_channel_name,
)
from txchannels.django.sessions.store import session_for_reply_channel

__all__ = [
    "channel_and_http_session",
    "channel_session",
    "enforce_ordering",
    "http_session",
    "requeue_messages",
    "session_for_reply_channel",
    "wait_channel_name",
]
