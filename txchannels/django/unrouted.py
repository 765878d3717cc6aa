"""What happens to the messages of sockets that the site routes nowhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from txchannels.django.message import Message

__all__ = ["MAX_PATH_LETTERS", "Ignore", "accept"]

logger = logging.getLogger("django.channels")

#: How much of a path is logged: clients choose it.
MAX_PATH_LETTERS = 200


def accept(message: Message) -> None:
    """The consumer of handshakes that no route takes."""
    if message.reply_channel is not None:
        message.reply_channel.send({"accept": True})


class Ignore:
    """The consumer of all else that no route takes.

    A frame at a path that no route of the site wants is most often a mistake in the
    routing. It is said once a process, however many come: clients must not fill the log.

    Args:
        match: Finds the consumer and arguments for a message, as of `Router`.
    """

    def __init__(self, match: Callable[[Message], tuple[Any, Any] | None]) -> None:
        self._match = match
        self._told = threading.Lock()  # taken once, by the thread that tells

    def __call__(self, message: Message) -> None:
        if message.channel_name != "websocket.receive" or self._told.locked():
            return
        if self._is_connected(message) or not self._told.acquire(blocking=False):
            return
        logger.warning(
            "No route takes websocket.receive at the path %.*r: what this socket sends is "
            "ignored. Check your routing; this is said once in each process",
            MAX_PATH_LETTERS,
            message.get("path"),
        )

    def _is_connected(self, message: Message) -> bool:
        """Whether the site has a consumer for sockets there, and no more than that."""
        connect = Message(message.content, "websocket.connect", message.channel_layer)
        found = self._match(connect)
        return found is not None and found[0] is not accept
