"""How many messages may wait in a channel, and the checks of such settings.

The first glob or pattern that matches a channel's name says its capacity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from math import inf
from typing import Any

from txchannels.errors import ConfigurationError

__all__ = ["DEFAULT_CAPACITIES", "Capacities", "read_seconds", "site_capacities"]


#: Capacities of the protocol servers' channels, after what the site's CONFIG names.
DEFAULT_CAPACITIES: dict[str | re.Pattern[str], int] = {
    "http.request.body?*": 16,
    "txchannels.*!": 32,  # each reply channel: a view is not to be far ahead of its client
    "http.*": 1000,
    "websocket.*": 10_000,
}


class Capacities:
    """Capacities by channel name.

    Args:
        default: For channels that nothing names.
        by_channel: Globs over whole names, or compiled patterns (matched from the
            start), with their capacities; the first in order wins.

    Raises: ConfigurationError: A capacity is no positive whole number; a key is no pattern.
    """

    def __init__(
        self, default: int, by_channel: Mapping[str | re.Pattern[str], int] | None = None
    ) -> None:
        self._default = _positive("CONFIG['capacity']", default)
        self._rules = [
            (
                _compile(pattern),
                _positive(f"CONFIG['channel_capacity'][{pattern!r}]", capacity),
            )
            for pattern, capacity in (by_channel or {}).items()
        ]

    def of(self, channel: str) -> int:
        """How many messages *channel* may hold."""
        for pattern, capacity in self._rules:
            if pattern.match(channel):
                return capacity
        return self._default


def _compile(pattern: object) -> re.Pattern[str]:
    if isinstance(pattern, str):
        return re.compile(translate(pattern))
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    raise ConfigurationError(
        f"CONFIG['channel_capacity'][{pattern!r}]",
        None,
        "must have a channel's name, a glob or a compiled pattern as its key",
    )


def _positive(setting: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(setting, value, "must be a whole number, 1 or more")
    return value


def site_capacities(capacity: Any, channel_capacity: object) -> Capacities:
    """The capacities that a site's CONFIG asks for, and `DEFAULT_CAPACITIES` after them.

    Args:
        channel_capacity: A mapping as `Capacities` takes; None is an empty one.

    Raises: ConfigurationError: It is none; a capacity is no positive whole number.
    """
    if not isinstance(channel_capacity, Mapping | None):
        raise ConfigurationError(
            "CONFIG['channel_capacity']",
            channel_capacity,
            "must be a dict of capacities by channel, as {'http.request': 500}",
        )
    by_channel = dict(channel_capacity or {})
    for pattern, value in DEFAULT_CAPACITIES.items():
        by_channel.setdefault(pattern, value)
    return Capacities(capacity, by_channel)


def read_seconds(setting: str, value: object, *, least: float = 0, most: float = inf) -> float:
    """*value*, if it is a number of seconds, more than 0, in the range.

    Raises: ConfigurationError: It is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not value > 0 or not least <= value <= most:  # type: ignore[operator]
        allowed = "more than 0" if most == inf else f"{least:g} to {most:,.0f}"
        raise ConfigurationError(setting, value, f"must be a number of seconds, {allowed}")
    return value  # type: ignore[return-value]
