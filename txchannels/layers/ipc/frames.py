"""What two processes of a host say to each other: bytes in, frames out.

A frame is its length, four bytes in network order, and a msgpack list: a word of `Word`
and what goes with it. Words from the client:

- HELLO (version, process ID): first of all;
- CALL (number, method, arguments): answered by RESULT or ERROR;
- SEND (number, seconds, sends): all of a batch; answered by SENT, or, if the number is 0,
  only if some of it failed;
- SUBSCRIBE (subscription, channels), REQUEST (subscription, count, finished messages),
  CANCEL (subscription): answered by CANCELLED after all that was delivered before;
- PONG (); TELL (topic, value): for who serves the layer, not for the layer.

From the server: WELCOME (version, what a client has to know), RESULT (number, value),
ERROR (number, kind, text), SENT (number, list of (which, kind, text)), DELIVER (subscription,
message's number, channel, message), CANCELLED (subscription, how many had not been
delivered), BATCH (prefix, what an inbox gets), CALLBACK (number), PING (), TELL.

Knows no socket. Whatever the bytes, decoding gives legal frames or raises `FrameError`.

Source: docs/architecture.md; msgpack specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Any, Final

from txchannels.errors import (
    ChannelClosed,
    ChannelFull,
    LayerError,
    LayerUnavailable,
    MessageTooLarge,
    Unanswered,
)
from txchannels.layers.packing import ElementError, pack, unpack
from txchannels.messages import MAX_MESSAGE_BYTES

__all__ = [
    "MAX_FRAME_BYTES",
    "VERSION",
    "Decoder",
    "FrameError",
    "Word",
    "encode",
    "error_from",
    "kind_of",
]

#: Both sides are of one release, or one of them is told so.
VERSION: Final = 1

#: One message of the largest size, with what goes around it.
MAX_FRAME_BYTES: Final = MAX_MESSAGE_BYTES + 2**18

_LENGTH: Final = Struct("!I")
_HEAD: Final = _LENGTH.size


class Word(IntEnum):
    """What a frame is about."""

    HELLO = 0
    CALL = 1
    SEND = 2
    SUBSCRIBE = 3
    REQUEST = 4
    CANCEL = 5
    PONG = 6
    TELL = 7
    WELCOME = 8
    RESULT = 9
    ERROR = 10
    SENT = 11
    DELIVER = 12
    CANCELLED = 13
    BATCH = 14
    CALLBACK = 15
    PING = 16


class FrameError(LayerError):
    """The bytes are no frames: whoever sends them is no process of this site."""


def encode(*fields: Any) -> bytes:
    """A frame: a word and what goes with it.

    Raises:
        TypeError: They hold what no layer carries.
        MessageTooLarge: They are larger than a frame may be.
    """
    payload = pack(fields)
    if len(payload) > MAX_FRAME_BYTES:
        raise MessageTooLarge(f"{len(payload)} bytes are more than one frame carries")
    return _LENGTH.pack(len(payload)) + payload


class Decoder:
    """Bytes, in whatever pieces, into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """The frames that *data* completes.

        Raises: FrameError: It is none; nothing after it can be read.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= _HEAD:
            (length,) = _LENGTH.unpack_from(data, at)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes")
            if end - at - _HEAD < length:
                break
            start = at + _HEAD
            at = start + length
            self._rest = b""
            yield _read(data[start:at])
        self._rest = data[at:] if at else data


def _read(payload: bytes) -> list[Any]:
    try:
        fields = unpack(payload)
    except ElementError as error:
        raise FrameError(f"a frame that is {error}") from None
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        raise FrameError("a frame without a word")
    return fields


#: Errors by what they are called between processes.
_ERRORS: Final[dict[str, type[Exception]]] = {
    "full": ChannelFull,
    "closed": ChannelClosed,
    "large": MessageTooLarge,
    "unanswered": Unanswered,  # before what it is one of
    "unavailable": LayerUnavailable,
    "type": TypeError,
    "value": ValueError,
}


def kind_of(error: BaseException) -> str:
    """What *error* is called in a frame."""
    for kind, known in _ERRORS.items():
        if isinstance(error, known):
            return kind
    return "unavailable"


def error_from(kind: str, text: str) -> Exception:
    """The error that a frame tells of."""
    return _ERRORS.get(kind, LayerUnavailable)(text)
