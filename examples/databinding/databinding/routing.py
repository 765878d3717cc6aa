"""Which consumer gets which message: one socket, one stream, one group that hears of it."""

from __future__ import annotations

from typing import ClassVar

from shopping.bindings import ItemBinding
from txchannels.django.generic.websockets import WebsocketDemultiplexer

__all__ = ["Streams", "channel_routing"]


class Streams(WebsocketDemultiplexer):
    """What a page's socket carries."""

    consumers: ClassVar = {"items": ItemBinding.consumer}
    groups = ("items",)


channel_routing = [Streams.as_route(path=r"^/live/$")]
