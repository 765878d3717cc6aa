"""The blocking face of a daemon's hub in another process: one round trip a call, at most.

What a consumer sends to clients and to groups goes out in one frame that is not waited for,
except now and then, so that who sends much to one client is no faster than this client.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from txchannels.errors import (
    ChannelClosed,
    ChannelFull,
    LayerError,
    LayerUnavailable,
    MessageTooLarge,
)
from txchannels.layers.interfaces import CHANNEL, GROUP, IBlockingLayer, Message, Send
from txchannels.layers.ipc.frames import error_from
from txchannels.layers.ipc.link import ANSWER_SECONDS
from txchannels.layers.names import check_channel, check_channels, check_group
from txchannels.messages import copy_message

if TYPE_CHECKING:
    from txchannels.layers.ipc.link import Link

__all__ = ["IPCBlocking"]

logger = logging.getLogger("txchannels")

RECEIVE_SECONDS = 5.0

#: So much may be on its way to one client before a sender waits until all of it was taken.
MAX_UNAWAITED = 64
MAX_UNAWAITED_BYTES = 131_072

#: How long what nobody waits for may wait for room.
PATIENCE_SECONDS = 5.0

MAX_REMEMBERED = 10_000

#: What is lost is said once in so many seconds.
REPORT_SECONDS = 10.0


@implementer(IBlockingLayer)
class IPCBlocking:
    """See `IBlockingLayer`.

    Args:
        connect: A started link to the daemon. Raises LayerUnavailable.
        group_expiry: As of the daemon's hub, as far as this program is told.
    """

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(self, connect: Callable[[], Link], group_expiry: float) -> None:
        self.extensions = ["groups", "flush", "statistics"]
        self.group_expiry = group_expiry
        self._connect = connect
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._closed: dict[str, None] = {}
        self._unawaited: dict[str, tuple[int, int]] = {}
        self._lost = 0
        self._reported = -REPORT_SECONDS
        self._failed_at = 0.0
        self._failure = ""
        _faces.add(self)

    def forget_link(self) -> None:
        """The connection is the parent's; so may be whoever holds the lock."""
        self._lock = threading.Lock()
        self._link = None
        self._unawaited.clear()

    def link(self) -> Link:
        """The connection; a new one where there is none.

        Raises: LayerUnavailable.
        """
        link = self._link
        if link is not None and link.is_open:
            return link
        asked_at = time.monotonic()
        with self._lock:
            if self._link is None or not self._link.is_open:
                if self._failed_at > asked_at:
                    raise LayerUnavailable(self._failure)  # while this thread waited
                self._link = self._open()
            return self._link

    def _open(self) -> Link:
        try:
            link = self._connect()
        except LayerUnavailable as error:
            self._failed_at, self._failure = time.monotonic(), str(error)
            raise
        link.refused = self._refused
        return link

    # Sending

    def send(self, channel: str, message: Message, *, wait: float = 0.0) -> bool:
        send: Send = (CHANNEL, check_channel(channel), copy_message(message))
        for _, error in self._send([send], wait, is_awaited=True):
            if isinstance(error, ChannelClosed):
                return False
            raise error
        return True

    def send_many(
        self, sends: Iterable[Send], *, wait: float = 0.0
    ) -> list[tuple[Send, LayerError]]:
        failed: list[tuple[Send, LayerError]] = []
        open_sends: list[Send] = []
        is_awaited = False
        for send in sends:
            name = send[1]
            if send[0] == GROUP:
                pass
            elif name in self._closed:
                failed.append((send, ChannelClosed(f"The client behind {name} is gone")))
                continue
            elif "!" not in name or self._is_much(name):
                is_awaited = True
            open_sends.append(send)
        if open_sends:
            failed += self._send(open_sends, wait, is_awaited)
        return failed

    def _is_much(self, channel: str) -> bool:
        """Whether so much is on its way to a client that its sender has to wait."""
        count, size = self._unawaited.get(channel, (0, 0))
        return count >= MAX_UNAWAITED or size >= MAX_UNAWAITED_BYTES

    def _send(
        self, sends: list[Send], wait: float, is_awaited: bool
    ) -> list[tuple[Send, LayerError]]:
        try:
            patience = wait if is_awaited else max(wait, PATIENCE_SECONDS)
            size, failures = self.link().send(sends, patience, is_awaited)
        except LayerError as refusal:
            return [(send, refusal) for send in sends]
        self._note(sends, size, is_awaited)
        failed: list[tuple[Send, LayerError]] = []
        for at, kind, text, _ in failures:
            error = error_from(kind, text)
            if isinstance(error, ChannelClosed):
                self._note_closed(sends[at][1])
            if not isinstance(error, LayerError):
                raise error
            failed.append((sends[at], error))
        return failed

    def _note(self, sends: list[Send], size: int, is_awaited: bool) -> None:
        """Count what is on its way to clients."""
        notes = self._unawaited
        if len(notes) > MAX_REMEMBERED:
            notes.clear()
        for kind, name, _ in sends:
            if kind == GROUP or "!" not in name:
                continue
            if is_awaited:
                notes.pop(name, None)
            else:
                count, before = notes.get(name, (0, 0))
                notes[name] = count + 1, before + size

    def _note_closed(self, channel: str) -> None:
        if "!" in channel:
            if len(self._closed) > MAX_REMEMBERED:
                self._closed.clear()
            self._closed[channel] = None

    def _refused(self, channel: str, kind: str, text: str) -> None:
        """What nobody waited for was not taken. Thread: the link's."""
        if kind == "closed":
            self._note_closed(channel)
            return
        self._lost += 1
        if time.monotonic() - self._reported < REPORT_SECONDS:
            return
        self._reported = time.monotonic()
        logger.warning("A message to %s is lost: %s (%d so far)", channel, text, self._lost)

    # Receiving

    def receive(
        self, channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        names = check_channels(channels)
        seconds = max(0.0, RECEIVE_SECONDS if timeout is None else timeout)
        taken = self.link().call("receive", names, block, seconds, seconds=seconds + ANSWER_SECONDS)
        return (taken[0], taken[1]) if taken else (None, None)

    # The rest

    def new_channel(self, pattern: str) -> str:
        return str(self._call("new_channel", pattern))

    def group_add(self, group: str, channel: str) -> None:
        self._call("group_add", check_group(group), check_channel(channel))

    def group_discard(self, group: str, channel: str) -> None:
        self._call("group_discard", check_group(group), check_channel(channel))

    def group_channels(self, group: str) -> list[str]:
        return list(self._call("group_channels", check_group(group)))

    def send_group(self, group: str, message: Message) -> int:
        return int(self._call("send_group", check_group(group), copy_message(message)))

    def flush(self) -> None:
        self._call("flush")

    def global_statistics(self) -> dict[str, float]:
        return dict(self._call("global_statistics"))

    def channel_statistics(self, channel: str) -> dict[str, float]:
        return dict(self._call("channel_statistics", check_channel(channel)))

    def _call(self, method: str, *arguments: Any) -> Any:
        return self.link().call(method, *arguments)


#: Those of this process.
_faces: weakref.WeakSet[IPCBlocking] = weakref.WeakSet()


def _forget_links() -> None:
    for face in list(_faces):
        face.forget_link()


os.register_at_fork(after_in_child=_forget_links)
