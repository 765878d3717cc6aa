"""One message: find its consumer, call it, send what it sent.

Whatever a consumer raises ends here: it is logged once and harms nothing else. When
the consumer has returned, its sends go out together, and the socket that the message
came from is told that its next message may follow.
"""

from __future__ import annotations

import logging
from threading import Event
from typing import Any

from django.db import connections
from django.dispatch import Signal

from txchannels.django.asgi import ChannelLayerWrapper
from txchannels.django.exceptions import ChannelSocketException, ConsumeLater
from txchannels.django.handler import ViewConsumer
from txchannels.django.message import Message, pending_message_store
from txchannels.django.routing import Router
from txchannels.django.signals import consumer_finished, consumer_started
from txchannels.django.utils import name_that_thing
from txchannels.errors import LayerError
from txchannels.layers.interfaces import CHANNEL

__all__ = ["Dispatcher", "close_thread"]

logger = logging.getLogger("django.channels")

RETRIES_KEY = "__retries__"
RETRY_SECONDS = 0.05
RETRY_WAIT_SECONDS = 2.0

_FAILED_RESPONSE = {
    "status": 500,
    "headers": [[b"Content-Type", b"text/plain"]],
    "content": b"Internal Server Error",
    "more_content": False,
}


class Dispatcher:
    """See the module.

    Args:
        channel_layer: The layer that the messages come from.
        router: Knows the consumers.
        message_retries: How often a message may be put back by `ConsumeLater`.

    Thread: any worker's.
    """

    def __init__(
        self, channel_layer: ChannelLayerWrapper, router: Router, message_retries: int = 10
    ) -> None:
        self._layer = channel_layer
        self._match = router.match
        self._message_retries = message_retries

    def __call__(self, channel: str, content: dict[str, Any]) -> None:
        """Handle one message, to the end."""
        message = Message(content, channel, self._layer)
        match = self._match(message)
        if match is None:
            logger.error("Could not find match for message on %s! Check your routing.", channel)
            self._finish(message)
            return
        consumer, kwargs = match
        # Views have Django's own signals, and with them fresh database connections.
        is_view = isinstance(consumer, ViewConsumer)
        if not is_view or _is_heard(consumer_started):
            consumer_started.send(sender=type(self), environ={})
        pending_message_store.prepare()
        is_done = True
        try:
            is_done = self._call(consumer, message, kwargs)
        finally:
            self._finish(message, is_done)
            if not is_view or _is_heard(consumer_finished):
                consumer_finished.send(sender=type(self))

    def _call(self, consumer: Any, message: Message, kwargs: dict[str, Any]) -> bool:
        """Call the consumer; False if the message is to be handled again."""
        if message.content.get(RETRIES_KEY) == self._message_retries:
            message.__doomed__ = True
        try:
            consumer(message, **kwargs)
        except ConsumeLater:
            return not self._put_back(message)
        except ChannelSocketException as exception:
            try:
                exception.run(message)
            except Exception:
                self._log_failure(consumer, message)
        except BaseException:
            self._log_failure(consumer, message)
            self._answer_failure(message)
        return True

    def _put_back(self, message: Message) -> bool:
        """Send the message to its channel again, a little later; False if it was given up."""
        retries = message.content.get(RETRIES_KEY, 0) + 1
        if retries > self._message_retries:
            logger.warning(
                "Exceeded number of retries for message on %s: %s", message.channel_name, message
            )
            return False
        Event().wait(RETRY_SECONDS)
        content = {**message.content, RETRIES_KEY: retries}
        try:
            self._layer.send(message.channel_name, content, wait=RETRY_WAIT_SECONDS)
        except LayerError as error:
            logger.error("Could not put back a message on %s: %r", message.channel_name, error)
            return False
        return True

    def _log_failure(self, consumer: Any, message: Message) -> None:
        logger.exception(
            "Error processing message with consumer %s on %s, reply channel %s:",
            name_that_thing(consumer),
            message.channel_name,
            message.content.get("reply_channel"),
        )

    def _answer_failure(self, message: Message) -> None:
        """Whoever waits for an answer gets one now rather than at a timeout."""
        reply_channel = message.content.get("reply_channel")
        if not reply_channel:
            return
        if message.channel_name == "http.request":
            answer: dict[str, Any] = dict(_FAILED_RESPONSE)
        elif message.channel_name == "websocket.connect":
            answer = {"accept": False}
        else:
            return
        pending_message_store.append(self._layer, CHANNEL, reply_channel, answer)

    def _finish(self, message: Message, is_done: bool = True) -> None:
        """Send what the consumer sent, and that the message is consumed."""
        content = message.content
        last = None
        if is_done and "order" in content:
            reply_channel = content.get("reply_channel")
            if reply_channel:
                last = (self._layer, (CHANNEL, reply_channel, {"consumed": content["order"]}))
        pending_message_store.send_all(last)


def close_thread() -> None:
    """Close this thread's database connections, since it ends."""
    connections.close_all()


def _is_heard(signal: Signal) -> bool:
    """Whether anybody but ourselves listens to *signal*."""
    return len(signal.receivers) > 1
