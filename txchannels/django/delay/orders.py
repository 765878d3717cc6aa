"""A message of ``asgi.delay``, looked at before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from txchannels.errors import MessageTooLarge
from txchannels.layers.names import check_channel
from txchannels.messages import copy_message

__all__ = ["MAX_DELAY_MS", "BadOrder", "Order", "check_delay", "read_order"]

#: Ten years. What is longer is a mistake in the unit, or meant to fill the table for ever.
MAX_DELAY_MS = 10 * 366 * 24 * 3_600_000


class BadOrder(ValueError):
    """Nothing can be sent later so; the text says which field is wrong, and how."""


@dataclass(frozen=True)
class Order:
    """What is to be sent, where to, and when.

    Attributes:
        channel: The destination.
        delay: Milliseconds from now.
        content: The message.
    """

    channel: str
    delay: int
    content: dict[str, Any]


def read_order(fields: Mapping[str, Any]) -> Order:
    """The order that a message of ``asgi.delay`` is; fields beside its three are ignored.

    Raises: BadOrder: It is none.
    """
    for name in ("channel", "delay", "content"):
        if name not in fields:
            raise BadOrder(
                f"{name!r} is missing; it has {', '.join(map(repr, fields)) or 'nothing'}"
            )
    channel = fields["channel"]
    if not isinstance(channel, str):
        raise BadOrder(f"'channel' must be text, not {type(channel).__name__}: {channel!r:.80}")
    try:
        check_channel(channel)
        content = copy_message(fields["content"])
    except (TypeError, MessageTooLarge) as error:
        raise BadOrder(str(error)) from None
    if channel.endswith("!"):
        raise BadOrder(f"'channel' is no channel but the start of many: {channel!r}")
    return Order(channel, check_delay(fields["delay"]), content)


def check_delay(delay: Any) -> int:
    """*delay*, if it is a number of milliseconds that can be waited for.

    Raises: BadOrder: It is not.
    """
    if not isinstance(delay, int) or isinstance(delay, bool):
        raise BadOrder(
            f"'delay' must be a whole number of milliseconds, not {type(delay).__name__}: "
            f"{delay!r:.80}"
        )
    if not 0 <= delay <= MAX_DELAY_MS:
        raise BadOrder(f"'delay' must be 0 to {MAX_DELAY_MS} milliseconds (ten years): {delay}")
    return delay
