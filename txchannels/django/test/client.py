"""A client of the test's own: it sends, runs the consumer, and reads what that replies."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from random import choices
from string import ascii_lowercase
from typing import Any

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import channel_layers
from txchannels.django.channel import Group
from txchannels.django.message import Message
from txchannels.django.sessions import session_for_reply_channel
from txchannels.django.test.layers import next_message, waiting_messages
from txchannels.django.test.running import run_consumer

__all__ = ["Client"]


class Client:
    """Sends messages and runs their consumers, one at a time, in the test's thread.

    Args:
        alias: Which of the site's layers it uses.

    Attributes:
        reply_channel: The name of its own channel; one such as the daemon makes.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        self.reply_channel = f"test.{_letters()}!{_letters()}"

    @property
    def channel_layer(self) -> Any:
        """The layer that it uses now."""
        return channel_layers[self.alias]

    @property
    def channel_session(self) -> Any:
        """The session that `channel_session` gives to consumers of this client's messages.

        It is loaded anew at each access.
        """
        return session_for_reply_channel(self.reply_channel)

    def send(self, to: str, content: dict[str, Any] | None = None) -> None:
        """Send a message to the channel *to*, with this client's reply channel unless it has one.

        Raises: ChannelFull: Too many wait there. TypeError: No layer carries it.
        """
        self.channel_layer.send(to, {"reply_channel": self.reply_channel, **(content or {})})

    def get_next_message(self, channel: str) -> Message | None:
        """Take the next message from *channel*, without running anything."""
        return next_message(channel, self.alias)

    def get_consumer_by_channel(self, channel: str) -> Callable[..., Any] | None:
        """The consumer to which a message without fields would go, if there is one."""
        match = self.channel_layer.router.match(Message({"text": ""}, channel, self.channel_layer))
        return None if match is None else match[0]

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """Run the consumer of the next message of *channel*.

        What the consumer sends is sent when it ends, also where it has raised.

        Args:
            fail_on_none: Whether there must be a message, and a route for it.

        Returns: What the consumer returns; None without a message or a route.

        Raises:
            AssertionError: There is none.
            Exception: What the consumer raises, but `ChannelSocketException`, which is
                carried out (`DenyConnection` rejects the handshake).
        """
        message = self.get_next_message(channel)
        if message is None:
            if fail_on_none:
                raise AssertionError(f"There is no message on {channel!r}{_elsewhere(self.alias)}")
            return None
        match = self.channel_layer.router.match(message)
        if match is None:
            if fail_on_none:
                raise AssertionError(
                    f"No route of the layer {self.alias!r} matches the message on {channel!r}: "
                    f"{reprlib.repr(message.content)}{self._at_a_daemon(message)}"
                )
            return None
        consumer, kwargs = match
        return run_consumer(consumer, message, kwargs)

    def _at_a_daemon(self, message: Message) -> str:
        """What a daemon does where a test fails: its router has default routes."""
        router = self.channel_layer.router
        knows_websockets = any(name.startswith("websocket.") for name in router.channels)
        if message.channel_name != "websocket.connect" or not knows_websockets:
            return ""
        frame = Message(message.content, "websocket.receive", self.channel_layer)
        ignored = "" if router.match(frame) else " and ignores its frames"
        return f" (a daemon accepts such a socket{ignored}: see routing)"

    def send_and_consume(
        self, channel: str, content: dict[str, Any] | None = None, fail_on_none: bool = True
    ) -> Any:
        """`send` to *channel*, then `consume` it."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    def receive(self) -> Any:
        """The content of the next message to this client; None if there is none."""
        message = self.get_next_message(self.reply_channel)
        return None if message is None else message.content

    def join_group(self, group_name: str) -> None:
        """Make this client a member of a group."""
        Group(group_name, alias=self.alias).add(self.reply_channel)


def _elsewhere(alias: str) -> str:
    """Where messages do wait: for whoever has looked into the wrong channel."""
    waiting = ", ".join(waiting_messages(alias))
    return f"; messages wait on: {waiting}" if waiting else "; none waits on any other"


def _letters() -> str:
    return "".join(choices(ascii_lowercase, k=10))  # noqa: S311 - no secret
