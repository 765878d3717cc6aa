"""A socket joins the groups of its user and of its browser's login."""

from __future__ import annotations

from typing import Any

from django.contrib import auth

from txchannels.django.channel import Channel, Group
from txchannels.django.message import Message
from txchannels.django.users.configuration import joins_users
from txchannels.django.users.names import login_groups, user_groups, user_key

__all__ = ["attach_socket", "follow_login"]

_LOGIN = (auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY)


def attach_socket(channel: Channel, user: Any, session: Any = None) -> bool:
    """Have a socket, or an event stream, closed with the others of *user*.

    For views, and for sites that find out who connects by other means than a session: by a
    token, say. Without a session, verify that again afterwards: then nobody who is
    disconnected at this moment slips through. Where ``CHANNEL_USER_GROUPS`` is off, it
    joins nothing.

    Args:
        channel: The reply channel.
        user: One of the site's users.
        session: The browser's, if it is to end with that.

    Returns: Whether *user* is logged in with *session* still; it is read once more. True
        without one.

    Raises:
        TypeError, ValueError: As `txchannels.django.users.disconnect`.
        LayerError: The layer could not be told.
    """
    key = user_key(user)
    if not _can_join(channel.channel_layer):
        return True
    if session is None:
        _join(channel, user_groups(key)[:1])
        return True
    stays = _join_by_login(channel, key, session)
    return bool(stays.get(auth.SESSION_KEY) == key)


def follow_login(message: Message) -> None:
    """Have the socket of *message* closed with its user's, if its browser is logged in.

    Whoever logs out at this moment is not missed: the session is read once more when the
    socket has joined. If nobody is logged in by then, `message.http_session` says so.
    """
    session = getattr(message, "http_session", None)
    channel = message.reply_channel
    if message.channel_name != "websocket.connect" or session is None or channel is None:
        return
    login = _login_of(session)
    if not login or message.__dict__.get("_follows_login") or not _can_join(message.channel_layer):
        return
    message.__dict__["_follows_login"] = True
    now = _join_by_login(channel, login[auth.SESSION_KEY], session)
    if _login_of(now) != login:
        message.http_session = now


def _can_join(channel_layer: Any) -> bool:
    return joins_users() and "groups" in channel_layer.extensions


def _join_by_login(channel: Channel, key: str, session: Any) -> Any:
    """Join the groups of the user and the login of *session*; returns it as it is then.

    Its user may not be logged in any more: then the groups are left again.
    """
    names = user_groups(key)[:1] + login_groups(session)[:1]
    groups = _join(channel, names)
    now = type(session)(session.session_key)
    if now.get(auth.SESSION_KEY) != key:
        for group in groups:
            group.discard(channel)
    return now


def _join(channel: Channel, names: list[str]) -> list[Group]:
    groups = [Group(name, channel_layer=channel.channel_layer) for name in names]
    for group in groups:
        group.add(channel)
    return groups


def _login_of(session: Any) -> dict[str, Any]:
    """Who is logged in, as *session* says; empty for nobody."""
    return {key: session[key] for key in _LOGIN} if all(key in session for key in _LOGIN) else {}
