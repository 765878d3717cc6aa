"""What a hub or a program asks of Redis, as arguments of ``operations.lua``.

Any number of them goes to the server as one script call, is done there in order, and is
answered with a verdict each. Knows no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Final

from txchannels.errors import (
    ChannelClosed,
    ChannelFull,
    LayerError,
    LayerUnavailable,
    Unanswered,
)

__all__ = [
    "CLOSED",
    "FAILED",
    "FULL",
    "Argument",
    "Operation",
    "Script",
    "add_unowned",
    "discard_unowned",
    "drop_channel",
    "error_of",
    "failure_of",
    "forward_add",
    "forward_discard",
    "join",
    "leave",
    "pause",
    "resume",
    "resume_all",
    "stamp",
    "taken",
    "to_channel",
    "to_group",
    "to_inbox",
    "write",
]

Argument = str | bytes | int
Operation = tuple[Argument, ...]

FULL: Final = -1
CLOSED: Final = -2
FAILED: Final = -3

#: Operations that do nothing when they fail; of any other a part may be done.
_WHOLE = frozenset("ac")

#: How much longer than its messages a list is kept, in milliseconds.
SLACK_MS = 5_000

#: How long it is known what a hub has taken; nobody waits so long for that.
TAKEN_MS = 60_000


class Script:
    """A Lua script of this folder.

    Attributes:
        body: Its text.
        digest: How the server knows it once it is loaded.
    """

    def __init__(self, name: str) -> None:
        self.body = files(__package__).joinpath(f"{name}.lua").read_bytes()
        self.digest = sha1(self.body, usedforsecurity=False).hexdigest()


def to_channel(name: str, capacity: int, keep_ms: int, element: bytes) -> Operation:
    """Let *element* wait in a channel. Verdict: 0 or FULL."""
    return "c", name, capacity, keep_ms + SLACK_MS, element


def to_inbox(address: str, channel: str, capacity: int, keep_ms: int, element: bytes) -> Operation:
    """Hand *element* to the hub that owns *channel*. Verdict: 0, FULL or CLOSED."""
    return "a", address, channel, capacity, keep_ms + SLACK_MS, element


def to_group(group: str, except_for: Iterable[str], keep_ms: int, element: bytes) -> Operation:
    """Hand *element* to the hubs with members, and to those of none, but for some.

    Verdict: how many were full.
    """
    return "g", group, f" {' '.join(except_for)} ", keep_ms + SLACK_MS, element


def join(group: str, address: str, channel: str) -> Operation:
    """Note that the owner of *address* has a member. Verdict: when."""
    return "j", group, address, channel


def leave(group: str, address: str, channel: str) -> Operation:
    """Note that it has not any more. Verdict: when."""
    return "l", group, address, channel


def forward_add(group: str, address: str, channel: str, keep_ms: int, element: bytes) -> Operation:
    """As `join`, and tell the owner with *element*. Verdict: when, FULL or CLOSED."""
    return "f", group, address, channel, keep_ms + SLACK_MS, element


def forward_discard(
    group: str, address: str, channel: str, keep_ms: int, element: bytes
) -> Operation:
    """As `leave`, and tell the owner with *element*."""
    return "d", group, address, channel, keep_ms + SLACK_MS, element


def add_unowned(group: str, channel: str, lapse_ms: int, capacity: int) -> Operation:
    """Make a channel that no hub owns a member for some time."""
    return "u", group, channel, lapse_ms, capacity


def discard_unowned(group: str, channel: str) -> Operation:
    """End the membership of a channel that no hub owns."""
    return "n", group, channel


def pause(address: str, channel: str, keep_ms: int) -> Operation:
    """Refuse what is sent to *channel* as full."""
    return "p", address, channel, keep_ms


def resume(address: str, channel: str) -> Operation:
    """Take what is sent to *channel* again."""
    return "r", address, channel


def resume_all(address: str) -> Operation:
    """Take what is sent to any channel of *address* again."""
    return "q", address


def taken(address: str, moment: int) -> Operation:
    """Note that what was put into the inbox at *address* until *moment* was taken."""
    return "t", address, moment, TAKEN_MS


def stamp() -> Operation:
    """Do nothing. Verdict: when."""
    return ("s",)


def drop_channel(name: str) -> Operation:
    """Forget what waits in a channel."""
    return "x", name


def write(prefix: str, operations: Sequence[Operation]) -> list[Argument]:
    """The script's arguments for *operations*."""
    arguments: list[Argument] = [prefix]
    for operation in operations:
        arguments += operation
    return arguments


def error_of(verdict: int, channel: str) -> LayerError | None:
    """What a send's verdict means; None when the message was taken."""
    if verdict == FULL:
        return ChannelFull(f"Channel {channel} is full")
    if verdict == CLOSED:
        return ChannelClosed(f"The client behind {channel} is gone")
    if verdict == FAILED:
        return LayerUnavailable(_spoiled(channel))
    return None


def failure_of(operation: Operation) -> LayerUnavailable:
    """What FAILED means for *operation*: `Unanswered` where a part of it may be done."""
    letter, *arguments = operation
    if letter in _WHOLE:
        return LayerUnavailable(_spoiled(arguments[1 if letter == "a" else 0]))
    return Unanswered(f"{_spoiled(arguments[0] if arguments else '')}; a part may be done")


def _spoiled(name: object) -> str:
    return (
        f"a key of {name} in Redis holds what this layer has not written:"
        f" delete the keys that have {name} in their names, and are of the wrong type"
    )
