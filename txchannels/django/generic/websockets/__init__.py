"""Consumers of WebSockets, as classes.

- `WebsocketConsumer`: texts and bytes;
- `JsonWebsocketConsumer`: JSON;
- `WebsocketDemultiplexer`: several streams on one socket, each with a consumer of its
  own, which answers through a `WebsocketMultiplexer`.

What a client sends that is none of these raises `BadFrame`, which closes its socket.

Source: Channels 1, ``channels.generic.websockets``.
"""

from txchannels.django.generic.websockets.consumer import WebsocketConsumer
from txchannels.django.generic.websockets.frames import BadFrame
from txchannels.django.generic.websockets.json_consumer import JsonWebsocketConsumer
from txchannels.django.generic.websockets.streams import (
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)

__all__ = [
    "BadFrame",
    "JsonWebsocketConsumer",
    "WebsocketConsumer",
    "WebsocketDemultiplexer",
    "WebsocketMultiplexer",
]
