"""The routing: can it be imported, and can each of its routes be reached?"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from txchannels.django.checks.reports import Findings, error, warning
from txchannels.django.checks.site import configured_layers, daemon_layer
from txchannels.django.routing import Include, Route, Router, RouteTable
from txchannels.django.utils import name_that_thing

__all__ = ["check"]

#: What a regular expression may begin with that matches a slash as well.
_MAY_BE_SLASH = set("/(.[\\|$")


def check() -> Findings:
    """The findings about routes."""
    found: Findings = []
    for alias, entry in configured_layers().items():
        where = f"CHANNEL_LAYERS[{alias!r}]['ROUTING']"
        try:
            router = Router(entry.get("ROUTING", []))
        except Exception as fault:
            found.append(_cannot_be_built(where, fault))
        else:
            found += [*_check_reached(where, router), *_check_paths(where, router)]
    if getattr(settings, "ASGI_APPLICATION", None) and not any(
        entry.get("ROUTING") for entry in configured_layers().values()
    ):
        found.append(
            warning(
                "W014",
                "ASGI_APPLICATION is set, and no layer of CHANNEL_LAYERS has a ROUTING: "
                "txchannels serves no WebSockets of an ASGI application.",
                "Route the consumers in CHANNEL_LAYERS['default']['ROUTING'].",
            )
        )
    else:
        found += _check_named()
    return found


def _check_named() -> Iterator[Any]:
    """A layer that the settings describe, and the daemon uses."""
    alias = daemon_layer()
    entry = (getattr(settings, "CHANNEL_LAYERS", None) or {}).get(alias)
    if alias in configured_layers() and entry is not None and "ROUTING" not in entry:
        yield warning(
            "W022",
            f"CHANNEL_LAYERS[{alias!r}] has no ROUTING: requests go to views, and no consumer "
            "is ever called.",
            "Set ROUTING to the dotted path of a list of routes; [] if the site has none.",
        )


def _cannot_be_built(where: str, fault: Exception) -> Any:
    text = str(fault) if isinstance(fault, ImproperlyConfigured) else _described(fault)
    return error(
        "E002",
        f"{where} cannot be used: {text}",
        "ROUTING is a list of routes, a dict of channel to consumer, or the dotted path of one.",
    )


def _described(fault: Exception) -> str:
    """What, and where it was raised."""
    file, line = getattr(fault, "filename", None), getattr(fault, "lineno", None)
    if not isinstance(fault, SyntaxError):
        frames = traceback.extract_tb(fault.__traceback__)
        file, line = (frames[-1].filename, frames[-1].lineno) if frames else (None, None)
    place = f" ({file}, line {line})" if file else ""
    text = fault.msg if isinstance(fault, SyntaxError) else str(fault)
    return f"{type(fault).__name__}: {text}{place}"


def _check_reached(where: str, table: RouteTable) -> Iterator[Any]:
    """The first route that matches wins: one without filters leaves nothing to the next."""
    taken: dict[str, Route] = {}
    for entry in table.routes:
        if isinstance(entry, Include):
            yield from _check_reached(where, entry.table)
        if not isinstance(entry, Route):
            continue
        hidden = sorted(channel for channel in entry.channels if channel in taken)
        if hidden and len(hidden) == len(entry.channels):
            first = taken[hidden[0]]
            yield warning(
                "W017",
                f"{where}: the route of {', '.join(hidden)} to {name_that_thing(entry.consumer)} "
                f"is never reached: the one to {name_that_thing(first.consumer)} before it "
                "takes all of its messages.",
                "Put routes with filters first.",
            )
        if not entry.filters:
            for channel in entry.channels:
                taken.setdefault(channel, entry)


def _check_paths(where: str, table: RouteTable) -> Iterator[Any]:
    """Of outer routes alone: within an include, the prefix is cut off."""
    for entry in table.routes:
        if not isinstance(entry, Route | Include):
            continue
        for key, pattern in entry.filters:
            if key == "path" and _cannot_begin_with_slash(pattern.pattern):
                yield warning(
                    "W018",
                    f"{where}: the filter path={pattern.pattern!r} never matches: a path "
                    "begins with a slash.",
                    f"Write path=r'^/{pattern.pattern.removeprefix('^')}'.",
                )


def _cannot_begin_with_slash(expression: str) -> bool:
    start, after = (*expression.removeprefix("^")[:2], "", "")[:2]
    return bool(start) and start not in _MAY_BE_SLASH and (not after or after not in "*?{|")
