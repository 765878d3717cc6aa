"""What every channel layer offers, and what it asks of those who read from it.

A layer carries messages (dicts) by name and never looks inside one. It has two
faces: `BlockingLayer` for any thread but the reactor's, and `ReactorLayer` for the
reactor's thread, whose calls return at once.

Source: ASGI draft version 1 ("channel layers"); `docs/architecture.md` for what is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal

from zope.interface import Attribute, Interface

__all__ = [
    "CHANNEL",
    "GROUP",
    "Deliver",
    "IBlockingLayer",
    "IInbox",
    "IReactorLayer",
    "ISubscription",
    "Message",
    "Send",
    "Targets",
]

#: A message as the layer sees it: text keys, values of the types that ASGI names.
Message = dict[str, Any]

#: The two kinds of `Send`.
CHANNEL: Literal["channel"] = "channel"
GROUP: Literal["group"] = "group"

#: One send of a batch: its kind, the channel's or group's name, the message.
Send = tuple[Literal["channel", "group"], str, Message]

#: Called with a channel's name and a message that was taken from it.
Deliver = Callable[[str, Message], None]

#: The channels of one delivery: a name, or the members of a group.
Targets = str | Sequence[str]


class ISubscription(Interface):
    """A reader of some channels that is sent only what it has asked for."""

    def request(count: int) -> None:
        """Allow *count* more messages; those that wait are delivered in this call.

        Not to be called by *deliver* itself, which runs with the layer's lock held.

        Thread: any.
        """

    def cancel() -> int:
        """Take no more messages, for good.

        Returns: How many allowed messages had not been delivered.
        Thread: any.
        """


class IInbox(Interface):
    """The process-local channels that one owner in the reactor's thread reads.

    Messages to any channel ``prefix!local`` of the owner cross to the reactor in
    batches, one wake-up a batch.
    """

    prefix = Attribute("The common start of the channels, up to and including the ``!``.")

    def open(local: str) -> str:
        """Own one more channel; returns its full name. Thread: the reactor's."""

    def close(channel: str) -> None:
        """Own *channel* no more: it leaves its groups, sends to it find nobody.

        Thread: the reactor's.
        """

    def leave_groups(channel: str) -> None:
        """End the memberships of *channel*, which stays owned. Thread: the reactor's."""

    def pause(channel: str) -> None:
        """Refuse sends to *channel* as full until `resume`. Thread: the reactor's."""

    def resume(channel: str) -> None:
        """Take sends to *channel* again. Thread: the reactor's."""


class IReactorLayer(Interface):
    """The face for the reactor's thread: nothing here blocks."""

    def start() -> None:
        """Begin: called once, before anything reads the layer or the reactor runs.

        Raises: ConfigurationError: The layer can never work so.
        """

    def stop() -> Any:
        """End: called once, when nobody sends or reads any more. A Deferred, or None."""

    def is_here(channel: str) -> bool:
        """Whether a message that is sent to *channel* now stays in this process."""

    def can_answer(prefix: str) -> bool:
        """Whether what other hosts send to the inbox *prefix* comes here now, as far as is known.

        A layer that lacks this is taken to say yes.
        """

    def drain() -> None:
        """Take no more messages from other hosts; what is here already is still delivered."""

    def when_gap(callback: Callable[[float, float], None]) -> None:
        """Call *callback* each time after the layer's server has come back.

        It is called in the reactor's thread, with the wall-clock times (seconds since the
        epoch) from when to when messages of other hosts may have been missed.
        """

    def send(channel: str, message: Message) -> None:
        """Hand *message* over; the caller gives it up.

        Raises: ChannelFull: Nothing was sent. LayerUnavailable: Nothing was sent.
        """

    def offer(channel: str, message: Message) -> bool:
        """As `send`, but False, and not counted as dropped, when there is no room now.

        For a sender that tries again, at `when_room`.
        """

    def is_wanted(channel: str) -> bool:
        """Whether anybody subscribes to *channel* now."""

    def when_room(channel: str, callback: Callable[[], None]) -> None:
        """Call *callback* once, in the reactor's thread, when *channel* has room again."""

    def when_expired(callback: Callable[[str, Message], None]) -> None:
        """Call *callback*, in the reactor's thread, with each message that expires unread."""

    def new_channel(pattern: str) -> str:
        """A name for a single-reader channel that nobody else has; *pattern* ends in ``?``."""

    def drop_channel(channel: str) -> None:
        """Forget what waits in *channel*, counted as dropped; readers go on reading.

        Its `when_room` callbacks are called.
        """

    def subscribe(channels: Collection[str], deliver: Deliver) -> ISubscription:
        """Read *channels*. *deliver* runs in the thread of whoever sends, and must not block."""

    def receive_twisted(channels: Sequence[str]) -> Any:
        """A Deferred of ``(channel, message)``; of ``(None, None)`` after a timeout.

        Cancelling it loses nothing: a message that is on its way is the result after all.
        """

    def open_inbox(prefix: str, deliver: Callable[[list[tuple[Targets, Message]]], None]) -> IInbox:
        """Own ``prefix!...``; *deliver* runs in the reactor's thread with each batch."""


class IBlockingLayer(Interface):
    """The face for every other thread: ASGI version 1 to the letter, and `send_many`."""

    extensions = Attribute("The optional parts of ASGI that the layer has: a list of str.")
    group_expiry = Attribute("Seconds after which the membership of an unowned channel lapses.")
    ChannelFull = Attribute("The class of `txchannels.errors.ChannelFull`.")
    MessageTooLarge = Attribute("The class of `txchannels.errors.MessageTooLarge`.")

    def send(channel: str, message: Message, *, wait: float = 0.0) -> bool:
        """Send a copy of *message*; wait up to *wait* seconds for room.

        Returns: False when the channel's owner is known to be gone.
        Raises: ChannelFull, MessageTooLarge; TypeError for a bad name or message.
        """

    def send_many(sends: Iterable[Send], *, wait: float = 0.0) -> Sequence[tuple[Send, Exception]]:
        """Send all in order, in one round trip; the caller gives the messages up (no copy).

        *wait* is the time for all of them together.

        Returns: Those that failed, each with its LayerError (`ChannelFull`, `ChannelClosed`).
        """

    def receive(
        channels: Sequence[str], block: bool = False, timeout: float | None = None
    ) -> tuple[str, Message] | tuple[None, None]:
        """Take one message from any of *channels*; ``(None, None)`` when there is none.

        With *block*, waits up to *timeout* seconds (5 when None).
        """

    def new_channel(pattern: str) -> str:
        """A name for a single-reader channel that nobody else has; *pattern* ends in ``?``."""

    def group_add(group: str, channel: str) -> None:
        """Make *channel* a member of *group*; again is harmless and renews it."""

    def group_discard(group: str, channel: str) -> None:
        """End the membership, if there is one."""

    def group_channels(group: str) -> list[str]:
        """The members of *group* now."""

    def send_group(group: str, message: Message) -> int:
        """Send a copy to every member that has room; returns how many had none.

        Raises: MessageTooLarge, TypeError, as `send`; never ChannelFull.
        """

    def flush() -> None:
        """Forget every message and every group."""

    def global_statistics() -> dict[str, float]:
        """Statistics over all channels, with the keys that ASGI names."""

    def channel_statistics(channel: str) -> dict[str, float]:
        """Statistics of one channel, with the keys that ASGI names."""
