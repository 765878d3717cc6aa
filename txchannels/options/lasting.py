"""Which of a site's options a daemon that runs cannot take over any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txchannels.options.option import Option
from txchannels.options.table import options_of
from txchannels.settings import Settings

__all__ = ["lasting_keys"]


def lasting_keys(
    site: Mapping[str, Any], before: Settings, after: Settings, command: str
) -> list[str]:
    """The keys in *site*, its ``TXCHANNELS``, that only a restart of *command* makes true.

    Args:
        before: What the daemon has started with.
        after: What it would start with now.
    """
    return [
        option.key
        for option in options_of(command)
        if option.key in site and _lasting(before, option) != _lasting(after, option)
    ]


def _lasting(settings: Settings, option: Option) -> Any:
    """What *option* has set, where that is for a daemon's life; None where it is not.

    Limits of clients and of workers, and the layer, can be replaced while no worker has been.
    """
    section, _, field = option.field.rpartition(".")
    if section == "address":
        return settings.endpoints
    if section == "processes":
        return getattr(settings.processes, field)
    return None if section or field == "layer" else getattr(settings, field)
