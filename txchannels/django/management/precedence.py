"""Whose ``runserver`` is used, whatever the order of ``INSTALLED_APPS``."""

from __future__ import annotations

from django.core.management import get_commands

__all__ = ["take_runserver"]

#: Ours does what theirs do, and more.
THEIRS = ("django.core", "django.contrib.staticfiles")


def take_runserver() -> None:
    """Put ours in the place of Django's own; that of another application stays.

    Source: Django keeps the result of `get_commands` for the life of the process.
    """
    commands = get_commands()
    if commands.get("runserver") in THEIRS:
        commands["runserver"] = "txchannels.django"
