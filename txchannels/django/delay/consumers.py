"""What workers do for messages that are to be sent later: store them, and send what is due."""

from __future__ import annotations

import logging
from typing import Any

from django.db import Error

from txchannels.django.channel import Group
from txchannels.django.delay.patience import Seldom
from txchannels.django.delay.sending import HORIZON_SECONDS, look_after, send_due
from txchannels.django.delay.storing import store
from txchannels.django.exceptions import ConsumeLater
from txchannels.django.message import Message
from txchannels.errors import LayerError
from txchannels.messages import DELAY_CHANNEL, DELAY_CLOCKS, DelayReport

__all__ = ["store_message", "work_on_tick"]

logger = logging.getLogger("django.channels")

#: The database is away.
_away = Seldom()


def store_message(message: Message) -> None:
    """The consumer of ``asgi.delay``: it keeps the message until it is due.

    While the database is away, the message goes back to its channel, some times.
    """
    try:
        row = store(message.channel_layer.alias, message.content)
    except Error as error:
        if message.__doomed__:
            logger.error(
                "A message of %s for %s is lost: the database does not take it: %s",
                DELAY_CHANNEL,
                message.get("channel"),
                error,
            )
            return
        if _away.is_time():
            logger.warning("The database takes no messages for later now, they wait: %s", error)
        raise ConsumeLater from error
    if row is not None and row.delay is not None and row.delay < HORIZON_SECONDS * 1000:
        notice: DelayReport = {"due_in": row.delay / 1000}
        Group(DELAY_CLOCKS, channel_layer=message.channel_layer).send(dict(notice))


def work_on_tick(message: Message) -> None:
    """The consumer of the daemon's ticks: it sends what is due, and reports."""
    clock = message.reply_channel
    if clock is None:
        return
    report: DelayReport = {"order": message.get("order", 0)}
    try:
        lost = 0
        if message.get("is_first"):
            _join(message.channel_layer, clock)
            lost = look_after(message.channel_layer)
        outcome = send_due(message.channel_layer)
    except Error as error:
        report["failed"] = _one_line(error)
    else:
        report |= {"sent": outcome.sent, "given_up": outcome.lost + lost}
        if outcome.due_in is not None:
            report["due_in"] = outcome.due_in
    clock.send(dict(report))


def _join(layer: Any, clock: Any) -> None:
    """Let the clock hear of what is due soon. Without that, it is on time by its ticks alone."""
    try:
        Group(DELAY_CLOCKS, channel_layer=layer).add(clock)
    except LayerError as error:
        logger.debug("%s has not joined %s: %r", clock, DELAY_CLOCKS, error)


def _one_line(error: Exception) -> str:
    """What a person needs of it; a table that is missing gets the remedy, too."""
    text = " ".join(str(error).split())
    is_missing = "txchannels_delay" in text and ("exist" in text or "no such table" in text)
    remedy = "; run manage.py migrate" if is_missing else ""
    return f"{type(error).__name__}: {text}{remedy}"[:500]
