"""The public API: that of Channels 1, for synchronous Django code.

``from txchannels.django import Channel, Group, route, route_class, include``. One
message comes in, a consumer is called, messages go out; there is no reactor here.
Importing this package needs no configured settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txchannels import __version__

if TYPE_CHECKING:
    from txchannels.django.asgi import channel_layers
    from txchannels.django.channel import Channel, Group
    from txchannels.django.routing import include, route, route_class

__all__ = [
    "DEFAULT_CHANNEL_LAYER",
    "Channel",
    "Group",
    "__version__",
    "channel_layers",
    "include",
    "route",
    "route_class",
]

DEFAULT_CHANNEL_LAYER = "default"

_HOMES = {
    "Channel": "channel",
    "Group": "channel",
    "channel_layers": "asgi",
    "include": "routing",
    "route": "routing",
    "route_class": "routing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
