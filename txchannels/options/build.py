"""Settings from what the command line and the site give, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from txchannels.errors import ConfigurationError
from txchannels.options.option import DAEMON, Option
from txchannels.options.table import OPTIONS
from txchannels.settings import (
    HttpSettings,
    ProcessSettings,
    Settings,
    WebSocketSettings,
    WorkerSettings,
    make_endpoints,
)

__all__ = ["build_settings", "closest"]

_SECTIONS = {
    "http": HttpSettings,
    "websocket": WebSocketSettings,
    "workers": WorkerSettings,
    "processes": ProcessSettings,
}


def build_settings(
    command_line: Mapping[str, Any], site: Mapping[str, Any], command: str = DAEMON
) -> Settings:
    """All settings of *command*, from options by name and from the site's ``TXCHANNELS`` by key.

    Raises: ConfigurationError: It names the option or key, its value and what is allowed.
    """
    known = [option.key for option in OPTIONS]
    for key in site:
        if key not in known:
            raise ConfigurationError("TXCHANNELS", key, f"is no known key{closest(key, known)}")
    values: dict[str, dict[str, Any]] = {name: {} for name in ("", "address", *_SECTIONS)}
    for option, value, where in _given(command_line, site):
        section, _, field = option.field.rpartition(".")
        values[section][field] = option.read(value, where)
    sections = {name: make(**values[name]) for name, make in _SECTIONS.items()}
    endpoints = make_endpoints(**values["address"])
    settings = Settings(endpoints=endpoints, **sections, **values[""])
    if command == DAEMON:
        settings = _settle_no_workers(settings, command_line)
    if settings.processes.count is None:
        _refuse_what_needs_processes(command_line)
    return settings


def _settle_no_workers(settings: Settings, command_line: Mapping[str, Any]) -> Settings:
    """Decide between ``--no-workers`` and ``--processes``: the command line wins.

    The site may have both keys: one is for its daemons, one for its ``channels-worker``.

    Raises: ConfigurationError: The command line has both.
    """
    asked = next((name for name in ("processes", "reload") if command_line.get(name)), None)
    if not settings.no_workers:
        return settings
    if asked is None:
        processes = replace(settings.processes, count=None, reload=False)
        return replace(settings, processes=processes)
    if command_line.get("no-workers"):
        raise ConfigurationError(
            "--no-workers", None, f"leaves no worker for --{asked}; give one of the two"
        )
    return replace(settings, no_workers=False)


def _refuse_what_needs_processes(command_line: Mapping[str, Any]) -> None:
    """Of the command line alone: `TXCHANNELS` may hold what another host uses.

    Raises: ConfigurationError: An option would do nothing.
    """
    for option in OPTIONS:
        value = command_line.get(option.name)
        is_of_processes = option.field.startswith("processes.") and option.kind != "flag"
        if is_of_processes and option.name != "socket" and value is not None:
            raise ConfigurationError(
                f"--{option.name}", value, "is for worker processes: give --processes, too"
            )


def closest(name: object, known: Sequence[str]) -> str:
    """``; did you mean 'x'?``, if something *known* is like *name*."""
    near = get_close_matches(str(name).upper(), [one.upper() for one in known], n=1)
    return f"; did you mean {next(one for one in known if one.upper() == near[0])}?" if near else ""


def _given(
    command_line: Mapping[str, Any], site: Mapping[str, Any]
) -> Iterator[tuple[Option, Any, str]]:
    """Each option that is given, its value, and how the operator wrote its name."""
    named = {option.name for option in OPTIONS if command_line.get(option.name) not in (None, [])}
    listens = [option for option in OPTIONS if option.field.startswith("address.")]
    completes: set[str] = set() if named.isdisjoint({"bind", "port"}) else {"bind", "port"}
    replaced: set[str] = set()
    if not named.isdisjoint(option.name for option in listens):
        replaced = {option.name for option in listens} - completes
    for option in OPTIONS:
        if option.name in named:
            yield option, command_line[option.name], f"--{option.name}"
        elif option.key in site and option.name not in replaced:
            yield option, site[option.key], f"TXCHANNELS[{option.key!r}]"
