"""Routes a class and hands it messages, as the daemon does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from txchannels.django.asgi import channel_layers
from txchannels.django.dispatch import Dispatcher
from txchannels.django.routing import Router


class Socket:
    """One socket of a consumer; `replies` is what it was sent, without the receipts."""

    def __init__(self, layer, route, name="sockets!a", path="/x"):
        self._layer = layer
        self._dispatch = Dispatcher(channel_layers["default"], Router([route]))
        self._order = 0
        self.name = name
        self.path = path

    def _handle(self, channel: str, **fields: Any) -> list[dict[str, Any]]:
        before = len(self.replies)
        content = {"reply_channel": self.name, "path": self.path, "order": self._order, **fields}
        self._order += 1
        self._dispatch(channel, content)
        return self.replies[before:]

    def connect(self, **fields: Any):
        return self._handle("websocket.connect", headers=[], query_string=b"", **fields)

    def text(self, text: str):
        return self._handle("websocket.receive", text=text, bytes=None)

    def binary(self, data: bytes):
        return self._handle("websocket.receive", text=None, bytes=data)

    def disconnect(self, code: int = 1000):
        return self._handle("websocket.disconnect", code=code)

    @property
    def replies(self) -> list[dict[str, Any]]:
        return [message for message in self._layer.on(self.name) if "consumed" not in message]


@pytest.fixture
def open_socket(layer, caplog) -> Callable[..., Socket]:
    """Makes a socket of a consumer, which has not connected yet; or of a route."""
    caplog.set_level(logging.WARNING, logger="django.channels")

    def make(consumer, **options):
        route = consumer if hasattr(consumer, "match") else consumer.as_route()
        return Socket(layer, route, **options)

    return make
