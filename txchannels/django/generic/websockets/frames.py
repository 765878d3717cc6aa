"""JSON that strangers send, read with bounds, and what is done about the rest of what they send.

Knows texts and values; of a socket only how to close it.

Source: RFC 8259; RFC 6455, section 7.4.1, for the close codes.
"""

from __future__ import annotations

import json
import logging
from math import isinf
from typing import TYPE_CHECKING, Any

from txchannels.django.exceptions import ChannelSocketException

if TYPE_CHECKING:
    from txchannels.django.message import Message

__all__ = ["INCONSISTENT_DATA", "UNACCEPTABLE_TYPE", "BadFrame", "parse_json"]

logger = logging.getLogger("django.channels")

#: RFC 6455, section 7.4.1: of a kind that this endpoint does not take, like bytes for text.
UNACCEPTABLE_TYPE = 1003

#: The same: of the right kind, but not what such a message has to be.
INCONSISTENT_DATA = 1007


class BadFrame(ChannelSocketException, ValueError):
    """A client has sent what the consumer cannot take: its socket is closed, and the log says why.

    It is a `ValueError`, as in Channels 1.

    Args:
        code: The close code.
        reason: What is wrong, as a sentence goes on after "its frame".
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def run(self, message: Message) -> None:
        if message.reply_channel is None:
            raise ValueError("A message without a reply channel has no socket to close.")
        logger.warning(
            "Closed socket %s at %.200r with %d: its frame %s",
            *(message.reply_channel, message.get("path"), self.code, self.reason),
        )
        message.reply_channel.send({"close": self.code})

    def __str__(self) -> str:
        return f"The frame {self.reason}"


def parse_json(text: str, max_depth: int) -> Any:
    """The value of *text*.

    Numbers that JSON does not have are refused: no browser could read them if the
    consumer passed them on.

    Raises:
        ValueError: It is no JSON, or is nested deeper than *max_depth*.
        RecursionError: It is nested very much deeper.
    """
    value = _DECODER.decode(text)
    if text.count("[") + text.count("{") > max_depth and _is_deeper(value, max_depth):
        raise ValueError(f"nested deeper than {max_depth} levels")
    return value


def _is_deeper(value: Any, max_depth: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return bool(level)


def _parse_float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError("a number is too large")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_float=_parse_float, parse_constant=_refuse_constant)
