"""What the application answers to a WebSocket, as frames (ASGI version 1, "Send/Close/Accept").

Knows no transport and no socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txchannels.protocols.frames import BINARY, TEXT, encode_frame

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message

__all__ = ["KNOWN_KEYS", "IllegalReply", "check_keys", "check_order", "encode_reply"]

#: ``id`` and ``event`` are for clients of the same group that are no WebSockets.
KNOWN_KEYS = frozenset(
    ("text", "bytes", "close", "accept", "subprotocol", "id", "event", "consumed", "lost")
)


class IllegalReply(ValueError):
    """What the application sent to a reply channel cannot be sent; it is dropped and logged."""


def check_keys(message: Message) -> None:
    """A message with a key that means nothing here is a mistake.

    Raises: IllegalReply: It has one.
    """
    if not message.keys() <= KNOWN_KEYS:
        unknown = ", ".join(sorted(map(repr, message.keys() - KNOWN_KEYS)))
        raise IllegalReply(f"a WebSocket reply has no {unknown}")


def check_order(order: Any) -> None:
    """What says which message was lost must be an order number.

    Raises: IllegalReply: It is none.
    """
    if type(order) is not int or order < 0:
        raise IllegalReply(f"'lost' must be the order of a message, not {order!r:.40}")


def encode_reply(message: Message) -> bytes:
    """The frame for a reply's content; empty if it has none.

    Raises: IllegalReply: It has two, or one not of the type that its key says.
    """
    text: Any = message.get("text")
    data: Any = message.get("bytes")
    if text and data:
        raise IllegalReply("a WebSocket reply may have text or bytes, not both")
    if data or (data is not None and text is None):
        if not isinstance(data, bytes | bytearray | memoryview):
            raise IllegalReply(f"'bytes' must be bytes, not {type(data).__name__}")
        return encode_frame(BINARY, bytes(data))
    if text is None:
        return b""
    if not isinstance(text, str):
        raise IllegalReply(f"'text' must be str, not {type(text).__name__}")
    try:
        return encode_frame(TEXT, text.encode())
    except UnicodeEncodeError as error:
        raise IllegalReply(f"'text' is not Unicode: {error}") from None
