"""The routes that a site has by default when ``txchannels.django.delay`` is installed."""

from __future__ import annotations

from txchannels.django.delay.consumers import store_message, work_on_tick
from txchannels.django.routing import Route
from txchannels.messages import DELAY_CHANNEL, DELAY_TICK_CHANNEL

__all__ = ["delay_routing"]

delay_routing = [
    Route(DELAY_CHANNEL, store_message),
    Route(DELAY_TICK_CHANNEL, work_on_tick),
]
