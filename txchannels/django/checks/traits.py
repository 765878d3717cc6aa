"""What a consumer is decorated with, seen without calling it.

Decorators of ours are recognised by the code of the functions that they make; those of
others are passed through, if they use `functools.wraps`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CodeType
from typing import Any

from txchannels.django import auth
from txchannels.django.generic.base import BaseConsumer
from txchannels.django.security.websockets import BaseOriginValidator
from txchannels.django.sessions import decorators, ordering

__all__ = ["ORIGIN", "UNKNOWN", "package_of", "traits_of"]

#: The trait of a consumer that looks at the page's origin.
ORIGIN = "origin"

#: That of one which may be decorated in ways that cannot be seen.
UNKNOWN = "unknown"

_MODULES = {module.__name__ for module in (auth, decorators, ordering)}

_GENERIC = "txchannels.django.generic."

#: The decorators that a flag of a generic consumer stands for.
_FLAGS = {
    "channel_session": {"channel_session"},
    "channel_session_user": {"channel_session_user", "channel_session"},
    "http_user_and_session": {
        "channel_and_http_session_user_from_http",
        "channel_and_http_session",
        "channel_session",
    },
    "strict_ordering": {"enforce_ordering", "channel_session"},
}


def traits_of(consumer: Any, channel: str) -> set[str]:
    """The names of the decorators around *consumer* for messages of *channel*, and more."""
    if isinstance(consumer, type) and issubclass(consumer, BaseConsumer):
        return _traits_of_class(consumer, channel)
    if isinstance(consumer, type):
        return {UNKNOWN}
    return set(_decorators(consumer))


def package_of(consumer: Any) -> set[str]:
    """The top packages of all that *consumer* is made of: its bases, what it is wrapped in."""
    if isinstance(consumer, type):
        return {base.__module__.partition(".")[0] for base in consumer.__mro__}
    return {
        str(getattr(layer, "__globals__", {}).get("__name__", type(layer).__module__)).partition(
            "."
        )[0]
        for layer in _layers(consumer)
    }


def _traits_of_class(consumer: type[BaseConsumer], channel: str) -> set[str]:
    found: set[str] = set()
    for flag, names in _FLAGS.items():
        if getattr(consumer, flag, False):
            found |= names
    if getattr(consumer, "http_user", False):
        is_connect = channel == "websocket.connect"
        found |= {"channel_session_user_from_http" if is_connect else "channel_session_user"}
        found |= {"channel_session"}
    methods = {consumer.method_mapping.get(channel, ""), "connect"} - {""}
    if channel != "websocket.connect":
        methods -= {"connect"}
    for name in methods:
        found |= set(_decorators(getattr(consumer, name, None)))
    for name in ("get_handler", "dispatch", "__init__"):
        module = getattr(getattr(consumer, name), "__module__", None)
        if not str(module).startswith(_GENERIC):
            found.add(UNKNOWN)
    return found


def _decorators(consumer: Any) -> Iterator[str]:
    for layer in _layers(consumer):
        if isinstance(layer, BaseOriginValidator):
            yield ORIGIN
        code = getattr(layer, "__code__", None)
        if not isinstance(code, CodeType):
            continue
        if layer.__globals__.get("__name__") in _MODULES:
            yield code.co_qualname.partition(".")[0]
        if "transfer_user" in code.co_names:
            yield "transfer_user"


def _layers(consumer: Any) -> Iterator[Any]:
    """*consumer*, what it wraps, what that wraps, and so on."""
    seen: set[int] = set()
    while consumer is not None and id(consumer) not in seen:
        seen.add(id(consumer))
        yield consumer
        if isinstance(consumer, functools.partial | BaseOriginValidator):
            consumer = consumer.func
        elif hasattr(consumer, "__func__"):
            consumer = consumer.__func__
        else:
            consumer = getattr(consumer, "__wrapped__", None)
