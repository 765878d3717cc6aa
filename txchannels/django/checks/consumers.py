"""The consumers that are routed: who may open sockets, whose user they expect, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from txchannels.django.checks.reports import Findings, warning
from txchannels.django.checks.site import Routed, daemon_layer, daemon_settings, routed
from txchannels.django.checks.traits import ORIGIN, UNKNOWN, package_of, traits_of
from txchannels.django.utils import name_that_thing

__all__ = ["check"]

CONNECT = "websocket.connect"
_LATER = ("websocket.receive", "websocket.disconnect")

#: What puts the browser's user into the channel session.
_TAKE_OVER = {
    "channel_session_user_from_http",
    "channel_and_http_session_user_from_http",
    "transfer_user",
}


def check() -> Findings:
    """The findings about consumers."""
    found = list(routed())
    return [
        *_check_origins(found),
        *_check_packages(found),
        *_check_users(found),
        *_check_order(found),
    ]


def _check_origins(found: list[Routed]) -> Iterator[Any]:
    """The daemon itself lets pages of the site's own origin in, unless it was told not to look."""
    if "*" not in daemon_settings().websocket.origins:
        return
    ours = [one for one in found if one.alias == daemon_layer()]
    if not any(one.channel.startswith("websocket.") for one in ours):
        return
    open_ones = [
        name_that_thing(one.consumer)
        for one in ours
        if one.channel == CONNECT
        and not one.is_stream
        and not traits_of(one.consumer, CONNECT) & {ORIGIN, UNKNOWN}
    ]
    if not any(one.channel == CONNECT for one in ours):
        open_ones = ["the default consumer, which accepts"]
    if open_ones:
        yield warning(
            "W001",
            "TXCHANNELS['WS_ORIGIN'] has '*', and nothing looks at the origin in "
            f"{', '.join(dict.fromkeys(open_ones))}: any page that a visitor opens may use a "
            "socket with that visitor's cookies.",
            "Name the origins that may connect, or decorate the consumers with "
            "allowed_hosts_only or a validator of your own.",
        )


def _check_packages(found: list[Routed]) -> Iterator[Any]:
    foreign = {
        name_that_thing(one.consumer): None
        for one in found
        if "channels" in package_of(one.consumer)
    }
    for name in foreign:
        yield warning(
            "W007",
            f"The consumer {name} is made with the package channels, not with txchannels.",
            "Import from txchannels.django what it imports from channels.",
        )


def _check_users(found: list[Routed]) -> Iterator[Any]:
    for alias in dict.fromkeys(one.alias for one in found):
        here = [(one, traits_of(one.consumer, one.channel)) for one in found if one.alias == alias]
        connects = [traits for one, traits in here if one.channel == CONNECT]
        if any(traits & {*_TAKE_OVER, UNKNOWN} for traits in connects):
            continue
        expecting = {
            name_that_thing(one.consumer): None
            for one, traits in here
            if one.channel in _LATER and "channel_session_user" in traits
        }
        if expecting:
            yield warning(
                "W010",
                f"{', '.join(expecting)} expects a user, and no consumer of {CONNECT} takes it "
                "over from the browser's session: everybody is anonymous.",
                f"Decorate the consumer of {CONNECT} with channel_session_user_from_http; a "
                "class sets http_user = True.",
            )


def _check_order(found: list[Routed]) -> Iterator[Any]:
    for alias in dict.fromkeys(one.alias for one in found):
        here = [(one, traits_of(one.consumer, one.channel)) for one in found if one.alias == alias]
        connects = [traits for one, traits in here if one.channel == CONNECT]
        if any(traits & {"enforce_ordering", UNKNOWN} for traits in connects):
            continue
        ordered = {
            name_that_thing(one.consumer): None
            for one, traits in here
            if one.channel in _LATER and "enforce_ordering" in traits
        }
        if ordered:
            yield warning(
                "W011",
                f"{', '.join(ordered)} is decorated with enforce_ordering, and no consumer of "
                f"{CONNECT} is: it waits for the connect to be counted, and is never called.",
                f"Decorate the consumer of {CONNECT} as well, or none: the daemon keeps a "
                "socket's messages in order itself.",
            )
