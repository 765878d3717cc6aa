"""Users for sockets: ``message.user``, from the channel session or the browser's.

On ``websocket.connect``, `channel_session_user_from_http` takes the user over from the
browser's session; `channel_session_user` has it on the messages that follow. The user is
looked up when first used, and the session's hash is verified each time: after a change
of password the socket's user is anonymous. On connect, the socket joins the groups by
which it is closed when its user leaves (`txchannels.django.users`).

Source: Channels 1, ``channels.auth``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from django.contrib import auth
from django.utils.functional import SimpleLazyObject

from txchannels.django.message import Message
from txchannels.django.sessions import (
    channel_and_http_session,
    channel_session,
    http_session,
)
from txchannels.django.sessions.store import find_message
from txchannels.django.users.joining import follow_login

__all__ = [
    "channel_and_http_session_user_from_http",
    "channel_session_user",
    "channel_session_user_from_http",
    "http_session_user",
    "transfer_user",
]

Consumer = TypeVar("Consumer", bound=Callable[..., Any])
Session = Any

_USER_KEYS = (auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY)


def transfer_user(from_session: Session, to_session: Session) -> None:
    """Copy who is logged in; nothing, unless *from_session* says all of it."""
    if all(key in from_session for key in _USER_KEYS):
        for key in _USER_KEYS:
            to_session[key] = from_session[key]


def channel_session_user(func: Consumer) -> Consumer:
    """Give the consumer ``message.user`` from ``message.channel_session``."""

    @channel_session
    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = find_message(args, "channel_session_user")
        if not hasattr(message, "user"):
            message.user = _lazy_user(message.channel_session)
        return func(*args, **kwargs)

    return cast(Consumer, inner)


def http_session_user(func: Consumer) -> Consumer:
    """Give the consumer ``message.user`` from ``message.http_session``; else it is anonymous."""

    @http_session
    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = find_message(args, "http_session_user")
        follow_login(message)
        if not hasattr(message, "user"):
            message.user = _lazy_user(message.http_session)
        return func(*args, **kwargs)

    return cast(Consumer, inner)


def channel_session_user_from_http(func: Consumer) -> Consumer:
    """As `http_session_user`, and the channel session remembers the user: for the connect."""

    @http_session_user
    @channel_session
    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        _take_user_over(find_message(args, "channel_session_user_from_http"))
        return func(*args, **kwargs)

    return cast(Consumer, inner)


def channel_and_http_session_user_from_http(func: Consumer) -> Consumer:
    """The user and both sessions, on the connect and on every later message."""

    @channel_and_http_session
    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = find_message(args, "channel_and_http_session_user_from_http")
        follow_login(message)
        _take_user_over(message)
        message.user = _lazy_user(message.http_session)
        return func(*args, **kwargs)

    return cast(Consumer, inner)


def _take_user_over(message: Message) -> None:
    if message.http_session is not None:
        transfer_user(message.http_session, message.channel_session)


def _lazy_user(session: Session) -> Any:
    return SimpleLazyObject(functools.partial(_user_of, session))


def _user_of(session: Session) -> Any:
    """The user whom *session* says to be logged in, if that can still be verified."""
    if session is None or auth.SESSION_KEY not in session:
        from django.contrib.auth.models import AnonymousUser

        return AnonymousUser()
    return auth.get_user(SimpleNamespace(session=_SessionToRead(session)))


class _SessionToRead:
    """What `django.contrib.auth.get_user` may see of a session: it changes nothing.

    For an invalid hash it would flush the session, for one made with a fallback key
    change its key. A channel session is lost under another key than its socket's, and
    no socket can tell the browser the new key of its session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self._session.get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        pass

    def flush(self) -> None:
        pass

    def cycle_key(self) -> None:
        pass
