"""What groups have sent to a response that has not begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message

__all__ = ["Held"]

#: In bytes, what a message takes beside its texts.
_MESSAGE_BYTES = 64


class Held:
    """The first messages, up to *limit* bytes.

    Attributes:
        messages: In their order.
        is_overfull: Whether any more have come.
    """

    __slots__ = ("_left", "is_overfull", "messages")

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.messages: list[Message] = []
        self.is_overfull = False

    def add(self, message: Message) -> bool:
        """Hold *message*; False if there is no room for it."""
        texts = [one for one in message.values() if isinstance(one, str | bytes)]
        self._left -= _MESSAGE_BYTES + sum(map(len, texts))
        if self._left < 0:
            self.is_overfull = True
        else:
            self.messages.append(message)
        return not self.is_overfull
