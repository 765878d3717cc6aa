"""Several streams on one WebSocket: frames of ``{"stream": name, "payload": ...}``.

The demultiplexer is the socket's consumer and takes the streams apart; the multiplexer
is what the consumer of a stream is given to answer with.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, NoReturn

from django.core.serializers.json import DjangoJSONEncoder

from txchannels.django.channel import Channel, Group
from txchannels.django.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    SendNotAvailableOnDemultiplexer,
)
from txchannels.django.generic.websockets.frames import INCONSISTENT_DATA, BadFrame
from txchannels.django.generic.websockets.json_consumer import JsonWebsocketConsumer
from txchannels.django.message import Message
from txchannels.django.utils import name_that_thing
from txchannels.errors import ChannelClosed

__all__ = ["WebsocketDemultiplexer", "WebsocketMultiplexer"]

StreamConsumer = Callable[..., Any]


class WebsocketMultiplexer:
    """Sends on one stream of a socket.

    Args:
        stream: The stream's name.
        reply_channel: The socket's.
    """

    def __init__(self, stream: str, reply_channel: Channel) -> None:
        self.stream = stream
        self.reply_channel = reply_channel

    def send(self, payload: Any) -> None:
        """Send *payload* on the stream.

        Raises: TypeError, ValueError: JSON cannot say it.
        """
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """The text that says *content*; it may hold dates, decimals and UUIDs.

        Raises: TypeError, ValueError: There is none.
        """
        return json.dumps(content, cls=DjangoJSONEncoder, allow_nan=False)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """The message that sends *payload* on *stream*, to a reply channel or a group.

        Raises: TypeError, ValueError: JSON cannot say it.
        """
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send *payload* on *stream* to all sockets of the group *name*, on the default layer.

        Args:
            close: Close the sockets after it; a number is the close code.

        Raises: TypeError, ValueError: JSON cannot say it.
        """
        reply = cls.encode(stream, payload)
        if close:
            reply["close"] = close
        Group(name).send(reply)


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """Hands each stream's messages to a consumer of its own.

    A stream's consumer is a class or a function. It is called as
    ``consumer(message, multiplexer=..., **kwargs)``: for the connect and the disconnect
    of the socket, and for the frames of its stream, with the payload as the message's
    text. What one consumer does to its message, no other sees.

    Raises: TypeError: A subclass has a consumer that cannot be called.
    """

    #: The consumer of each stream.
    consumers: ClassVar[Mapping[str, StreamConsumer]] = {}

    #: What a stream's consumer answers with.
    multiplexer_class: type[WebsocketMultiplexer] = WebsocketMultiplexer

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        consumers = cls.__dict__.get("consumers")
        if not isinstance(consumers, Mapping):
            return
        for stream, consumer in consumers.items():
            if not callable(consumer):
                raise TypeError(
                    f"{name_that_thing(cls)}.consumers[{stream!r}] cannot be called: {consumer!r}"
                )

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Open the socket, and tell every stream's consumer.

        It opens at once: a stream that fails then does not deny it to the others.
        """
        with suppress(ChannelClosed):  # the client is gone: the streams hear of that, too
            self._reply_channel().send({"accept": True}, immediately=True)
        self._call_all(message, kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Hand the payload to the consumer of the stream.

        Raises: BadFrame: There is none, or the frame is of another form.
        """
        stream, payload = _read_frame(content)
        consumer = self.consumers.get(stream)
        if consumer is None or not _takes(consumer, self.message):
            raise BadFrame(INCONSISTENT_DATA, f"is for a stream that there is not: {stream!r:.80}")
        fields = {"text": self.encode_json(payload), "bytes": None}
        self._call(stream, consumer, _copy_with(self.message, fields), kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Tell every stream's consumer."""
        self._call_all(message, kwargs)

    def send(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not here.

        Raises: SendNotAvailableOnDemultiplexer: Always.
        """
        raise SendNotAvailableOnDemultiplexer(
            f"{name_that_thing(type(self))}.send() would name no stream: "
            "use the send() of a stream's multiplexer"
        )

    @classmethod
    def group_send(cls, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG003
        """Not here.

        Raises: SendNotAvailableOnDemultiplexer: Always.
        """
        raise SendNotAvailableOnDemultiplexer(
            f"{name_that_thing(cls)}.group_send() would name no stream: use "
            "WebsocketMultiplexer.group_send(name, stream, payload)"
        )

    def _is_ordered(self) -> bool:
        """A socket's messages are in one order, not in one for each stream."""
        return self.strict_ordering or any(
            getattr(consumer, "strict_ordering", False) for consumer in self.consumers.values()
        )

    def _call_all(self, message: Message, kwargs: dict[str, Any]) -> None:
        """Call the consumer of every stream; one that fails keeps no other from its message.

        Raises:
            ConsumeLater: One cannot take the message yet; those after it were not called.
            Exception: What the one raised that failed, or a group of what several raised.
        """
        failures: list[BaseException] = []
        for stream, consumer in self.consumers.items():
            if not _takes(consumer, message):
                continue
            try:
                try:
                    self._call(stream, consumer, _copy_with(message, {}), kwargs)
                except ChannelSocketException as exception:
                    exception.run(message)
            except ConsumeLater:
                raise
            except BaseException as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise BaseExceptionGroup(f"Streams of {name_that_thing(type(self))}", failures)

    def _call(
        self, stream: str, consumer: StreamConsumer, message: Message, kwargs: dict[str, Any]
    ) -> None:
        multiplexer = self.multiplexer_class(stream, self._reply_channel())
        consumer(message, **{**kwargs, "multiplexer": multiplexer})


def _read_frame(content: Any) -> tuple[str, dict[str, Any]]:
    """The stream and the payload of a client's frame."""
    if not isinstance(content, dict):
        raise BadFrame(INCONSISTENT_DATA, "is no object with a stream and a payload")
    for key, kind, name in (("stream", str, "text"), ("payload", dict, "an object")):
        if key not in content:
            raise BadFrame(INCONSISTENT_DATA, f"has no {key}")
        if not isinstance(content[key], kind):
            raise BadFrame(INCONSISTENT_DATA, f"has a {key} that is not {name}")
    return content["stream"], content["payload"]


def _takes(consumer: StreamConsumer, message: Message) -> bool:
    """Whether *consumer* takes messages of this channel: a class says so, a function does."""
    channel_names = getattr(consumer, "channel_names", None)
    return channel_names is None or message.channel_name in channel_names()


def _copy_with(message: Message, fields: dict[str, Any]) -> Message:
    """*message* with other *fields*, and with the sessions and the user that it has by now."""
    copied = copy.copy(message)
    copied.content = {**message.content, **fields}
    return copied
