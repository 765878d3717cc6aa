"""A batch from the layer to the connections that it is for.

A group's message is framed once and written straight to each socket, and encoded once for
all event streams. Messages in a row to the same members go out as one piece, so that each
of them costs one write a batch. What one connection cannot take is logged, and harms no other.

Thread: the reactor's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txchannels.protocols.eventstream import Event, encode_events, read_event
from txchannels.protocols.exchange import Exchange
from txchannels.protocols.replies import IllegalReply, encode_reply
from txchannels.protocols.websocket import Socket

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message, Targets

__all__ = ["deliver"]

log = Logger()

_PLAIN_KEYS = frozenset(("text", "bytes", "id", "event"))
_CONSUMED_KEYS = frozenset(("consumed",))

#: Frames of one group are joined up to this size; a client may not read, and each keeps a copy.
_PIECE_BYTES = 65_536


def deliver(targets: Mapping[str, Any], batch: Sequence[tuple[Targets, Message]]) -> None:
    """Hand each message of *batch* to the target of its channel, or of each of its channels."""
    members: Sequence[str] = ()
    run: list[Message] = []
    for channels, message in batch:
        if type(channels) is str:
            if run and message.keys() != _CONSUMED_KEYS:  # which writes nothing: order is kept
                _deliver_run(targets, members, run)
                run = []
            target = targets.get(channels)
            if target is not None:
                try:
                    target.message_received(message)
                except Exception as error:
                    _log(error, channels)
            continue
        if run and channels is not members:
            _deliver_run(targets, members, run)
            run = []
        members = channels
        if message.keys() <= _PLAIN_KEYS:
            run.append(message)
            continue
        if run:
            _deliver_run(targets, members, run)
            run = []
        _deliver_each(targets, members, message)
    if run:
        _deliver_run(targets, members, run)


def _deliver_run(targets: Mapping[str, Any], members: Sequence[str], run: list[Message]) -> None:
    """Deliver messages that are content alone, as few pieces."""
    frames: list[bytes] = []
    messages: list[Message] = []
    size = 0
    for message in run:
        try:
            frame = encode_reply(message)
        except IllegalReply as error:
            _log(error, f"{len(members)} members of a group")
            continue
        if not frame and "id" not in message:
            continue
        if size and size + len(frame) > _PIECE_BYTES:
            _deliver_piece(targets, members, b"".join(frames), messages)
            frames, messages, size = [], [], 0
        frames.append(frame)
        messages.append(message)
        size += len(frame)
    if frames:
        piece = frames[0] if len(frames) == 1 else b"".join(frames)
        _deliver_piece(targets, members, piece, messages)


class _Events:
    """The messages of a piece as events; read when the first event stream or poll needs them."""

    __slots__ = ("events", "lines")

    def __init__(self, messages: list[Message], count: int) -> None:
        self.events: list[Event] = []
        for message in messages:
            try:
                self.events.append(read_event(message))
            except IllegalReply as error:
                _log(error, f"the event streams among {count} members of a group")
        self.lines = encode_events(self.events)


def _deliver_piece(
    targets: Mapping[str, Any], members: Sequence[str], frames: bytes, messages: list[Message]
) -> None:
    get = targets.get
    read: _Events | None = None
    is_logged = False
    for channel in members:
        target = get(channel)
        if target is None:
            continue
        try:
            if target.__class__ is Socket:
                if frames:
                    target.push_to_member(frames)
            elif target.__class__ is Exchange:
                if read is None:
                    read = _Events(messages, len(members))
                target.push_to_member(messages, read.events, read.lines)
            else:
                for message in messages:
                    target.message_received(message)
        except Exception as error:
            if not (is_logged and isinstance(error, IllegalReply)):
                _log(error, channel)
            is_logged = True


def _deliver_each(targets: Mapping[str, Any], members: Sequence[str], message: Message) -> None:
    """Deliver a message that is more than content; a mistake in it is logged once."""
    is_logged = False
    for channel in members:
        target = targets.get(channel)
        if target is None:
            continue
        try:
            if target.__class__ is Socket or target.__class__ is Exchange:
                target.group_message_received(message)
            else:
                target.message_received(message)
        except Exception as error:
            if not (is_logged and isinstance(error, IllegalReply)):
                _log(error, channel)
            is_logged = True


def _log(error: Exception, where: str) -> None:
    if isinstance(error, IllegalReply):
        log.error("Dropped a message to {where}: {error}", where=where, error=error)
    else:
        log.failure("A message to {where} could not be sent", where=where)
