"""`channel_session` and `http_session`: what a consumer finds on its message."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast

from django.conf import settings

from txchannels.django.message import Message
from txchannels.django.request import AsgiRequest
from txchannels.django.sessions.store import (
    find_message,
    open_session,
    reply_channel_name,
    save_if_changed,
)

__all__ = ["channel_and_http_session", "channel_session", "http_session"]

Consumer = TypeVar("Consumer", bound=Callable[..., Any])


def channel_session(func: Consumer) -> Consumer:
    """Give the consumer ``message.channel_session``, and save it afterwards if it was changed.

    Raises: ValueError: The message has no reply channel.
    """

    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = find_message(args, "channel_session")
        if getattr(message, "channel_session", None) is not None:
            return func(*args, **kwargs)
        message.channel_session = open_session(reply_channel_name(message, "channel_session"))
        try:
            return func(*args, **kwargs)
        finally:
            save_if_changed(message.channel_session)

    return cast(Consumer, inner)


def http_session(func: Consumer) -> Consumer:
    """Give the consumer ``message.http_session``, the browser's session, or None.

    It is found by the query parameter ``session_key``, or else by the session cookie; so
    the message must be one that has them: ``http.request`` or ``websocket.connect``.
    It is meant to be read; if it is changed all the same, it is saved.

    Raises: ValueError: The message is not like an HTTP request.
    """

    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = find_message(args, "http_session")
        if hasattr(message, "http_session"):
            return func(*args, **kwargs)
        return _with_http_session(message, _http_session_key(message), func, args, kwargs)

    return cast(Consumer, inner)


def channel_and_http_session(func: Consumer) -> Consumer:
    """Both sessions; the browser's on later messages, too, which have no cookies.

    Decorate the ``websocket.connect`` consumer with it as well: there the HTTP session's
    key is put into the channel session.
    """

    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = find_message(args, "channel_and_http_session")
        cookie = settings.SESSION_COOKIE_NAME
        known = getattr(message, "http_session", None)
        key = message.channel_session.get(cookie)
        if key is None:
            if known is not None:
                key = known.session_key
            elif "headers" in message:
                key = _http_session_key(message)
            if key is not None:
                message.channel_session[cookie] = key
        if known is not None:
            return func(*args, **kwargs)
        return _with_http_session(message, key, func, args, kwargs)

    return cast(Consumer, channel_session(inner))


def _with_http_session(
    message: Message,
    key: str | None,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    engine = import_module(settings.SESSION_ENGINE)
    message.http_session = None if key is None else engine.SessionStore(session_key=key)
    result = func(*args, **kwargs)
    if message.http_session is not None:
        save_if_changed(message.http_session)
    return result


def _http_session_key(message: Message) -> str | None:
    """The key of the browser's session that *message* brings along."""
    try:
        request = AsgiRequest(message)
        key = request.GET.get("session_key") or request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    except Exception as error:
        raise ValueError(
            f"Cannot parse HTTP message of {message.channel_name!r}: {error!r}"
        ) from error
    return key or None
