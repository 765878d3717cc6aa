"""What ``manage.py check`` finds wrong with a site: each finding has an id that stays.

``manage.py check --tag txchannels`` runs these alone. They read settings, import what the
routing names, and connect to nothing, but for those that Django tags ``database``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from django.core.checks import CheckMessage, Tags, register

__all__ = ["TAG", "check_deployment", "check_limits", "check_site", "register_all"]

TAG = "txchannels"

#: Imported when they are asked for: most programs never are.
_MODULES = (
    "layers",
    "options",
    "routes",
    "consumers",
    "sessions",
    "databases",
    "applications",
    "names",
)


def register_all() -> None:
    """Let ``manage.py check`` run them; again is harmless."""
    register(check_site, TAG)
    register(check_deployment, TAG, deploy=True)
    register(check_limits, Tags.database)  # not as one of ours: that would ask the server


def check_site(**_options: Any) -> list[CheckMessage]:
    """All findings about a site that need no more than to be looked for."""
    return [finding for name in _MODULES for finding in _run(name)]


def check_deployment(**_options: Any) -> list[CheckMessage]:
    """``manage.py check --deploy``."""
    return _run("deployment")


def check_limits(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """``manage.py check --database default``."""
    found: list[CheckMessage] = _module("databases").check_limits(databases or ())
    return found


def _run(name: str) -> list[CheckMessage]:
    """The findings of a module. The daemon runs checks, too: a fault of ours must not end it."""
    try:
        found: list[CheckMessage] = _module(name).check()
    except Exception as fault:
        from txchannels.django.checks.reports import warning

        return [
            warning(
                "W019",
                f"The checks of {name} could not be run: {type(fault).__name__}: {fault}",
                "Look for a setting of an unusual type; if there is none, please report this.",
            )
        ]
    return found


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
