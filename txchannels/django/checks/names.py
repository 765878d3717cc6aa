"""Names of settings and channels that are nearly ours: whoever wrote them meant ours."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from django.conf import settings

from txchannels.django.checks.reports import Findings, warning
from txchannels.django.checks.site import routed
from txchannels.messages import DELAY_CHANNEL, DELAY_TICK_CHANNEL, GAP_CHANNEL

__all__ = ["check"]

#: The settings that are read, and how like them one must be.
_SETTINGS = ("CHANNEL_LAYERS", "CHANNEL_SESSION_ENGINE", "TXCHANNELS")
_LIKE_SETTING = 0.9

#: The channels that messages come on by themselves, and how like them one must be.
_CHANNELS = (
    "http.request",
    "websocket.connect",
    "websocket.receive",
    "websocket.disconnect",
    GAP_CHANNEL,
    DELAY_CHANNEL,
    DELAY_TICK_CHANNEL,
)
_LIKE_CHANNEL = 0.85


def check() -> Findings:
    """The findings about names."""
    return [*_check_settings(), *_check_channels()]


def _check_settings() -> Iterator[Any]:
    written = [name for name in dir(settings) if name.isupper() and name not in _SETTINGS]
    for known in _SETTINGS:
        if hasattr(settings, known):
            continue  # the other is the site's own business
        for name in get_close_matches(known, written, n=1, cutoff=_LIKE_SETTING):
            yield warning(
                "W021",
                f"The setting {name} is not read; did you mean {known}?",
                f"Rename it to {known}.",
            )


def _check_channels() -> Iterator[Any]:
    for channel in dict.fromkeys(one.channel for one in routed()):
        if channel in _CHANNELS:
            continue
        for known in get_close_matches(channel, _CHANNELS, n=1, cutoff=_LIKE_CHANNEL):
            yield warning(
                "W023",
                f"A route is for the channel {channel!r}, which the daemon sends nothing to; "
                f"did you mean {known!r}?",
                f"Route {known!r}, or give a channel of your own a name that is less like it.",
            )
