"""What came of one send, at each of the servers that it goes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from txchannels.errors import LayerError, LayerUnavailable, Unanswered

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Send

__all__ = ["Outcome"]


class Outcome:
    """See the module.

    Args:
        send: What is sent.
        servers: Where: one for a channel, all for a group, none where any one will do.

    Attributes:
        errors: What those say that have not taken it; at most one each.
    """

    __slots__ = ("errors", "send", "servers")

    def __init__(self, send: Send, servers: Sequence[Any]) -> None:
        self.send = send
        self.servers = servers
        self.errors: list[LayerError] = []

    def failure(self) -> LayerError:
        """What the sender is told of *errors*, of which there is one at least.

        `Unanswered` where some server has taken it, or may have: sent again, it would come to
        some members twice.
        """
        first = self.errors[0]
        for error in self.errors:
            if isinstance(error, Unanswered):
                return error
        if len(self.errors) < len(self.servers) and isinstance(first, LayerUnavailable):
            return Unanswered(f"{first}; the members on other servers have got it")
        return first
