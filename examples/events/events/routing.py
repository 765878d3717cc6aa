"""Which consumer gets which message. (What has no route here goes to the views.)"""

from __future__ import annotations

from chart import consumers
from txchannels.django import route

channel_routing = [
    route("websocket.connect", consumers.connect, path=r"^/socket/$"),
    route("measure", consumers.measure),
]
