"""A hub on a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from txchannels.layers.memory import MemoryLayer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_layer(clock: Clock) -> Callable[..., MemoryLayer]:
    """Makes a layer; ten messages a channel, if nothing else is said."""

    def make(**config) -> MemoryLayer:
        return MemoryLayer(**{"capacity": 10, "clock": clock.seconds, **config})

    return make


@pytest.fixture
def hub(make_layer):
    return make_layer().hub
