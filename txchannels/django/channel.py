"""Channels and groups as consumers, views and scripts use them: names to send to.

While a consumer runs, its sends wait in `pending_message_store` and go out together
when it ends; everywhere else, and with ``immediately=True``, they go out at once.

Source: Channels 1, ``channels.channel``.
"""

from __future__ import annotations

from typing import Any

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import channel_layers
from txchannels.django.message import pending_message_store
from txchannels.layers.interfaces import CHANNEL, GROUP
from txchannels.layers.names import check_channel, check_group
from txchannels.messages import copy_message

__all__ = ["Channel", "Group"]


class Channel:
    """A channel to send to.

    Args:
        name: Text, or ASCII bytes.
        alias: Which of the site's layers it is on.
        channel_layer: The layer itself, as `channel_layers` gives it; wins over *alias*.

    Raises: TypeError: No channel may have that name.
    """

    __slots__ = ("channel_layer", "name")

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: Any = None,
    ) -> None:
        self.name = check_channel(name.decode("ascii") if isinstance(name, bytes) else name)
        self.channel_layer = channel_layers[alias] if channel_layer is None else channel_layer

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Send a copy of *content*, as it is now.

        Args:
            immediately: Do not wait for the running consumer to end.

        Raises:
            TypeError: It is no dict, or holds what no layer carries.
            MessageTooLarge: It is larger than a layer carries.
            ChannelFull: It was to go out at once, and the channel has no room.
        """
        if not isinstance(content, dict):
            raise TypeError(f"Can only send dicts on a channel, not {type(content).__name__}")
        if immediately or not pending_message_store.active:
            # The layer makes the copy.
            self.channel_layer.send(self.name, content)
        else:
            copied = copy_message(content)
            pending_message_store.append(self.channel_layer, CHANNEL, self.name, copied)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Channel {self.name!r}>"


class Group:
    """Channels that are sent the same messages.

    Args:
        name: Text, or ASCII bytes.
        alias: Which of the site's layers it is on.
        channel_layer: The layer itself, as `channel_layers` gives it; wins over *alias*.

    Raises: TypeError: No group may have that name.
    """

    __slots__ = ("channel_layer", "name")

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: Any = None,
    ) -> None:
        self.name = check_group(name.decode("ascii") if isinstance(name, bytes) else name)
        self.channel_layer = channel_layers[alias] if channel_layer is None else channel_layer

    def add(self, channel: Channel | str | bytes) -> None:
        """Make *channel* a member, at once; again is harmless."""
        self.channel_layer.group_add(self.name, _name_of(channel))

    def discard(self, channel: Channel | str | bytes) -> None:
        """End *channel*'s membership, at once; harmless when it is no member."""
        self.channel_layer.group_discard(self.name, _name_of(channel))

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Send a copy of *content*, as it is now, to every member that has room for it.

        Args:
            immediately: Do not wait for the running consumer to end.

        Raises:
            ValueError: It is no dict.
            TypeError: It holds what no layer carries.
            MessageTooLarge: It is larger than a layer carries.
        """
        if not isinstance(content, dict):
            # ValueError, as Channels 1 has it.
            raise ValueError(  # noqa: TRY004
                f"Can only send dicts to a group, not {type(content).__name__}"
            )
        if immediately or not pending_message_store.active:
            # The layer makes the copy.
            self.channel_layer.send_group(self.name, content)
        else:
            copied = copy_message(content)
            pending_message_store.append(self.channel_layer, GROUP, self.name, copied)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Group {self.name!r}>"


def _name_of(channel: Channel | str | bytes) -> str:
    if isinstance(channel, Channel):
        return channel.name
    return check_channel(channel.decode("ascii") if isinstance(channel, bytes) else channel)
