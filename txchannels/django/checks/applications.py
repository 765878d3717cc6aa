"""INSTALLED_APPS: do others stand in our way?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management import get_commands, load_command_class

from txchannels.django.checks.reports import Findings, warning

__all__ = ["check"]

OURS = "txchannels.django"


def check() -> Findings:
    """The findings about applications."""
    return [*_check_runserver(), *_check_originals(), *_check_own()]


def _check_runserver() -> Iterator[Any]:
    provider = get_commands().get("runserver")
    if provider == OURS or not isinstance(provider, str) or not apps.is_installed(OURS):
        return
    try:
        command = load_command_class(provider, "runserver")
    except Exception:
        command = None
    if any(base.__module__.startswith(f"{OURS}.") for base in type(command).__mro__):
        return  # theirs is built on ours
    yield warning(
        "W005",
        f"manage.py runserver is that of {provider}: it serves no WebSockets of txchannels.",
        f"Put {OURS!r} before {provider!r} in INSTALLED_APPS.",
    )


def _check_originals() -> Iterator[Any]:
    for config in apps.get_app_configs():
        if config.name.partition(".")[0] in ("channels", "daphne"):
            yield warning(
                "W006",
                f"{config.name} is in INSTALLED_APPS beside {OURS}: its consumers, layers and "
                "commands know nothing of txchannels.",
                f"Take {config.name} away, and import from {OURS}.",
            )


def _check_own() -> Iterator[Any]:
    package = OURS.partition(".")[0]
    if apps.is_installed(package):
        yield warning(
            "W020",
            f"{package!r} is in INSTALLED_APPS, which has no effect: no commands, no checks, no "
            "static files.",
            f"Write {OURS!r}.",
        )
