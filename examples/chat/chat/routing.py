"""Which consumer gets which message. A room's socket has the path of the room's page."""

from __future__ import annotations

from rooms import consumers
from txchannels.django import route

ROOM = r"^/rooms/(?P<slug>[\w-]+)/$"

channel_routing = [
    route("websocket.connect", consumers.connect, path=ROOM),
    route("websocket.receive", consumers.receive, path=ROOM),
    route("websocket.disconnect", consumers.disconnect, path=ROOM),
]
