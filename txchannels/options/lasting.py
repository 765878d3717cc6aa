"""Which of a site's options a daemon that runs cannot take over any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from txchannels.options.option import Option
from txchannels.options.table import options_of
from txchannels.settings import Settings

__all__ = ["differing_keys", "take_over"]


def take_over(used: Settings, wanted: Settings, *, is_unused: bool = False) -> Settings:
    """What a daemon that uses *used* can take of *wanted*, beside the rest of what it uses.

    How workers are and when they are replaced, it can always: others are started.

    Args:
        is_unused: Whether no worker has been yet: the layer and the limits of clients, too, can
            be replaced then.
    """
    mine, others = used.processes, wanted.processes
    workers = replace(wanted.workers, no_delay=used.workers.no_delay)
    taken = replace(
        used,
        workers=wanted.workers if is_unused else workers,
        processes=replace(others, count=mine.count, socket=mine.socket, reload=mine.reload),
    )
    if is_unused:
        taken = replace(taken, layer=wanted.layer, http=wanted.http, websocket=wanted.websocket)
    return taken


def differing_keys(
    used: Settings, wanted: Settings, keys: Collection[str], command: str
) -> list[str]:
    """Those of *keys*, of ``TXCHANNELS``, that only a restart of *command* makes true.

    Args:
        used: What the daemon runs with.
        wanted: What it would start with now.
    """
    return [
        option.key
        for option in options_of(command)
        if option.key in keys and _value(used, option) != _value(wanted, option)
    ]


def _value(settings: Settings, option: Option) -> Any:
    section, _, field = option.field.rpartition(".")
    if section == "address":
        return settings.endpoints
    return getattr(getattr(settings, section) if section else settings, field)
