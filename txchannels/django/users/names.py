"""The names of the groups that a user's sockets are in.

They say nothing of the user to whoever sees them in a log or on a server: a primary key
goes in under the site's secret. Sockets may be older than the secret: what is closed is
said under those of ``SECRET_KEY_FALLBACKS``, too.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.utils.crypto import salted_hmac

__all__ = ["LOGIN_KEY", "login_groups", "user_groups", "user_key"]

#: Where a session keeps the name of its login's group, once there is one.
LOGIN_KEY = "_channel_login"

_SALT = "txchannels.django.users"
_DIGITS = 40


def user_key(user: Any) -> str:
    """The primary key of *user* as Django's login writes it into a session.

    Raises:
        TypeError: It is none of the site's users.
        ValueError: It is not stored.
    """
    model = auth.get_user_model()
    if not isinstance(user, model):
        raise TypeError(
            f"Sockets belong to users of the model {model._meta.label}, not to {user!r}"
        )
    if user.pk is None:
        raise ValueError(f"A user without a primary key has no sockets: {user!r}")
    return str(model._meta.pk.value_to_string(user))


def user_groups(key: str) -> list[str]:
    """The names of a user's group: the one that sockets join, then those of older secrets.

    Args:
        key: As of `user_key`.
    """
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [f"txchannels.user.{_digest(key, secret)}" for secret in secrets]


def login_groups(session: Any) -> list[str]:
    """The names of a login's group: the one that sockets of *session* join, then others.

    A login keeps its name while the session's key changes; one that was there before it was
    given a name has that of its key. Empty for a session that is not stored.
    """
    names = [session.get(LOGIN_KEY), login_name(session.session_key)]
    return list(dict.fromkeys(f"txchannels.login.{name}" for name in names if name))


def login_name(session_key: str | None) -> str | None:
    """The name that a login gets from the key that its session has then.

    A session's key is a secret, too long to be found by trying.
    """
    if not session_key:
        return None
    return hashlib.sha256(f"{_SALT}:{session_key}".encode()).hexdigest()[:_DIGITS]


def _digest(key: str, secret: str | bytes) -> str:
    made = salted_hmac(_SALT, key, secret=secret, algorithm="sha256")
    return str(made.hexdigest()[:_DIGITS])
