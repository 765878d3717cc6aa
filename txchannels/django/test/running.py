"""A consumer is called as the daemon calls it, but in the test's thread and transaction.

What it raises reaches the test. Signals are sent as ever, and close no connection: the
test's transaction is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from txchannels.django.dispatch import Dispatcher
from txchannels.django.exceptions import ChannelSocketException
from txchannels.django.message import Message, pending_message_store
from txchannels.django.signals import (
    CLOSE_AFTER,
    CLOSE_BEFORE,
    consumer_finished,
    consumer_started,
)
from txchannels.django.test.layers import raise_lost_sends

__all__ = ["run_consumer"]


def run_consumer(consumer: Callable[..., Any], message: Message, kwargs: dict[str, Any]) -> Any:
    """Call *consumer*, then send what it has sent; returns what it returns.

    Raises:
        Exception: What the consumer raises, but for what ends by doing something to its
            socket (`ChannelSocketException`): that is done. What it has sent is sent.
        LayerError: What it has sent found no room, on whatever layer.
    """
    if pending_message_store.active:
        raise RuntimeError("A consumer is running: what it sends cannot be consumed before it ends")
    result = None
    errors: list[Exception] = []
    with _connections_stay_open():
        pending_message_store.prepare()
        try:
            consumer_started.send(sender=Dispatcher, environ={})
            result = consumer(message, **kwargs)
        except ChannelSocketException as exception:
            exception.run(message)
        finally:
            errors = pending_message_store.send_all()
            consumer_finished.send(sender=Dispatcher)
    raise_lost_sends()
    if errors:
        raise errors[0]
    return result


@contextmanager
def _connections_stay_open() -> Iterator[None]:
    """Without the receivers that close database connections, those of views included."""
    ours = [(consumer_started, CLOSE_BEFORE), (consumer_finished, CLOSE_AFTER)]
    taken = [(signal, uid) for signal, uid in ours if signal.disconnect(dispatch_uid=uid)]
    djangos = [
        signal
        for signal in (request_started, request_finished)
        if signal.disconnect(close_old_connections)
    ]
    try:
        yield
    finally:
        for signal, uid in taken:
            signal.connect(close_old_connections, dispatch_uid=uid)
        for signal in djangos:
            signal.connect(close_old_connections)
