"""TXCHANNELS: does the daemon know each key, and can it work with each value?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from django.conf import settings

from txchannels.django.checks.reports import Findings, error, kind_of, warning
from txchannels.django.checks.site import configured_layers
from txchannels.errors import ConfigurationError
from txchannels.options import OPTIONS, Option, build_settings, closest

__all__ = ["check"]

_HINT = (
    "Write TXCHANNELS = {'KEY': value, ...}; the keys are the options that twistd channels --help "
    "lists, in capitals and with underscores."
)


def check() -> Findings:
    """The findings about the daemon's settings."""
    own = getattr(settings, "TXCHANNELS", {})
    if not isinstance(own, Mapping):
        return [error("E003", f"TXCHANNELS is {kind_of(own)}, not a dict.", _HINT)]
    found = [*_check_keys(own), *_check_values(own)]
    alias = own.get("LAYER")
    layers = configured_layers()
    if isinstance(alias, str) and layers and alias not in layers:
        found.append(
            error(
                "E004",
                f"TXCHANNELS['LAYER'] is {alias!r}, and CHANNEL_LAYERS has only: "
                f"{', '.join(map(str, layers))}.",
                "Name one of these.",
            )
        )
    return [*found, *_check_root_path(own)]


def _check_keys(own: Mapping[str, Any]) -> Findings:
    known = [option.key for option in OPTIONS]
    return [
        error(
            "E003",
            f"TXCHANNELS has the unknown key {key!r}{closest(key, known) or '.'}",
            _hint_for_key(key, known),
        )
        for key in own
        if key not in known
    ]


def _hint_for_key(key: object, known: Sequence[str]) -> str:
    near = get_close_matches(str(key).upper(), known, n=1)
    if not near:
        return f"Take {key!r} away. {_HINT}"
    return f"Write {near[0]!r}, if you mean this: {_meaning(_option(near[0]))}"


def _option(key: str) -> Option:
    return next(option for option in OPTIONS if option.key == key)


def _meaning(option: Option) -> str:
    """What *option* does, and how it is written on the command line."""
    value = f"={option.shown}" if option.shown else ""
    return f"{option.help} (--{option.name}{value})."


def _check_values(own: Mapping[str, Any]) -> Findings:
    found: Findings = []
    good: dict[str, Any] = {}
    for option in OPTIONS:
        if option.key in own:
            try:
                option.read(own[option.key], f"TXCHANNELS[{option.key!r}]")
            except ConfigurationError as fault:
                found.append(error("E003", f"{fault}.", _hint_for_value(option)))
            else:
                good[option.key] = own[option.key]
    try:
        build_settings({}, good)
    except ConfigurationError as fault:  # what an option's kind and range do not say
        named = [option for option in OPTIONS if fault.setting == f"--{option.name}"]
        hint = _hint_for_value(named[0]) if named else _HINT
        found.append(error("E003", f"TXCHANNELS: {fault}.", hint))
    return found


def _hint_for_value(option: Option) -> str:
    return f"{option.key} is: {_meaning(option)}"


def _check_root_path(own: Mapping[str, Any]) -> Findings:
    root_path, script_name = own.get("ROOT_PATH"), settings.FORCE_SCRIPT_NAME
    if not isinstance(root_path, str) or not root_path or not script_name:
        return []
    if root_path.rstrip("/") == script_name.rstrip("/"):
        return []
    return [
        warning(
            "W016",
            f"TXCHANNELS['ROOT_PATH'] is {root_path!r} and FORCE_SCRIPT_NAME is {script_name!r}: "
            "the daemon takes requests at the one, and links lead to the other.",
            "Take FORCE_SCRIPT_NAME away: ROOT_PATH is enough.",
        )
    ]
