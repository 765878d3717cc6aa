"""The hub's face for every thread but the reactor's: ASGI version 1, and `send_many`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

from zope.interface import implementer

from txchannels.errors import ChannelClosed, ChannelFull, LayerError, MessageTooLarge
from txchannels.layers.interfaces import GROUP, IBlockingLayer, Message, Send
from txchannels.layers.names import check_channel, check_channels, check_group
from txchannels.messages import copy_message

if TYPE_CHECKING:
    from txchannels.layers.hub import Hub

__all__ = ["HubBlocking"]

RECEIVE_SECONDS = 5.0


@implementer(IBlockingLayer)
class HubBlocking:
    """See `IBlockingLayer`."""

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(self, hub: Hub, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self.extensions = ["groups", "flush", "statistics"]
        self.group_expiry = hub.group_expiry
        self.flush = hub.flush
        self.new_channel = hub.new_channel

    def send(self, channel: str, message: Message, *, wait: float = 0.0) -> bool:
        try:
            self._send(check_channel(channel), copy_message(message), self._clock() + wait)
        except ChannelClosed:
            return False
        return True

    def send_many(
        self, sends: Iterable[Send], *, wait: float = 0.0
    ) -> list[tuple[Send, LayerError]]:
        failed: list[tuple[Send, LayerError]] = []
        until = 0.0
        for send in sends:
            kind, name, message = send
            if kind == GROUP:
                self._hub.send_group(name, message)
                continue
            try:
                if not self._hub.offer(name, message):
                    until = until or self._clock() + wait
                    self._send(name, message, until)
            except LayerError as error:
                failed.append((send, error))
        return failed

    def _send(self, channel: str, message: Message, until: float) -> None:
        offer = self._hub.offer
        while not offer(channel, message):
            left = until - self._clock()
            if left <= 0:
                self._hub.book_full(channel)
                raise ChannelFull(f"Channel {channel} is full")
            room = Event()
            tell = room.set
            self._hub.when_room(channel, tell)
            if not room.wait(left):
                self._hub.forget_room(channel, tell)

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        names = check_channels(channels)
        taken = self._hub.take(names)
        if taken is None and block:
            taken = self._receive_later(names, RECEIVE_SECONDS if timeout is None else timeout)
        return taken or (None, None)

    def _receive_later(self, names: list[str], timeout: float) -> tuple[str, Message] | None:
        handed: SimpleQueue[tuple[str, Message]] = SimpleQueue()
        subscription = self._hub.subscribe(
            names, lambda channel, message: handed.put((channel, message))
        )
        subscription.request(1)
        try:
            return handed.get(timeout=max(0.0, timeout))
        except Empty:
            return None if subscription.cancel() else handed.get()
        finally:
            subscription.cancel()

    def group_add(self, group: str, channel: str) -> None:
        self._hub.group_add(check_group(group), check_channel(channel))

    def group_discard(self, group: str, channel: str) -> None:
        self._hub.group_discard(check_group(group), check_channel(channel))

    def group_channels(self, group: str) -> list[str]:
        return self._hub.group_channels(check_group(group))

    def send_group(self, group: str, message: Message) -> int:
        return self._hub.send_group(check_group(group), copy_message(message))

    def global_statistics(self) -> dict[str, float]:
        return self._hub.statistics()

    def channel_statistics(self, channel: str) -> dict[str, float]:
        return self._hub.statistics(check_channel(channel))
