"""Who leaves takes their sockets along: logging out, a new password, deactivation, deletion.

What closes sockets is said when it has become true: after the session is gone, and the
transaction committed. A socket that connects meanwhile sees that (`follow_login`), and one
that was sooner is told.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends import signed_cookies
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.db.models.signals import post_delete, post_save, pre_save

from txchannels.django.users.closing import close_groups
from txchannels.django.users.configuration import check_settings, joins_users, logout_closes
from txchannels.django.users.names import (
    LOGIN_KEY,
    login_groups,
    login_name,
    user_groups,
    user_key,
)

__all__ = ["connect_receivers"]

logger = logging.getLogger("django.channels")

_UID = "txchannels.django.users."

#: Where a user that is being saved is marked as one whose sockets are to be closed.
_MARK = "_txchannels_is_to_leave"


def connect_receivers() -> None:
    """Connect them; those of the user model only where there is one. Again is harmless.

    Raises: ImproperlyConfigured: A setting is none of its choices.
    """
    check_settings()
    user_logged_in.connect(_logged_in, dispatch_uid=f"{_UID}logged_in")
    user_logged_out.connect(_logged_out, dispatch_uid=f"{_UID}logged_out")
    try:
        user_model = auth.get_user_model()
    except ImproperlyConfigured:
        return  # a site without users
    # A proxy, or a model made of it, sends signals of its own.
    for model in apps.get_models():
        if issubclass(model, user_model):
            pre_save.connect(_before_save, sender=model, dispatch_uid=f"{_UID}before_save")
            post_save.connect(_saved, sender=model, dispatch_uid=f"{_UID}saved")
            post_delete.connect(_deleted, sender=model, dispatch_uid=f"{_UID}deleted")


# Sessions


def _logged_in(request: Any, **_more: Any) -> None:
    """Name the login; whoever was logged in before, in the same browser, has left."""
    session = _session_of(request)
    if session is None or not joins_users():
        return
    if LOGIN_KEY not in session:
        session[LOGIN_KEY] = _name_login(session)
    before = getattr(request, "COOKIES", {}).get(settings.SESSION_COOKIE_NAME)
    if before and before != session.session_key and logout_closes() != "nothing":
        # Django has flushed that session without a word if another user was logged in.
        _close_when_committed(session, [f"txchannels.login.{login_name(before)}"])


def _session_of(request: Any) -> Any:
    """Django's session of *request*; None without one, as of a site that has others."""
    session = getattr(request, "session", None)
    return session if isinstance(session, SessionBase) else None


def _name_login(session: Any) -> str:
    if isinstance(session, signed_cookies.SessionStore):
        return secrets.token_hex(20)  # its key is what it says: no two are sure to differ
    if session.session_key is None:
        session.cycle_key()
    return login_name(session.session_key) or secrets.token_hex(20)


def _logged_out(request: Any, user: Any, **_more: Any) -> None:
    closes = logout_closes()
    if closes == "nothing" or not joins_users():
        return
    session = _session_of(request)
    groups = [] if session is None else login_groups(session)
    if closes == "user" and user is not None:
        groups += user_groups(user_key(user))
    if not groups:
        return
    close = partial(_close_when_committed, session, groups)
    if session is None:
        close()
    else:
        _after_flush(session, close)


def _after_flush(session: Any, call: Callable[[], None]) -> None:
    """Call *call* once *session* is flushed, which Django does after the signal."""
    flush: Callable[[], Any] = session.flush

    def flush_and_call() -> None:
        flush()
        call()

    session.flush = flush_and_call
    if not hasattr(session, "aflush"):  # before Django 5.1
        return
    aflush: Callable[[], Awaitable[Any]] = session.aflush

    async def aflush_and_call() -> None:
        await aflush()
        await sync_to_async(call)()

    session.aflush = aflush_and_call


def _close_when_committed(session: Any, groups: list[str]) -> None:
    model = getattr(session, "model", None)  # of those in the database
    using = DEFAULT_DB_ALIAS if model is None else router.db_for_write(model)
    _when_committed(using, partial(_close, groups))


# Users


def _before_save(
    instance: Any, raw: bool, using: str, update_fields: Any = None, **_more: Any
) -> None:
    """Note whether the sessions of a user will be invalid after the save."""
    is_login = update_fields is not None and set(update_fields) <= {"last_login"}
    if raw or is_login or instance._state.adding or not joins_users():
        return
    stored = auth.get_user_model()._base_manager.using(using)
    before = stored.filter(pk=instance.pk).first()
    if before is not None and _is_shut_out(before, instance):
        setattr(instance, _MARK, True)


def _is_shut_out(before: Any, after: Any) -> bool:
    if getattr(before, "is_active", True) and not getattr(after, "is_active", True):
        return True
    if not hasattr(after, "get_session_auth_hash"):
        return False
    return bool(before.get_session_auth_hash() != after.get_session_auth_hash())


def _saved(instance: Any, using: str, **_more: Any) -> None:
    if instance.__dict__.pop(_MARK, False):
        _when_committed(using, partial(_close, user_groups(user_key(instance))))


def _deleted(instance: Any, using: str, **_more: Any) -> None:
    if joins_users():
        _when_committed(using, partial(_close, user_groups(user_key(instance))))


# What they share


def _when_committed(using: str, call: Callable[[], None]) -> None:
    if connections[using].in_atomic_block:
        transaction.on_commit(call, using=using)
    else:
        call()


def _close(groups: list[str]) -> None:
    """Close their sockets; a layer that is away must not keep anybody from logging out."""
    try:
        close_groups(groups)
    except Exception:
        logger.exception("The sockets of a user who has left could not be closed:")
