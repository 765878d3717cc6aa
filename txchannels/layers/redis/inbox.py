"""A hub's inbox whose pauses are known to the senders of other hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from txchannels.errors import LayerUnavailable
from txchannels.layers.inbox import Inbox
from txchannels.layers.redis import operations

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.layers.redis.hub import JoinedHub
    from txchannels.layers.redis.operations import Operation

__all__ = ["JoinedInbox"]


class JoinedInbox(Inbox):
    """See `IInbox`; only channels that hear from other hosts tell these of their pauses."""

    def __init__(self, hub: JoinedHub, prefix: str, **more: Any) -> None:
        super().__init__(hub, prefix, **more)
        self._joined = hub
        self._is_known_paused: set[str] = set()
        self._has_visitors: set[str] = set()
        self._keep_ms = 2 * hub.config.expiry_ms

    def accept(self, channel: str, message: Message) -> bool:
        is_open = super().accept(channel, message)
        if is_open and channel not in self._has_visitors:
            self._has_visitors.add(channel)
            if channel in self._paused:
                self._tell_paused(channel)
        return is_open

    def pause(self, channel: str) -> None:
        super().pause(channel)
        if channel in self._has_visitors:
            self._tell_paused(channel)

    def resume(self, channel: str) -> None:
        super().resume(channel)
        self._tell_resumed(channel)

    def close(self, channel: str) -> None:
        super().close(channel)
        if channel in self._has_visitors:
            self._has_visitors.discard(channel)
            self._tell_resumed(channel)

    def _tell_paused(self, channel: str) -> None:
        self._is_known_paused.add(channel)
        self._tell(operations.pause(self.prefix, channel, self._keep_ms))

    def _tell_resumed(self, channel: str) -> None:
        if channel in self._is_known_paused:
            self._is_known_paused.discard(channel)
            self._tell(operations.resume(self.prefix, channel))

    def _tell(self, operation: Operation) -> None:
        try:
            self._joined.routes.to_inbox(self.prefix).submit(operation)
        except LayerUnavailable:
            pass

    def registrations(self) -> Iterator[Operation]:
        """What the senders of other hosts are to know: what is paused, and nothing else is."""
        yield operations.resume_all(self.prefix)
        for channel in list(self._is_known_paused):
            yield operations.pause(self.prefix, channel, self._keep_ms)
