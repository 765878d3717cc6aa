"""Which names channels and groups may have (ASGI draft version 1, "Capacity" and "Groups").

- ``name``: any number of writers and readers;
- ``name?rest``: one reader; made by ``new_channel("name?")``;
- ``prefix!local``: read by the process that owns the prefix, as ``prefix!``.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Collection
from functools import lru_cache

__all__ = ["check_channel", "check_channels", "check_group", "make_name", "owner_of"]

MAX_NAME_CHARACTERS = 99
RANDOM_LETTERS = 12

_CHANNEL = re.compile(r"[a-zA-Z0-9_.\-]+(?:[?!][a-zA-Z0-9_.\-]*)?")
_GROUP = re.compile(r"[a-zA-Z0-9_.\-]+")


@lru_cache(maxsize=4096)
def check_channel(name: str, *, receive: bool = False) -> str:
    """Return *name* if a channel may have it.

    Args:
        receive: Whether it is to be read from: a process-local name is then only its prefix.

    Raises: TypeError: It says what is wrong with which name.
    """
    if not isinstance(name, str):
        raise TypeError(f"Channel name must be text, not {type(name).__name__}: {name!r}")
    if len(name) > MAX_NAME_CHARACTERS:
        raise TypeError(f"Channel name must have fewer than 100 characters: {name!r}")
    if _CHANNEL.fullmatch(name) is None or name.endswith("?"):
        raise TypeError(
            "Channel name must be ASCII letters, digits, hyphens, underscores or dots, "
            f"with at most one ? or ! inside: {name!r}"
        )
    if receive and "!" in name and not name.endswith("!"):
        raise TypeError(f"Process-local channels are received by prefix, up to the '!': {name!r}")
    return name


def check_channels(names: Collection[str]) -> list[str]:
    """Return *names*, each of which can be received from.

    Raises: TypeError: They are none, or one text, or one of them is no such name.
    """
    if isinstance(names, str) or not names:
        raise TypeError(f"Channels to receive from must be a non-empty list: {names!r}")
    return [check_channel(name, receive=True) for name in names]


@lru_cache(maxsize=4096)
def check_group(name: str) -> str:
    """Return *name* if a group may have it.

    Raises: TypeError: It says what is wrong with which name.
    """
    if not isinstance(name, str):
        raise TypeError(f"Group name must be text, not {type(name).__name__}: {name!r}")
    if len(name) > MAX_NAME_CHARACTERS:
        raise TypeError(f"Group name must have fewer than 100 characters: {name!r}")
    if _GROUP.fullmatch(name) is None:
        raise TypeError(
            f"Group name must be ASCII letters, digits, hyphens, underscores or dots: {name!r}"
        )
    return name


def make_name(pattern: str) -> str:
    """A name of a single-reader channel, by chance a new one; *pattern* is its start.

    Raises: TypeError: The pattern does not end in ``?``, or is no start of a name.
    """
    if not isinstance(pattern, str) or not pattern.endswith("?"):
        raise TypeError(f"A new channel's pattern must end in '?': {pattern!r}")
    letters = random.choices(string.ascii_letters, k=RANDOM_LETTERS)  # noqa: S311 - no secret
    return check_channel(pattern + "".join(letters))


def owner_of(channel: str) -> str:
    """The name of the queue that *channel*'s messages wait in: the prefix of a local one."""
    mark = channel.find("!")
    return channel if mark < 0 else channel[: mark + 1]
