"""The findings: their ids, and how they are written."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.checks import CheckMessage

__all__ = ["IDS", "Findings", "error", "kind_of", "warning"]

Findings = list[CheckMessage]

#: What each id stands for. One that was given is never used for anything else.
IDS = {
    "E001": "A layer of CHANNEL_LAYERS cannot be made",
    "E002": "The routing of a layer cannot be imported or built",
    "E003": "TXCHANNELS has an unknown key, or a value that cannot work",
    "E004": "TXCHANNELS['LAYER'] names no layer",
    "E005": "Channel sessions are kept in cookies, or their engine does not exist",
    "E006": "Consumers use sessions, and their table is not installed",
    "E007": "Consumers use users, and django.contrib.auth is not installed",
    "W001": "Pages of any origin may open WebSockets",
    "W002": "A channel holds fewer messages than threads work",
    "W003": "A pool of database connections is smaller than the number of threads",
    "W004": "The memory layer is used where other programs are configured",
    "W005": "Another application's runserver is used",
    "W006": "channels or daphne is installed as an application, too",
    "W007": "A consumer comes from the package channels",
    "W008": "SECRET_KEY is an encryption key of a layer",
    "W009": "CHANNEL_LAYERS has no default layer",
    "W010": "Consumers expect a user whom no connect consumer takes over",
    "W011": "Consumers are ordered without their connect consumer",
    "W012": "Sessions are kept in the memory of one process, and there are several",
    "W013": "Consumers use users or sessions, and no middleware makes them",
    "W014": "ASGI_APPLICATION is set, and no layer has a routing",
    "W015": "Threads may open more connections than the database allows",
    "W016": "ROOT_PATH and FORCE_SCRIPT_NAME differ",
    "W017": "A route is never reached",
    "W018": "A path filter does not begin with a slash",
    "W019": "A check could not be run",
    "W020": "txchannels is installed as an application, and txchannels.django is not",
    "W021": "A setting has nearly the name of one of ours",
    "W022": "The daemon's layer has no routing",
    "W023": "A route is for nearly the name of a channel that messages come on",
    "W101": "DEBUG is on in production",
    "W102": "RELOAD is on in production",
    "W103": "Nothing is set to serve static files in production",
    "W104": "Uploads have no folder",
    "W105": "ALLOWED_HOSTS lets any host open WebSockets",
}


def error(number: str, message: str, hint: str, obj: Any = None) -> CheckMessage:
    """A finding with which the site cannot work."""
    return checks.Error(message, hint=hint, obj=obj, id=_id(number))


def warning(number: str, message: str, hint: str, obj: Any = None) -> CheckMessage:
    """A finding with which it works, and does not what it is meant to."""
    return checks.Warning(message, hint=hint, obj=obj, id=_id(number))


def kind_of(value: object) -> str:
    """What a setting is instead of what it should be."""
    return "None" if value is None else f"a {type(value).__name__}"


def _id(number: str) -> str:
    assert number in IDS, number
    return f"txchannels.{number}"
