"""A WebSocket's connect, receive and disconnect as methods of a class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from txchannels.django.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
)
from txchannels.django.channel import Channel, Group
from txchannels.django.exceptions import SendNotAvailableOnDemultiplexer
from txchannels.django.generic.base import BaseConsumer, Handler
from txchannels.django.message import Message
from txchannels.django.sessions import enforce_ordering
from txchannels.django.utils import name_that_thing

__all__ = ["CONNECT", "WebsocketConsumer"]

CONNECT = "websocket.connect"


class WebsocketConsumer(BaseConsumer):
    """Override `connect`, `receive` and `disconnect`; say in `groups` where the socket belongs.

    Attributes:
        path: The path that the socket was opened with.
    """

    method_mapping: ClassVar[Mapping[str, str]] = {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    }

    #: The groups of every socket, unless `connection_groups` says otherwise.
    groups: Iterable[str] | None = None

    #: Give the methods the browser's user as ``message.user``, and a channel session.
    http_user: bool = False

    #: The same, and the browser's session as ``message.http_session``, on every message.
    http_user_and_session: bool = False

    #: See `enforce_ordering`; needed only where ``--unordered`` has given up the order.
    strict_ordering: bool = False

    #: Gone since Channels 1.0: True is refused.
    slight_ordering: bool = False

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.path: str = message.get("path", "")
        super().__init__(message, **kwargs)

    def get_handler(self, message: Message, **kwargs: Any) -> Handler:
        """As of `BaseConsumer`, with the decorators of the flags that only sockets have.

        Raises: ValueError: `slight_ordering` is set.
        """
        if self.slight_ordering:
            raise ValueError(
                f"{name_that_thing(type(self))} sets slight_ordering, which is gone: "
                "a socket's messages are in order without it; take it away"
            )
        handler = super().get_handler(message, **kwargs)
        if self.http_user_and_session:
            handler = channel_and_http_session_user_from_http(handler)
        elif self.http_user and message.channel_name == CONNECT:
            handler = channel_session_user_from_http(handler)
        elif self.http_user:
            handler = channel_session_user(handler)
        if self._is_ordered() and not self._is_stream():
            handler = enforce_ordering(handler)
        return handler

    # The hooks

    def connection_groups(self, **kwargs: Any) -> Iterable[str]:
        """The names of the groups that the socket belongs to; *kwargs* are the route's."""
        return self.groups or ()

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Open the socket. Who overrides this accepts, or denies: nothing else does."""
        self._reply_channel().send({"accept": True})

    # `bytes` is the name in Channels 1's API.
    def receive(
        self,
        text: str | None = None,
        bytes: bytes | None = None,  # noqa: A002
        **kwargs: Any,
    ) -> None:
        """Take a frame: one of *text* and *bytes* is not None, and it may be empty."""

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Take leave: the socket is closed, and has left its groups."""

    # What calls them

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """Join the groups, so that nothing is missed from here on; then `connect`."""
        for group in self._groups(message, kwargs):
            group.add(self._reply_channel())
        self.connect(message, **kwargs)

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Hand the frame to `receive`, by the argument of its kind."""
        text = message.get("text")
        if text is not None:
            self.receive(text=text, **kwargs)
        else:
            self.receive(bytes=message["bytes"], **kwargs)

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """Leave the groups; then `disconnect`."""
        for group in self._groups(message, kwargs):
            group.discard(self._reply_channel())
        self.disconnect(message, **kwargs)

    # What they call

    def send(
        self,
        text: str | None = None,
        bytes: bytes | None = None,  # noqa: A002
        close: bool | int = False,
    ) -> None:
        """Send a frame to the client.

        Args:
            text: Its content; or
            bytes: its content.
            close: Close the socket after it; a number is the close code.

        Raises:
            ValueError: Neither is given, or both.
            TypeError: What is given is of another type.
            SendNotAvailableOnDemultiplexer: This consumer has a stream of the socket, not
                all of it: it sends through its multiplexer.
        """
        if self._is_stream():
            raise SendNotAvailableOnDemultiplexer(
                f"{name_that_thing(type(self))} runs in a demultiplexer, where send() would name "
                "no stream: use the send() of the multiplexer that its methods are given"
            )
        self._reply_channel().send(_make_reply(text, bytes, close))

    @classmethod
    def group_send(
        cls,
        name: str,
        text: str | None = None,
        bytes: bytes | None = None,  # noqa: A002
        close: bool | int = False,
    ) -> None:
        """Send a frame to all sockets of the group *name*, on the default layer.

        Raises: ValueError, TypeError: As `send`.
        """
        Group(name).send(_make_reply(text, bytes, close))

    def close(self, status: bool | int = True) -> None:
        """Close the socket, or deny the handshake; *status* may be a close code."""
        self._reply_channel().send({"close": status})

    def _groups(self, message: Message, kwargs: dict[str, Any]) -> list[Group]:
        names = self.connection_groups(**kwargs)
        if isinstance(names, str | bytes):
            raise TypeError(
                f"The groups of {name_that_thing(type(self))} must be a list of names, "
                f"not the text {names!r}"
            )
        return [Group(name, channel_layer=message.channel_layer) for name in names]

    def _reply_channel(self) -> Channel:
        channel = self.message.reply_channel
        if channel is None:
            raise ValueError(
                f"{name_that_thing(type(self))} needs a socket to answer to; this message of "
                f"{self.message.channel_name!r} has no reply channel"
            )
        return channel

    def _is_ordered(self) -> bool:
        return self.strict_ordering

    def _is_stream(self) -> bool:
        """Whether a demultiplexer has called it, for one of its streams."""
        return "multiplexer" in self.kwargs


def _make_reply(text: Any, data: Any, close: bool | int) -> dict[str, Any]:
    """The message that sends one frame."""
    if (text is None) == (data is None):
        raise ValueError("A frame needs text or bytes" + (", not both" if text is not None else ""))
    if text is not None:
        if not isinstance(text, str):
            raise TypeError(f"A frame's text must be str, not {type(text).__name__}")
        reply: dict[str, Any] = {"text": text}
    else:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"A frame's bytes must be bytes, not {type(data).__name__}")
        reply = {"bytes": data}
    if close:
        reply["close"] = close
    return reply
