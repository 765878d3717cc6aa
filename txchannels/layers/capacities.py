"""How many messages may wait in a channel: the first glob or pattern that matches its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate

from txchannels.errors import ConfigurationError

__all__ = ["Capacities"]


class Capacities:
    """Capacities by channel name.

    Args:
        default: For channels that nothing names.
        by_channel: Globs over whole names, or compiled patterns (matched from the
            start), with their capacities; the first in order wins.

    Raises: ConfigurationError: A capacity is no positive whole number.
    """

    def __init__(
        self, default: int, by_channel: Mapping[str | re.Pattern[str], int] | None = None
    ) -> None:
        self._default = _positive("capacity", default)
        self._rules = [
            (
                pattern if isinstance(pattern, re.Pattern) else re.compile(translate(pattern)),
                _positive(f"channel_capacity[{pattern!r}]", capacity),
            )
            for pattern, capacity in (by_channel or {}).items()
        ]

    def of(self, channel: str) -> int:
        """How many messages *channel* may hold."""
        for pattern, capacity in self._rules:
            if pattern.match(channel):
                return capacity
        return self._default


def _positive(setting: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(setting, value, "must be a whole number, 1 or more")
    return value
