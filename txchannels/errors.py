"""Every error of txchannels, grouped by who must hear of it.

- `PeerError`: the client broke a rule; it is answered, the operator's counter goes up.
- `LayerError`: the bus could not take a message; the sender decides what to do.
- `ConfigurationError`: the operator must change a setting; the daemon does not start.
"""

from __future__ import annotations

__all__ = [
    "ChannelClosed",
    "ChannelFull",
    "ConfigurationError",
    "LayerError",
    "LayerUnavailable",
    "MessageTooLarge",
    "PeerError",
    "TxchannelsError",
    "Unanswered",
]


class TxchannelsError(Exception):
    """The root of the tree."""


class PeerError(TxchannelsError):
    """What a client sent is not legal, or more than is allowed.

    Args:
        reason: One line for the client and the log; says which rule was broken.
        status: The HTTP status that answers it.
        close_code: The WebSocket close code that answers it (RFC 6455, section 7.4.1).
    """

    def __init__(self, reason: str, *, status: int = 400, close_code: int = 1002) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.close_code = close_code


class LayerError(TxchannelsError):
    """A channel layer could not do what it was asked."""


class ChannelFull(LayerError):
    """The channel holds as many messages as its capacity allows; this one was not taken."""


class ChannelClosed(LayerError):
    """The channel's owner (a request, a socket) is gone; nobody will ever read the message."""


class MessageTooLarge(LayerError):
    """The message is larger than the layer carries."""


class LayerUnavailable(LayerError):
    """The layer's server cannot be reached now."""


class Unanswered(LayerUnavailable):
    """The layer's server was lost before it answered: it may have done what was asked, or not."""


class ConfigurationError(TxchannelsError):
    """A setting cannot work.

    Args:
        setting: Its name, as the operator writes it (``--port``, ``TXCHANNELS['THREADS']``).
        value: What it was set to; not shown when None.
        remedy: What is allowed, or what to do.
    """

    def __init__(self, setting: str, value: object, remedy: str) -> None:
        shown = "" if value is None else f" {value!r}"
        super().__init__(f"{setting}{shown}: {remedy}")
        self.setting = setting
        self.value = value
        self.remedy = remedy
