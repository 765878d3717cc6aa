"""What the checks know of a site: its layers, its routes and consumers, its daemon's settings.

Nothing is kept: a check sees the settings as they are now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from txchannels.django.asgi import channel_layers
from txchannels.django.generic.base import BaseConsumer
from txchannels.django.routing import Include, Route, Router, RouteTable
from txchannels.errors import ConfigurationError
from txchannels.options import OPTIONS, build_settings
from txchannels.settings import Settings

__all__ = [
    "Routed",
    "configured_layers",
    "daemon_layer",
    "daemon_options",
    "daemon_settings",
    "make_routers",
    "routed",
]


@dataclass(frozen=True)
class Routed:
    """One consumer, as a route names it for a channel.

    Attributes:
        alias: Of the layer.
        channel: The channel's name.
        consumer: As the route has it.
        is_stream: Whether another consumer hands it a stream of its sockets.
    """

    alias: str
    channel: str
    consumer: Any
    is_stream: bool = False


def configured_layers() -> dict[str, Mapping[str, Any]]:
    """The well-formed entries of ``CHANNEL_LAYERS``, and the default one."""
    configured = getattr(settings, "CHANNEL_LAYERS", None) or {}
    if not isinstance(configured, Mapping):
        return {}
    entries = channel_layers.configs
    return {name: entry for name, entry in entries.items() if isinstance(entry, Mapping)}


def daemon_options() -> Mapping[str, Any]:
    """``TXCHANNELS``, as far as it can be read."""
    own = getattr(settings, "TXCHANNELS", None) or {}
    return own if isinstance(own, Mapping) else {}


def daemon_settings() -> Settings:
    """The daemon's settings, as ``TXCHANNELS`` alone has them; without what cannot work in it."""
    known = {option.key for option in OPTIONS}
    own = {key: value for key, value in daemon_options().items() if key in known}
    while True:
        try:
            return build_settings({}, own)
        except ConfigurationError as error:
            bad = [key for key in own if key in error.setting or key in _key_of(error.setting)]
            own = {key: value for key, value in own.items() if key not in bad} if bad else {}


def _key_of(setting: str) -> str:
    """The key of an option that an error names as on the command line."""
    return setting.removeprefix("--").upper().replace("-", "_")


def daemon_layer() -> str:
    """The alias of the layer that the daemon uses."""
    return daemon_settings().layer


def make_routers() -> dict[str, Router]:
    """The routers of all layers, but for those that cannot be built."""
    routers = {}
    for alias, entry in configured_layers().items():
        try:
            routers[alias] = Router(entry.get("ROUTING", []))
        except Exception:  # noqa: S112 - it has a finding of its own
            continue
    return routers


def routed() -> Iterator[Routed]:
    """All consumers that are routed."""
    for alias, router in make_routers().items():
        for route in _routes(router):
            for channel in sorted(route.channels):
                yield from _consumers_of(alias, channel, route.consumer)


def _routes(table: RouteTable) -> Iterator[Route]:
    for entry in table.routes:
        if isinstance(entry, Include):
            yield from _routes(entry.table)
        elif isinstance(entry, Route):
            yield entry


def _consumers_of(
    alias: str, channel: str, consumer: Any, *, is_stream: bool = False
) -> Iterator[Routed]:
    """*consumer*, and those that it hands its streams to."""
    yield Routed(alias, channel, consumer, is_stream)
    if isinstance(consumer, type) and issubclass(consumer, BaseConsumer):
        streams = getattr(consumer, "consumers", None)
        if isinstance(streams, Mapping):
            for inner in streams.values():
                yield from _consumers_of(alias, channel, inner, is_stream=True)
