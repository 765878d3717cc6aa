"""What consumers and views raise to say something to the dispatcher.

Source: Channels 1, ``channels.exceptions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txchannels.django.message import Message

__all__ = [
    "ChannelSocketException",
    "ConsumeLater",
    "DenyConnection",
    "RequestAborted",
    "RequestTimeout",
    "ResponseLater",
    "SendNotAvailableOnDemultiplexer",
    "WebsocketCloseException",
]


class ConsumeLater(Exception):
    """The consumer cannot handle the message yet; it is put back on its channel."""


class ResponseLater(Exception):
    """The view will not answer; something else will, on the request's reply channel."""


class RequestTimeout(OSError):
    """The client sent its request's body too slowly; it is answered 408."""


class RequestAborted(OSError):
    """The client went away while its request's body was being read; nobody is answered."""


class SendNotAvailableOnDemultiplexer(Exception):
    """What is sent on a multiplexed socket needs a stream: it goes through the multiplexer."""


class ChannelSocketException(Exception):
    """A consumer ends by doing something to the socket its message came from."""

    def run(self, message: Message) -> None:
        """Do it. Thread: the consumer's."""
        raise NotImplementedError(f"{type(self).__name__} must define run(message)")


class DenyConnection(ChannelSocketException):
    """Raised on ``websocket.connect``: the handshake is answered 403."""

    def run(self, message: Message) -> None:
        if message.channel_name != "websocket.connect":
            raise ValueError("You cannot DenyConnection from a non-websocket.connect handler.")
        if message.reply_channel is None:
            raise ValueError("A message without a reply channel has no connection to deny.")
        message.reply_channel.send({"close": True})


class WebsocketCloseException(ChannelSocketException):
    """Close the socket that the message came from.

    Args:
        code: The close code: 1000, or 3000 to 4999; 1000 when None.
    """

    def __init__(self, code: int | None = None) -> None:
        if code is not None and not _is_close_code(code):
            raise ValueError(f"Invalid close code {code!r}: must be 1000 or between 3000 and 4999.")
        super().__init__(code)
        self.code = code

    def run(self, message: Message) -> None:
        if message.reply_channel is None:
            raise ValueError("A message without a reply channel has no socket to close.")
        message.reply_channel.send({"close": self.code or True})


def _is_close_code(code: object) -> bool:
    if not isinstance(code, int) or isinstance(code, bool):
        return False
    return code == 1000 or 3000 <= code <= 4999
