"""A WebSocket whose frames are JSON, in and out."""

from __future__ import annotations

import json
from typing import Any

from txchannels.django.generic.websockets.consumer import WebsocketConsumer
from txchannels.django.generic.websockets.frames import (
    INCONSISTENT_DATA,
    UNACCEPTABLE_TYPE,
    BadFrame,
    parse_json,
)
from txchannels.django.message import Message

__all__ = ["JsonWebsocketConsumer"]


class JsonWebsocketConsumer(WebsocketConsumer):
    """Override `receive`, which is given what the JSON says; `send` takes the same.

    `decode_json` and `encode_json` may be overridden, to speak another JSON.
    """

    #: How deep the lists and objects of a client may be nested.
    max_json_depth: int = 64

    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Take a frame's content: any value that JSON has."""

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Decode the frame, and hand its content to `receive`.

        Raises: BadFrame: It is binary, or no JSON.
        """
        self.receive(self._decode(message), **kwargs)

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send *content* to the client, as JSON.

        Args:
            close: Close the socket after it; a number is the close code.

        Raises:
            TypeError, ValueError: JSON cannot say it.
            SendNotAvailableOnDemultiplexer: As of `WebsocketConsumer.send`.
        """
        super().send(text=self.encode_json(content), close=close)

    @classmethod
    def group_send(  # type: ignore[override]
        cls, name: str, content: Any, close: bool | int = False
    ) -> None:
        """Send *content* to all sockets of the group *name*, as JSON, on the default layer.

        Raises: TypeError, ValueError: JSON cannot say it.
        """
        super().group_send(name, text=cls.encode_json(content), close=close)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        """What *text* says.

        Raises: ValueError: Nothing; the client's socket is closed with 1007.
        """
        return parse_json(text, cls.max_json_depth)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """The text that says *content*.

        Raises: TypeError, ValueError: There is none.
        """
        return json.dumps(content, allow_nan=False)

    def _decode(self, message: Message) -> Any:
        text = message.get("text")
        if text is None:
            raise BadFrame(UNACCEPTABLE_TYPE, "is binary, and should be JSON")
        try:
            return self.decode_json(text)
        except BadFrame:
            raise
        except RecursionError:
            raise BadFrame(INCONSISTENT_DATA, "is JSON nested much too deep") from None
        except ValueError as error:
            raise BadFrame(INCONSISTENT_DATA, f"is no JSON: {str(error)!r:.200}") from error
