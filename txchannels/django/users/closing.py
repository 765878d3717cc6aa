"""Closing the sockets of groups, on all layers that the site has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from txchannels.django.asgi import channel_layers
from txchannels.django.channel import Group
from txchannels.django.users.configuration import joins_users
from txchannels.django.users.names import user_groups, user_key
from txchannels.errors import LayerError

__all__ = ["LOGGED_OUT", "close_groups", "disconnect"]

#: The close code of a socket whose user has left: of the range for sites, as HTTP's 401.
LOGGED_OUT = 4401

#: What an endpoint may send in a close frame (RFC 6455, section 7.4), beside 3000 to 4999.
_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


def disconnect(user: Any, code: int = LOGGED_OUT) -> None:
    """Close all sockets and event streams of *user*, on all hosts.

    As all that a consumer sends, it goes out when that ends. Handshakes that are under way
    are denied. Who is to stay away must not be able to log in any more by then.

    Args:
        user: One of the site's users.
        code: The close code: 3000 to 4999, or one of RFC 6455 that an endpoint may send.

    Raises:
        TypeError: *user* is none, as `AnonymousUser` is not.
        ValueError: The user is not stored, or *code* is no such code.
        ImproperlyConfigured: Sockets do not join groups: ``CHANNEL_USER_GROUPS``.
        LayerError: A layer could not be told; the others were.
    """
    if not is_close_code(code):
        raise ValueError(
            f"A close code is 1000, 3000 to 4999, or one of RFC 6455 that may be sent, not {code!r}"
        )
    if not joins_users():
        raise ImproperlyConfigured(
            "disconnect() finds nobody's sockets: CHANNEL_USER_GROUPS is False"
        )
    close_groups(user_groups(user_key(user)), code)


def close_groups(groups: Iterable[str], code: int = LOGGED_OUT) -> None:
    """Close the sockets of *groups*, on each layer that has groups.

    Raises: LayerError: The first of a layer that could not be told; the others were.
    """
    names = list(groups)
    errors = []
    for alias in channel_layers.configs:
        layer = channel_layers[alias]
        if "groups" not in layer.extensions:
            continue
        try:
            for name in names:
                Group(name, channel_layer=layer).send({"close": code})
        except LayerError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def is_close_code(code: object) -> bool:
    """Whether *code* may stand in a close frame that an endpoint sends."""
    if not isinstance(code, int) or isinstance(code, bool):
        return False
    return code in _CODES or 3000 <= code <= 4999
