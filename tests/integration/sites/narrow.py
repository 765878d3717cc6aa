"""The site of `streams`, with room for one waiting request."""

from __future__ import annotations

from tests.integration.sites.streams import *  # noqa: F403

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "CONFIG": {"channel_capacity": {"http.request": 1}},
    }
}
