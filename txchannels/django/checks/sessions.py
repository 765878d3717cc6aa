"""The sessions and users that consumers ask for: is there what they need?"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends import signed_cookies

from txchannels.django.checks.reports import Findings, error, warning
from txchannels.django.checks.site import daemon_settings, routed
from txchannels.django.checks.traits import traits_of

__all__ = ["check"]

_OF_CHANNEL = {"channel_session", "channel_and_http_session", "enforce_ordering"}
_OF_BROWSER = {"http_session", "channel_and_http_session"}

#: Engines whose sessions are rows of a table.
_IN_TABLE = ("django.contrib.sessions.backends.db", "django.contrib.sessions.backends.cached_db")
_IN_CACHE = "django.contrib.sessions.backends.cache"
_LOCAL_CACHES = ("LocMemCache", "DummyCache")

_SESSIONS, _AUTH = "django.contrib.sessions", "django.contrib.auth"


def check() -> Findings:
    """The findings about sessions and users."""
    traits: set[str] = set()
    for one in routed():
        traits |= traits_of(one.consumer, one.channel)
    has_sessions = bool(traits & (_OF_CHANNEL | _OF_BROWSER))
    has_users = any("user" in trait for trait in traits)
    own = getattr(settings, "CHANNEL_SESSION_ENGINE", None)
    engines = {}
    if own or traits & _OF_CHANNEL:
        engines[own or settings.SESSION_ENGINE] = (
            "CHANNEL_SESSION_ENGINE" if own else "SESSION_ENGINE"
        )
    if traits & _OF_BROWSER:
        engines.setdefault(settings.SESSION_ENGINE, "SESSION_ENGINE")
    return [
        *_check_channel_engine(own, is_used=bool(traits & _OF_CHANNEL)),
        *_check_tables(engines, has_sessions=has_sessions, has_users=has_users),
        *_check_caches(engines),
        *_check_middleware(traits, has_users=has_users),
    ]


def _check_channel_engine(own: str | None, *, is_used: bool) -> Iterator[Any]:
    """That which `session_for_reply_channel` would use."""
    if not own and not is_used:
        return
    name = own or settings.SESSION_ENGINE
    setting = "CHANNEL_SESSION_ENGINE" if own else "SESSION_ENGINE"
    hint = "Set CHANNEL_SESSION_ENGINE to django.contrib.sessions.backends.db or .cache."
    try:
        store = import_module(name).SessionStore
    except Exception as fault:
        yield error("E005", f"{setting} {name!r} cannot be imported: {fault!r}.", hint)
        return
    if issubclass(store, signed_cookies.SessionStore):
        yield error(
            "E005",
            f"{setting} {name!r} keeps sessions in cookies: a socket cannot change those, so no "
            "channel session can be opened.",
            hint,
        )


def _check_tables(engines: dict[str, str], *, has_sessions: bool, has_users: bool) -> Iterator[Any]:
    if (
        has_sessions
        and not apps.is_installed(_SESSIONS)
        and any(one in _IN_TABLE for one in engines)
    ):
        yield error(
            "E006",
            "Consumers use sessions, and these are kept in a table that is not there: "
            f"{_SESSIONS} is not in INSTALLED_APPS.",
            f"Install {_SESSIONS} and run manage.py migrate, or choose another engine.",
        )
    if has_users and not apps.is_installed(_AUTH):
        yield error(
            "E007",
            f"Consumers use message.user, and {_AUTH} is not in INSTALLED_APPS.",
            f"Install {_AUTH} and django.contrib.contenttypes.",
        )


def _check_caches(engines: dict[str, str]) -> Iterator[Any]:
    daemon = daemon_settings()
    if daemon.processes.count is None and not daemon.no_workers:
        return
    backend = settings.CACHES.get(settings.SESSION_CACHE_ALIAS, {}).get("BACKEND", "")
    if not backend.endswith(_LOCAL_CACHES):
        return
    for engine, setting in engines.items():
        if engine == _IN_CACHE:
            yield warning(
                "W012",
                f"{setting} keeps sessions in the cache {settings.SESSION_CACHE_ALIAS!r}, a "
                f"{backend.rpartition('.')[2]}: each worker process has its own, so that "
                "sessions come and go.",
                "Use a cache that processes share, or django.contrib.sessions.backends.db.",
            )


def _check_middleware(traits: set[str], *, has_users: bool) -> Iterator[Any]:
    wanted = {}
    if traits & _OF_BROWSER:
        wanted["SessionMiddleware"] = "a browser's session"
    if has_users and traits & _OF_BROWSER:
        wanted["AuthenticationMiddleware"] = "the user of a browser"
    for name, what in wanted.items():
        if not any(name in one.rpartition(".")[2] for one in settings.MIDDLEWARE):
            yield warning(
                "W013",
                f"Consumers use {what}, and no {name} is in MIDDLEWARE: no view can ever log "
                "anybody in.",
                f"Add {name} to MIDDLEWARE.",
            )
