"""The two settings: whether sockets join their users' groups, and what a logout closes."""

from __future__ import annotations

from typing import Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

__all__ = ["Closes", "check_settings", "joins_users", "logout_closes"]

Closes = Literal["session", "user", "nothing"]

_CLOSES: tuple[Closes, ...] = ("session", "user", "nothing")


def joins_users() -> bool:
    """``CHANNEL_USER_GROUPS``: whether sockets join the groups of their users.

    Raises: ImproperlyConfigured: It is neither True nor False.
    """
    value = getattr(settings, "CHANNEL_USER_GROUPS", True)
    if not isinstance(value, bool):
        raise ImproperlyConfigured(f"CHANNEL_USER_GROUPS must be True or False, not {value!r}")
    return value


def logout_closes() -> Closes:
    """``CHANNEL_LOGOUT_CLOSES``: whose sockets are closed when somebody logs out.

    Raises: ImproperlyConfigured: It is none of the choices.
    """
    value = getattr(settings, "CHANNEL_LOGOUT_CLOSES", "session")
    if value not in _CLOSES:
        allowed = ", ".join(map(repr, _CLOSES))
        raise ImproperlyConfigured(f"CHANNEL_LOGOUT_CLOSES must be one of {allowed}, not {value!r}")
    return value


def check_settings() -> None:
    """Have a mistake in them found at the start.

    Raises: ImproperlyConfigured: There is one.
    """
    joins_users()
    logout_closes()
