"""Channel layers of others, written for ASGI draft version 1, as `IBlockingLayer`.

They have neither ``send_many`` nor ``wait``, raise exceptions of their own, and may
return from a blocking ``receive`` before anything has come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zope.interface import implementer

from txchannels.errors import ChannelFull, LayerError, MessageTooLarge
from txchannels.layers.interfaces import GROUP, IBlockingLayer, Message, Send
from txchannels.messages import copy_message

__all__ = ["LegacyLayer"]

RETRY_SECONDS = 0.05
POLL_SECONDS = 0.01
RECEIVE_SECONDS = 5.0


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


@implementer(IBlockingLayer)
class LegacyLayer:
    """One such layer; what is not here is the layer's own.

    Args:
        layer: The layer, as its package makes it.
        clock: Seconds that never go back.
        pause: Waits for some seconds.

    Thread: any but the reactor's.
    """

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(
        self,
        layer: Any,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = _pause,
    ) -> None:
        self._layer = layer
        self._clock = clock
        self._pause = pause
        self._full: type[Exception] = getattr(layer, "ChannelFull", ChannelFull)
        self._too_large: type[Exception] = getattr(layer, "MessageTooLarge", MessageTooLarge)
        self._receive: Callable[..., Any] = getattr(layer, "receive", None) or layer.receive_many

    @property
    def extensions(self) -> list[str]:
        return list(getattr(self._layer, "extensions", ()))

    @property
    def group_expiry(self) -> float:
        return float(getattr(self._layer, "group_expiry", 86400))

    def send(self, channel: str, message: Message, *, wait: float = 0.0) -> bool:
        """Send a copy of *message*; such a layer never knows that the owner is gone."""
        self._send_by(self._clock() + wait, channel, copy_message(message))
        return True

    def send_many(
        self, sends: Iterable[Send], *, wait: float = 0.0
    ) -> list[tuple[Send, Exception]]:
        """Send all in order, one by one; what the layer raises comes back as `LayerError`."""
        deadline = self._clock() + wait
        failed: list[tuple[Send, Exception]] = []
        for send in sends:
            kind, name, message = send
            try:
                if kind == GROUP:
                    self.send_group(name, message)
                else:
                    self._send_by(deadline, name, message)
            except LayerError as error:
                failed.append((send, error))
            except Exception as error:
                # A Redis error, say; the rest must go out all the same.
                wrapped = LayerError(f"{type(error).__name__}: {error}")
                wrapped.__cause__ = error
                failed.append((send, wrapped))
        return failed

    def _send_by(self, deadline: float, channel: str, message: Message) -> None:
        """Try until *deadline*, at least once."""
        while True:
            try:
                self._layer.send(channel, message)
            except self._full as error:
                if self._clock() >= deadline:
                    raise ChannelFull(f"Channel {channel!r} is full") from error
                self._pause(RETRY_SECONDS)
            except self._too_large as error:
                raise MessageTooLarge(str(error)) from error
            else:
                return

    def send_group(self, group: str, message: Message) -> int:
        """Send to every member; such a layer does not tell how many had no room."""
        try:
            self._layer.send_group(group, message)
        except self._full:
            return 1
        except self._too_large as error:
            raise MessageTooLarge(str(error)) from error
        return 0

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        """Take one message; with *block*, ask again until *timeout* is over."""
        if isinstance(channels, str):
            raise TypeError(f"Channels to receive from must be a list, not text: {channels!r}")
        seconds = RECEIVE_SECONDS if timeout is None else timeout
        # Asked to block, these layers do so for up to five seconds, or not at all.
        may_block = block and seconds >= RECEIVE_SECONDS
        deadline = self._clock() + seconds
        while True:
            channel, message = self._receive(list(channels), block=may_block)
            if channel is not None:
                return channel, message
            if not block or self._clock() >= deadline:
                return None, None
            self._pause(POLL_SECONDS)

    def new_channel(self, pattern: str) -> str:
        return str(self._layer.new_channel(pattern))

    def group_add(self, group: str, channel: str) -> None:
        self._layer.group_add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        self._layer.group_discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        return list(self._layer.group_channels(group))

    def flush(self) -> None:
        self._layer.flush()

    def global_statistics(self) -> dict[str, float]:
        return dict(self._layer.global_statistics())

    def channel_statistics(self, channel: str) -> dict[str, float]:
        return dict(self._layer.channel_statistics(channel))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._layer, name)
