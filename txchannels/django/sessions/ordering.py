"""`enforce_ordering`: a socket's messages are handled one after the other, in their order.

A message that comes too early waits on a channel of its own, from where it is sent back
when the one before it is done: its consumer has ended, and what that has sent is out. The
number that is due is kept in the channel session.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

from txchannels.django.exceptions import ConsumeLater
from txchannels.django.message import Message, pending_message_store
from txchannels.django.sessions.decorators import channel_session
from txchannels.django.sessions.store import (
    find_message,
    open_session,
    reply_channel_name,
    save_if_changed,
    session_for_reply_channel,
)

__all__ = ["enforce_ordering", "requeue_messages", "wait_channel_name"]

logger = logging.getLogger("django.channels")

#: Where a channel session keeps the order number of the message that is due.
NEXT_ORDER = "__channels_next_order"

#: Seconds for which a full channel is waited for when a message goes back to it.
REQUEUE_WAIT_SECONDS = 2.0


def enforce_ordering(func: Any = None, slight: bool = False) -> Any:
    """Call the consumer for a socket's messages in their order, one after the other.

    Decorate the consumers of ``websocket.connect``, ``receive`` and ``disconnect`` alike:
    the first message of a socket is the connect. A message that comes too early waits on
    a channel of its own; one that was already handled is dropped. The order goes on after
    a consumer that raised (other than in Channels 1, where the socket then stalled);
    `ConsumeLater` keeps the message's turn.

    Args:
        slight: Gone since Channels 1.0; True is refused.

    Raises: ValueError: *slight*, or a message without ``order``.
    """
    if slight:
        raise ValueError("slight=True is gone: enforce_ordering has only one way to order")
    if func is None:
        return enforce_ordering

    @channel_session
    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = find_message(args, "enforce_ordering")
        if message.get("order") is None:
            raise ValueError(
                f"enforce_ordering needs messages with 'order'; those of "
                f"{message.channel_name!r} have none"
            )
        due = message.channel_session.get(NEXT_ORDER, 0)
        if message["order"] == due:
            return _run_in_turn(message, functools.partial(func, *args, **kwargs))
        if message["order"] > due:
            return _park(message, due)
        logger.warning(
            "Dropped message %r of %s: its turn is over, number %r is due",
            message["order"],
            message.channel_name,
            due,
        )
        return None

    return inner


def wait_channel_name(reply_channel: str) -> str:
    """The channel on which a socket's messages wait that came too early."""
    return f"__wait__.{reply_channel.replace('!', '?')}"


def requeue_messages(message: Message) -> None:
    """Send what waits for the socket of *message* back to where it came from, in order.

    What finds its channel full goes on waiting.

    Raises: ChannelFull: A message's channel was full.
    """
    layer = message.channel_layer
    wait_channel = wait_channel_name(reply_channel_name(message, "requeue_messages"))
    # All are taken first: one that comes back too early again must not be taken twice.
    waiting = []
    while True:
        channel, content = layer.receive([wait_channel], block=False)
        if channel is None:
            break
        waiting.append(content)
    full = None
    for content in sorted(waiting, key=lambda content: content.get("order", 0)):
        original_channel = content.pop("original_channel")
        try:
            layer.send(original_channel, content, wait=REQUEUE_WAIT_SECONDS)
        except layer.ChannelFull as error:
            full = error
            _put_back(layer, wait_channel, content | {"original_channel": original_channel})
    if full is not None:
        raise layer.ChannelFull(
            f"Cannot put a waiting message back: its channel is full ({full})"
        ) from full


def _put_back(layer: Any, wait_channel: str, content: dict[str, Any]) -> None:
    try:
        layer.send(wait_channel, content)
    except layer.ChannelFull:
        logger.error("Lost message %r: %s is full, too", content.get("order"), wait_channel)


def _run_in_turn(message: Message, call: Callable[[], Any]) -> Any:
    """Call the consumer whose message is due; when all is sent, let the next one come."""
    try:
        result = call()
    except ConsumeLater:
        if message.__doomed__:
            _end_turn(message)
        raise
    except BaseException:
        _end_turn(message)
        raise
    _end_turn(message)
    return result


def _end_turn(message: Message) -> None:
    """Make the next message due once what the consumer has sent has gone out.

    So does what is answered in its place: a close, a denial.
    """
    pending_message_store.call_afterwards(functools.partial(_advance, message))


def _advance(message: Message) -> None:
    """Make the next message due, and send back what waits for that."""
    _wait_for_sends(message)
    if message.channel_session.session_key is None:
        # The consumer has flushed the session; only the last message needs no order after it.
        if message.channel_name == "websocket.disconnect":
            return
        message.channel_session = open_session(reply_channel_name(message, "enforce_ordering"))
    # Stored before anything is sent back, and not again later: the next consumer changes it.
    try:
        _store_due(message.channel_session, message)
    except Exception:
        # The consumer has put in what cannot be stored: that is lost, the socket must not stall.
        logger.exception(
            "What a consumer of %s has put into its session is lost", message.channel_name
        )
        _store_due(open_session(reply_channel_name(message, "enforce_ordering")), message)
    requeue_messages(message)


def _store_due(session: Any, message: Message) -> None:
    session[NEXT_ORDER] = message["order"] + 1
    save_if_changed(session)


def _wait_for_sends(message: Message) -> None:
    """Until the layer has what was sent: the next consumer may run in another process.

    A layer may not wait for what takes a reply. But it answers in order, so one answer says
    that all before it has arrived; the channel that is asked for one has no messages.
    """
    reply_channel = reply_channel_name(message, "enforce_ordering")
    # Without an answer, a reply may be overtaken; the socket must not stall for that.
    with contextlib.suppress(Exception):
        message.channel_layer.receive([f"__turn__.{reply_channel.replace('!', '?')}"], block=False)


def _park(message: Message, due: int) -> None:
    """Let *message* wait, unless its turn has come while it was being put there.

    Raises: ChannelFull: Too many wait already; this one is lost.
    """
    layer = message.channel_layer
    reply_channel = reply_channel_name(message, "enforce_ordering")
    content = message.content | {"original_channel": message.channel_name}
    try:
        layer.send(wait_channel_name(reply_channel), content)
    except layer.ChannelFull as error:
        raise layer.ChannelFull(
            f"Message {message['order']} of {reply_channel} cannot wait for its turn: "
            f"too many wait already ({error})"
        ) from error
    if session_for_reply_channel(reply_channel).get(NEXT_ORDER, 0) != due:
        requeue_messages(message)
