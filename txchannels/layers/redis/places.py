"""Where in Redis a channel's messages wait, and on which shard."""

from __future__ import annotations

import re
from zlib import crc32

from txchannels.layers.names import owner_of

__all__ = [
    "HUB",
    "OWNED",
    "address_of",
    "glob_escape",
    "group_shard",
    "home_of",
    "inbox_key",
    "list_key",
    "member_shard",
    "name_in",
    "shard_of",
    "unowned_key",
]

#: The start of the prefixes that hubs own; any other ``prefix!`` is an ordinary list.
OWNED = "txchannels."

#: The start of the hubs' own addresses; 16 hexadecimal digits and a ``!`` follow.
HUB = f"{OWNED}hub."


def address_of(channel: str) -> str | None:
    """The address of the hub that owns *channel*; None for a channel that any may read."""
    if not channel.startswith(OWNED):
        return None
    mark = channel.find("!")
    return None if mark < 0 else channel[: mark + 1]


def home_of(channel: str) -> str | None:
    """The address of the hub that made the single-reader *channel*, if a hub did."""
    mark = channel.find("?") + 1
    if not mark or channel[mark + 16 : mark + 17] != "-" or len(channel) != mark + 29:
        return None
    return f"{HUB}{channel[mark : mark + 16]}!"


def shard_of(channel: str, count: int) -> int | None:
    """The shard that *channel* is bound to; None if any will do.

    A channel with one reader keeps its order, so it keeps its shard.
    """
    if count == 1:
        return 0
    if "!" not in channel and "?" not in channel:
        return None
    return crc32(owner_of(channel).encode()) % count


def group_shard(group: str, count: int) -> int:
    """The shard where the owners of members of *group* are registered."""
    return crc32(group.encode()) % count if count > 1 else 0


def member_shard(group: str, channel: str, count: int) -> int:
    """The shard where *channel*'s membership of *group* is registered.

    Owned channels are where the group is. Any other is where its messages wait, so that a
    group's messages keep their place among them.
    """
    bound = None if address_of(channel) is not None else shard_of(channel, count)
    return group_shard(group, count) if bound is None else bound


def list_key(prefix: str, channel: str) -> str:
    """The list of the messages of *channel*; the hash tag keeps what belongs together in a slot."""
    return f"{prefix}{{c:{owner_of(channel)}}}"


def inbox_key(prefix: str, address: str) -> str:
    """The list of what is meant for the hub at *address*."""
    return f"{prefix}{{i:{address}}}:list"


def unowned_key(prefix: str, group: str) -> str:
    """The members of *group* that no hub owns, each with when it lapses and its capacity."""
    return f"{prefix}{{g:{group}}}:unowned"


def name_in(prefix: str, key: bytes) -> tuple[str, str]:
    """The kind (``c`` or ``i``) and the name in a key of a list."""
    kind, _, rest = key[len(prefix.encode()) + 1 :].decode().partition(":")
    return kind, rest.partition("}")[0]


def glob_escape(text: str) -> str:
    """*text* as a pattern of Redis that only itself matches."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", text)
