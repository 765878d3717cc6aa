"""Stand-ins for the rooms next door, which record what they are asked."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

from txchannels.errors import ChannelFull, LayerError, MessageTooLarge
from txchannels.layers.interfaces import GROUP, Message, Send


class RecordingLayer:
    """A blocking layer that keeps messages, in order, and never waits.

    `full` names the channels that have no room; `batches` are the calls of `send_many`.
    """

    extensions = ("groups", "flush")
    group_expiry = 86400.0
    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(self) -> None:
        self.full: set[str] = set()
        self.waiting: defaultdict[str, deque[Message]] = defaultdict(deque)
        self.groups: defaultdict[str, list[str]] = defaultdict(list)
        self.sent_to_groups: list[tuple[str, Message]] = []
        self.batches: list[list[Send]] = []

    def send(self, channel: str, message: Message, *, wait: float = 0.0) -> bool:
        if channel in self.full:
            raise ChannelFull(channel)
        self.waiting[channel].append(dict(message))
        return True

    def send_many(
        self, sends: Iterable[Send], *, wait: float = 0.0
    ) -> list[tuple[Send, Exception]]:
        self.batches.append(list(sends))
        failed: list[tuple[Send, Exception]] = []
        for send in self.batches[-1]:
            kind, name, message = send
            try:
                if kind == GROUP:
                    self.send_group(name, message)
                else:
                    self.send(name, message)
            except LayerError as error:
                failed.append((send, error))
        return failed

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        for channel in channels:
            if self.waiting[channel]:
                return channel, self.waiting[channel].popleft()
        return None, None

    def send_group(self, group: str, message: Message) -> int:
        self.sent_to_groups.append((group, message))
        return 0

    def group_add(self, group: str, channel: str) -> None:
        self.groups[group].append(channel)

    def group_discard(self, group: str, channel: str) -> None:
        if channel in self.groups[group]:
            self.groups[group].remove(channel)

    def on(self, channel: str) -> list[Any]:
        """The messages that wait in *channel*."""
        return list(self.waiting[channel])
