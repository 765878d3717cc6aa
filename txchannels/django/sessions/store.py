"""Session stores of sockets: found by reply channel, created, saved."""

from __future__ import annotations

import hashlib
import logging
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import signed_cookies
from django.contrib.sessions.backends.base import CreateError, UpdateError

from txchannels.django.exceptions import ConsumeLater
from txchannels.django.message import Message

__all__ = [
    "find_message",
    "open_session",
    "reply_channel_name",
    "save_if_changed",
    "session_for_reply_channel",
]

logger = logging.getLogger("django.channels")

Session = Any


def find_message(args: tuple[Any, ...], decorator: str) -> Message:
    """The message among a consumer's first two positional arguments.

    Raises: ValueError: There is none.
    """
    for argument in args[:2]:
        if isinstance(argument, Message):
            return argument
    raise ValueError(f"{decorator} found no Message in the consumer's first two arguments")


def reply_channel_name(message: Message, decorator: str) -> str:
    if message.reply_channel is None:
        raise ValueError(
            f"{decorator} needs a reply channel; messages of {message.channel_name!r} have none"
        )
    return message.reply_channel.name


def session_for_reply_channel(reply_channel: str) -> Session:
    """The session that belongs to *reply_channel*, whether it is stored yet or not.

    Raises: ValueError: The engine keeps sessions in cookies, which sockets cannot change.
    """
    digest = hashlib.sha1(reply_channel.encode(), usedforsecurity=False).hexdigest()
    engine_name = getattr(settings, "CHANNEL_SESSION_ENGINE", None) or settings.SESSION_ENGINE
    engine = import_module(engine_name)
    if issubclass(engine.SessionStore, signed_cookies.SessionStore):
        raise ValueError(  # noqa: TRY004 - the setting's value is wrong, not a type
            f"The session engine {engine_name} cannot be used for channel sessions: it keeps "
            "them in cookies. Set CHANNEL_SESSION_ENGINE."
        )
    return engine.SessionStore(session_key="chn" + digest[:29])


def open_session(reply_channel: str) -> Session:
    """The stored session of *reply_channel*; created where there is none.

    Raises: ConsumeLater: Somebody else is creating it at this moment.
    """
    session = _stored_session(reply_channel) or _create_session(reply_channel)
    # Created by somebody else since, then; or there all the time, but expired.
    session = session or _stored_session(reply_channel)
    if session is None:
        expired = session_for_reply_channel(reply_channel)
        expired.delete(expired.session_key)
        session = _create_session(reply_channel)
    if session is None:
        raise ConsumeLater
    return session


def _stored_session(reply_channel: str) -> Session | None:
    session = session_for_reply_channel(reply_channel)
    key = session.session_key
    # Any look into a session loads it; a store lets go of a key with nothing under it.
    session.keys()
    return session if session.session_key == key else None


def _create_session(reply_channel: str) -> Session | None:
    session = session_for_reply_channel(reply_channel)
    try:
        session.save(must_create=True)
    except CreateError:
        return None
    session.modified = False
    return session


def save_if_changed(session: Session) -> None:
    """Save *session* unless it is as it was, or flushed, or deleted by somebody else."""
    if not session.modified or session.is_empty():
        return
    try:
        session.save()
    except UpdateError:
        logger.warning("A session was deleted while a consumer changed it; it stays deleted")
    session.modified = False
