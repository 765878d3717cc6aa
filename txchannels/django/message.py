"""One message as a consumer sees it, and the sends that wait until the consumer ends.

Source: Channels 1, ``channels.message``.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, Literal

from txchannels.django.unsent import unsent
from txchannels.errors import ChannelClosed, LayerUnavailable

if TYPE_CHECKING:
    from txchannels.django.channel import Channel
    from txchannels.layers.interfaces import Send

__all__ = ["Message", "PendingMessageStore", "pending_message_store"]

logger = logging.getLogger("django.channels")

#: Seconds for which a full channel is waited for when a consumer's sends go out.
PENDING_WAIT_SECONDS = 2.0


class Message:
    """A message's content, where it came from and where replies go.

    Args:
        content: The message itself.
        channel_name: The channel it was read from.
        channel_layer: The layer it was read from, as `channel_layers` gives it.
    """

    __slots__ = (
        "__dict__",
        "_channel",
        "_reply_channel",
        "channel_layer",
        "channel_name",
        "content",
    )

    # Set by the decorators of `sessions` and `auth`, and only by them.
    channel_session: Any
    http_session: Any
    user: Any

    #: True when the next `ConsumeLater` would drop the message.
    __doomed__ = False

    def __init__(self, content: dict[str, Any], channel_name: str, channel_layer: Any) -> None:
        self.content = content
        self.channel_name = channel_name
        self.channel_layer = channel_layer
        self._channel: Channel | None = None
        self._reply_channel: Channel | None = None

    @property
    def channel(self) -> Channel:
        """The channel that the message was read from."""
        if self._channel is None:
            self._channel = self._make_channel(self.channel_name)
        return self._channel

    @property
    def reply_channel(self) -> Channel | None:
        """The channel of the request or socket that the message is about, if it is about one."""
        if self._reply_channel is None:
            name = self.content.get("reply_channel")
            if name:
                self._reply_channel = self._make_channel(name)
        return self._reply_channel

    @reply_channel.setter
    def reply_channel(self, channel: Channel | None) -> None:
        self._reply_channel = channel

    def _make_channel(self, name: str) -> Channel:
        from txchannels.django.channel import Channel

        return Channel(name, channel_layer=self.channel_layer)

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self.content

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def keys(self) -> KeysView[str]:
        return self.content.keys()

    def values(self) -> ValuesView[Any]:
        return self.content.values()

    def items(self) -> ItemsView[str, Any]:
        return self.content.items()

    def get(self, key: str, default: Any = None) -> Any:
        return self.content.get(key, default)

    def copy(self) -> Message:
        """A copy whose content can be changed without changing this one's."""
        return type(self)(copy.deepcopy(self.content), self.channel_name, self.channel_layer)


class PendingMessageStore(threading.local):
    """The sends that this thread's consumer has made and that have not gone out yet.

    Between `prepare` and `send_all` the store is active; `Channel.send` and
    `Group.send` then append to it instead of sending.
    """

    def __init__(self) -> None:
        self._sends: list[tuple[Any, Send]] = []
        self._calls: list[Callable[[], Any]] = []
        self._active = False

    @property
    def active(self) -> bool:
        return self._active

    def prepare(self) -> None:
        """Start to hold back this thread's sends."""
        self._sends = []
        self._calls = []
        self._active = True

    def append(
        self,
        channel_layer: Any,
        kind: Literal["channel", "group"],
        name: str,
        content: dict[str, Any],
    ) -> None:
        """Hold a send back; *content* belongs to the store from now on."""
        self._sends.append((channel_layer, (kind, name, content)))

    def put_first(
        self,
        channel_layer: Any,
        kind: Literal["channel", "group"],
        name: str,
        content: dict[str, Any],
    ) -> None:
        """Hold a send back that is to go out before all that wait already."""
        self._sends.insert(0, (channel_layer, (kind, name, content)))

    def call_afterwards(self, call: Callable[[], Any]) -> None:
        """Call *call* as soon as nothing is held back any more: at once, or in `send_all`.

        What it raises there is logged, and one of the errors that `send_all` returns.
        """
        if self._active:
            self._calls.append(call)
        else:
            call()

    def send_all(self, last: tuple[Any, Send] | None = None) -> list[Exception]:
        """Send what was held back, in order, one batch a layer; *last* goes at the end.

        What was to follow the sends comes before *last*, which says that all is done.
        What finds its channel full for two seconds is logged and given up; the rest
        goes out all the same.

        Returns: What went wrong; not that a client is gone. Whoever runs a consumer to
            test it shows this.
        """
        sends, self._sends = self._sends, []
        calls, self._calls = self._calls, []
        self._active = False
        errors: list[Exception] = []
        if last is not None and not calls:
            sends.append(last)
        while sends:
            layer = sends[0][0]
            batch = [send for its_layer, send in sends if its_layer is layer]
            sends = [entry for entry in sends if entry[0] is not layer]
            errors += _send(layer, batch)
        try:
            for call in calls:
                try:
                    call()
                except Exception as error:
                    logger.exception("What was to follow a consumer's sends failed:")
                    errors.append(error)
        finally:
            # Also after what is no `Exception`: whoever waits for *last* would wait for long.
            if last is not None and calls:
                errors += _send(last[0], [last[1]])
        return errors


def _send(layer: Any, batch: list[Send]) -> list[Exception]:
    """Send *batch*; returns why what was lost of it was lost."""
    try:
        failed = layer.send_many(batch, wait=PENDING_WAIT_SECONDS)
    except Exception as error:
        logger.exception("Failed to send %d queued messages on %s", len(batch), layer)
        return [error]
    lost: list[Exception] = []
    for (_, name, _), reason in failed:
        if isinstance(reason, ChannelClosed):
            continue
        lost.append(reason)
        if isinstance(reason, LayerUnavailable):
            unsent.note(name, reason)
        else:
            logger.error("Failed to send queued message to channel %r: %r", name, reason)
    return lost


pending_message_store = PendingMessageStore()
