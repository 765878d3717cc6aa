"""Who logs out is logged out in every tab, at once."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.backends.base import SessionBase
from django.dispatch import receiver
from django.http import HttpRequest

from txchannels.django import Group

__all__ = ["LOGGED_OUT", "sockets_of"]

#: The close code that sends a browser to the log-in page.
LOGGED_OUT = 4001


def sockets_of(session: SessionBase) -> Group:
    """All sockets that were opened with one log-in. (The session's key stays secret.)"""
    return Group("login-" + sha256(session.session_key.encode()).hexdigest()[:32])


@receiver(user_logged_out)
def close_sockets(request: HttpRequest, **signal: Any) -> None:
    """Close what the log-in had opened."""
    if request.session.session_key:
        sockets_of(request.session).send({"close": LOGGED_OUT})
