"""Handshakes only from pages of one's own site.

A browser sends the site's cookies with a handshake whichever page asks for it; the
``Origin`` header says which page did (RFC 6455, section 10.2).

Source: Channels 1, ``channels.security.websockets``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any
from urllib.parse import urlsplit

from txchannels.django.exceptions import DenyConnection
from txchannels.django.hosts import is_host_allowed
from txchannels.django.message import Message

__all__ = ["AllowedHostsOnlyOriginValidator", "BaseOriginValidator", "allowed_hosts_only"]


class BaseOriginValidator:
    """Decorates a ``websocket.connect`` consumer; subclasses say which origins may connect.

    Args:
        func: The consumer, a function or a method.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        update_wrapper(self, func)
        self.func = func

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the consumer if the message's origin may connect.

        Raises: DenyConnection: It may not.
        """
        message = args[0] if isinstance(args[0], Message) else args[1]
        if not self.validate_origin(message, self.get_origin(message)):
            raise DenyConnection
        return self.func(*args, **kwargs)

    def get_origin(self, message: Message) -> str | None:
        """The Origin header; None when it is missing, doubled, or not ASCII."""
        headers = message.get("headers") or ()
        pairs = headers.items() if isinstance(headers, dict) else headers
        origins = [value for name, value in pairs if name in (b"origin", "origin")]
        if len(origins) != 1:
            return None
        origin = origins[0]
        if isinstance(origin, bytes):
            origin = origin.decode("latin-1")
        return origin if origin.isascii() else None

    def validate_origin(self, message: Message, origin: str | None) -> bool:
        """Whether a page of *origin* may connect."""
        raise NotImplementedError(f"{type(self).__name__} must define validate_origin()")


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Only pages of the hosts in ``ALLOWED_HOSTS`` may connect."""

    def validate_origin(self, message: Message, origin: str | None) -> bool:
        if not origin:
            return False
        try:
            return is_host_allowed(urlsplit(origin).netloc)
        except ValueError:
            return False


allowed_hosts_only = AllowedHostsOnlyOriginValidator
