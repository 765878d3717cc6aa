# ruff: noqa: PT009 - a third party's tests may not have pytest
"""How a backend's layers are made for the conformance tests."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unittest import TestCase as _TestCase
else:
    # A mixin: it is not collected as a test itself where it is imported.
    _TestCase = object

__all__ = ["GUARD_SECONDS", "LayerTests"]

#: How long a test waits for what must come. A guard against hanging, not a measure.
GUARD_SECONDS = 10.0


class LayerTests(_TestCase):
    """How layers are made; the hooks.

    Attributes:
        capacity: The capacity that a layer is made with.
        expiry_seconds: The expiry that a layer is made with where it is tested.
        receive_tries: How often `receive` may find nothing though a message waits (ASGI
            allows it: a layer of several servers may look at one of them).
    """

    capacity = 5
    expiry_seconds = 1.0
    receive_tries = 1

    def make_layer(self, **config: Any) -> Any:
        """A new, empty layer.

        Args:
            config: Some of capacity, channel_capacity, expiry and group_expiry.
        """
        raise NotImplementedError("make_layer(**config) says which layer to test")

    def close_layer(self, layer: Any) -> None:
        """Let go of *layer*. To be overridden where there is something to let go of."""

    def let_pass(self, seconds: float) -> None:
        """Let the layer's time go on. To be overridden for a clock that is turned by hand."""
        threading.Event().wait(seconds)

    def open_layer(self, **config: Any) -> Any:
        """A layer for this test; closed at its end."""
        layer = self.make_layer(**{"capacity": self.capacity, **config})
        self.addCleanup(self.close_layer, layer)
        return layer

    def open_blocking(self, **config: Any) -> Any:
        """The blocking face of a layer for this test."""
        layer = self.open_layer(**config)
        return getattr(layer, "blocking", layer)

    def receive(self, blocking: Any, *channels: str) -> tuple[Any, Any]:
        """One message, without waiting for it."""
        for _ in range(self.receive_tries):
            channel, message = blocking.receive(list(channels))
            if channel is not None:
                return channel, message
        return None, None

    def assert_received(self, blocking: Any, channel: str, messages: Sequence[Any]) -> None:
        """Just *messages* wait in *channel*, in that order."""
        received = [self.receive(blocking, channel) for _ in range(len(messages) + 1)]
        expected = [*((channel, message) for message in messages), (None, None)]
        self.assertEqual(received, expected)

    def require(self, blocking: Any, extension: str) -> None:
        """Skip the test if the layer does not have *extension*."""
        if extension not in blocking.extensions:
            self.skipTest(f"the layer has no extension {extension!r}")
