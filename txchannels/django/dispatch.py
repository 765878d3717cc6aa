"""One message: find its consumer, call it, send what it sent.

Whatever a consumer raises ends here: it is logged once and harms nothing else. When
the consumer has returned, its sends go out together, and the socket that the message
came from is told that its next message may follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from threading import Event
from typing import Any

from django.urls import set_script_prefix

from txchannels.django.asgi import ChannelLayerWrapper
from txchannels.django.databases import ThreadConnections
from txchannels.django.exceptions import ChannelSocketException, ConsumeLater
from txchannels.django.handler import ViewConsumer
from txchannels.django.message import Message, pending_message_store
from txchannels.django.routing import Router
from txchannels.django.signals import consumer_finished, consumer_started
from txchannels.django.unrouted import MAX_PATH_LETTERS
from txchannels.django.utils import name_that_thing
from txchannels.errors import LayerError
from txchannels.layers.interfaces import CHANNEL

__all__ = ["Dispatcher"]

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
        databases: Keeps the worker threads' connections clean; without it, signals do.
        script_name: Where the site hangs; views are told by their requests.
        consumer_found: Called with a consumer's name before it is called.

    Thread: any worker's.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        router: Router,
        message_retries: int = 10,
        databases: ThreadConnections | None = None,
        script_name: str = "",
        consumer_found: Callable[[str], None] | None = None,
    ) -> None:
        self._layer = channel_layer
        self._match = router.match
        self._message_retries = message_retries
        self._before = databases.before_message if databases else _nothing
        self._after = databases.after_message if databases else _nothing
        self._script_name = script_name
        self._consumer_found = consumer_found
        self._own_receivers = 0 if databases else 1

    def __call__(self, channel: str, content: dict[str, Any]) -> None:
        """Handle one message, to the end. Raises nothing."""
        message = Message(content, channel, self._layer)
        # Kept here: the consumer may do with the message what it likes.
        reply_channel = content.get("reply_channel")
        path = _path_of(channel, content)
        receipt = self._make_receipt(content)
        try:
            match = self._match(message)
        except BaseException as error:
            self._fail(None, channel, reply_channel, path, error)
            match = None
        else:
            if match is None:
                logger.error("Could not find match for message on %s! Check your routing.", channel)
        if match is None:
            _send_all(channel, receipt)
            return
        consumer, kwargs = match
        # Views have Django's own signals: ours are sent for them only if somebody listens.
        is_view = isinstance(consumer, ViewConsumer)
        pending_message_store.prepare()
        is_done = True
        try:
            if self._consumer_found is not None:
                self._consumer_found(_name_of(consumer))
            self._before()
            if self._script_name and not is_view:
                set_script_prefix(self._script_name)
            if not is_view or len(consumer_started.receivers) > self._own_receivers:
                consumer_started.send(sender=type(self), environ={})
            is_done = self._call(consumer, message, kwargs)
        except BaseException as error:
            self._fail(consumer, channel, reply_channel, path, error)
        _send_all(channel, receipt if is_done else None)
        is_heard = not is_view or len(consumer_finished.receivers) > self._own_receivers
        self._end(channel, is_heard)

    def _call(self, consumer: Any, message: Message, kwargs: dict[str, Any]) -> bool:
        """Call the consumer; False if the message is to be handled again."""
        if message.content.get(RETRIES_KEY, 0) >= self._message_retries:
            message.__doomed__ = True
        try:
            consumer(message, **kwargs)
        except ConsumeLater:
            return not self._put_back(message)
        except ChannelSocketException as exception:
            exception.run(message)
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

    def _fail(
        self,
        consumer: Any,
        channel: str,
        reply_channel: str | None,
        path: str | None,
        error: BaseException,
    ) -> None:
        """Log it; whoever waits for an answer gets one now rather than at a timeout."""
        name = "(its route failed)" if consumer is None else _name_for_people(consumer)
        text = "Error processing message with consumer %s on %s, reply channel %s"
        if path is None:
            _log_error(f"{text}:", name, channel, reply_channel, error=error)
        else:
            where = name, channel, reply_channel, MAX_PATH_LETTERS, path
            _log_error(f"{text}, path %.*r:", *where, error=error)
        if not reply_channel:
            return
        if channel == "http.request":
            pending_message_store.append(
                self._layer, CHANNEL, reply_channel, dict(_FAILED_RESPONSE)
            )
        elif channel == "websocket.connect":
            # The first answer counts: the consumer may have left an accept to be sent.
            pending_message_store.put_first(self._layer, CHANNEL, reply_channel, {"accept": False})

    def _make_receipt(self, content: dict[str, Any]) -> Any:
        """What tells the message's socket that its next message may follow, if it has one."""
        order = content.get("order")
        reply_channel = content.get("reply_channel")
        if order is None or not reply_channel:
            return None
        return self._layer, (CHANNEL, reply_channel, {"consumed": order})

    def _end(self, channel: str, is_heard: bool) -> None:
        """What follows every message, however its consumer has ended."""
        try:
            try:
                if is_heard:
                    consumer_finished.send(sender=type(self))
            finally:
                self._after()
        except BaseException as error:
            _log_error("Error after a message on %s:", channel, error=error)


def _path_of(channel: str, content: dict[str, Any]) -> str | None:
    """Where the client of a request or socket has asked; None for a message of another kind."""
    if channel != "http.request" and not channel.startswith("websocket."):
        return None
    path = content.get("path")
    return path if isinstance(path, str) else None


def _send_all(channel: str, receipt: Any) -> None:
    try:
        pending_message_store.send_all(receipt)
    except BaseException as error:
        _log_error("Error after a message on %s:", channel, error=error)


def _log_error(text: str, *args: Any, error: BaseException) -> None:
    """Log it with its traceback; without, where it or a log handler of the site's cannot do that.

    Raises nothing.
    """
    try:
        logger.error(text, *args, exc_info=error)
    except BaseException as failure:
        names = type(error).__name__, type(failure).__name__
        try:
            logger.error("%s %s (to log its traceback failed: %s)", text % args, *names)
        except BaseException:  # noqa: S110 - there is nobody left to tell
            pass


def _name_for_people(consumer: Any) -> str:
    try:
        return name_that_thing(consumer)
    except BaseException:
        return "(which has no name)"


@lru_cache(maxsize=512)
def _name_of_hashable(consumer: Any) -> str:
    return name_that_thing(consumer)


def _name_of(consumer: Any) -> str:
    try:
        return _name_of_hashable(consumer)
    except TypeError:
        return name_that_thing(consumer)


def _nothing() -> None:
    """Signals see to the database connections."""
