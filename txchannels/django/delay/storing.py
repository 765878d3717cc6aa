"""A message of ``asgi.delay`` into the table."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError

from txchannels.django.delay.models import DelayedMessage
from txchannels.django.delay.orders import BadOrder, read_order
from txchannels.django.delay.patience import patiently
from txchannels.messages import DELAY_CHANNEL

__all__ = ["store"]

logger = logging.getLogger("django.channels")

#: What a message is known by that is handled again.
KEY = "__delay_key__"


def store(alias: str, content: dict[str, Any]) -> DelayedMessage | None:
    """Keep what *content* orders. What is no order is logged and skipped.

    Called again with the same dict, or a copy, it stores nothing twice.

    Args:
        alias: Of the layer that it came from, and will be sent on.

    Returns: The row; None if there is none.

    Raises: django.db.Error: The database cannot take it now.
    """
    try:
        order = read_order(content)
        key = UUID(hex=content.setdefault(KEY, uuid4().hex))
    except (BadOrder, ValueError, AttributeError, TypeError) as error:
        logger.error("A message of %s is skipped: %s", DELAY_CHANNEL, error)
        return None
    row = DelayedMessage(layer=alias, channel_name=order.channel, delay=order.delay, key=key)
    row.message = order.content
    try:
        patiently(row.save)
    except IntegrityError:
        if not DelayedMessage.stored().filter(key=key).exists():
            raise
    return row
