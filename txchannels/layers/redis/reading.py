"""What was taken from a list, into a message or a change of a membership."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txchannels.layers.codec import GARBAGE, ElementError, Kind, deadline_of
from txchannels.layers.names import owner_of

if TYPE_CHECKING:
    from txchannels.layers.codec import Codec
    from txchannels.layers.interfaces import Message

__all__ = ["read_stamp", "read_waiting"]

STAMP = b"@"
STAMP_DIGITS = 16


def read_stamp(data: bytes) -> tuple[int | None, bytes]:
    """When the server has put an element into an inbox, in microseconds, and the element.

    Changes of memberships have it in front, and nothing else.

    Raises: ElementError: This layer has not written it.
    """
    if not data.startswith(STAMP):
        return None, data
    digits, element = data[1 : 1 + STAMP_DIGITS], data[1 + STAMP_DIGITS :]
    if len(digits) < STAMP_DIGITS or not digits.isdigit():
        raise ElementError(GARBAGE)
    return int(digits), element


def read_waiting(codec: Codec, name: str, data: bytes, now: int) -> tuple[str, Message] | None:
    """The channel and the message of an element of the list *name*; None if it has expired.

    A group's message names its group: the channel is then the list's. The lists of
    process-local channels have each channel's name at the element's end.

    Args:
        now: The server's time in milliseconds.

    Raises: ElementError: This layer has not written it, or not there.
    """
    channel = name
    if name.endswith("!"):
        data, _, local = data.rpartition(b"\n")
        channel = local.decode("ascii", "replace")
    if deadline_of(data) <= now:
        return None
    element = codec.decode(data)
    is_ours = element.kind == Kind.GROUP or (
        element.kind == Kind.MESSAGE and element.target == channel
    )
    if not is_ours or owner_of(channel) != name:
        raise ElementError(GARBAGE)
    return channel, element.content
