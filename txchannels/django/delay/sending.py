"""What is due is claimed, sent and deleted: in batches, each by one worker alone.

Four statements a batch: which are due, claim them, read those that are mine, delete them.
No statement waits for another worker's, beyond what the database needs for one of them.
Between the claim and the end, a message is nobody else's. If this worker dies there, the
claims stay, and `look_after` finds them: such messages are lost, or were sent; in neither
case are they sent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Length
from django.utils import timezone

from txchannels.django.delay.models import REQUEUE_DELAY_MS, DelayedMessage
from txchannels.django.delay.patience import Seldom, patiently
from txchannels.errors import ChannelClosed, ChannelFull, LayerUnavailable, Unanswered
from txchannels.layers.interfaces import CHANNEL, Send
from txchannels.layers.names import check_channel

__all__ = ["Outcome", "look_after", "send_due"]

logger = logging.getLogger("django.channels")

BATCH = 100

#: Of a batch's contents, together: more is left to the next batch. One goes in any case.
BATCH_CHARACTERS = 2**22

#: After so long, a worker is told again to go on: others' messages want its thread, too.
ROUND_SECONDS = 1.0

#: So long a batch waits for room before it is postponed: a channel whose consumers keep up is
#: no bottleneck then.
ROOM_SECONDS = 0.2

#: What is due within so many seconds is told to the clock.
HORIZON_SECONDS = 1.0

#: A claim of that age is that of a dead worker: between claim and end are milliseconds.
CLAIM_SECONDS = 300.0
MAX_LOOKED_AFTER = 1000

#: The layer's server is away.
_away = Seldom()


@dataclass
class Outcome:
    """What became of what was due.

    Attributes:
        sent: How many were sent.
        lost: How many never will be; those to clients that are gone are not among them.
        postponed: How many found no room, or no layer, and are due again soon.
        due_in: Seconds to the next one; None if it is further away than the horizon.
    """

    sent: int = 0
    lost: int = 0
    postponed: int = 0
    due_in: float | None = None


@dataclass
class _Batch:
    """The messages of one claim, by what is to become of them."""

    sent: int = 0
    lost: int = 0
    postponed: list[DelayedMessage] = field(default_factory=list)


def send_due(
    layer: Any, *, seconds: float = ROUND_SECONDS, trusts_refusals: bool = True
) -> Outcome:
    """Send what is due on *layer*, for *seconds* or a little longer.

    Args:
        layer: As `channel_layers` gives it.
        trusts_refusals: Whether a message that is refused as `LayerUnavailable` was not sent
            for certain; if not, it counts as lost.

    Raises: django.db.Error: The database cannot be used now. Nothing will be sent twice.
    """
    outcome = Outcome()
    until = time.monotonic() + seconds
    while True:
        keys, outcome.due_in = _look(layer.alias)
        if not keys:
            return outcome
        batch = _send_batch(layer, keys, trusts_refusals)
        if batch is None:
            return outcome
        outcome.sent += batch.sent
        outcome.lost += batch.lost
        outcome.postponed += len(batch.postponed)
        if time.monotonic() >= until:
            outcome.due_in = 0.0
            return outcome


def _send_batch(layer: Any, keys: Sequence[int], trusts_refusals: bool) -> _Batch | None:
    """Send those messages that nobody else does; None if there is none."""
    claim = DelayedMessage.stored().filter(pk__in=keys).claim()
    mine = DelayedMessage.stored().filter(pk__in=keys, claim=claim)
    try:
        messages = patiently(lambda: list(mine.order_by("due_date", "pk")))
    except Exception:
        # None was sent: they may be, by whoever comes next.
        patiently(lambda: mine.postpone(timezone.now()))
        raise
    if not messages:
        return None
    batch = _send(layer, messages, trusts_refusals)
    patiently(lambda: _settle(layer.alias, mine, batch))
    return batch


def _look(alias: str) -> tuple[list[int], float | None]:
    """The next messages that are due, as few as go into a batch; if none: when one is."""
    now = timezone.now()
    found = list(
        DelayedMessage.stored()
        .unclaimed()
        .filter(layer=alias, due_date__lte=now + timedelta(seconds=HORIZON_SECONDS))
        .order_by("due_date", "pk")
        .annotate(size=Length("content"))
        .values_list("pk", "due_date", "size")[:BATCH]
    )
    keys: list[int] = []
    left = BATCH_CHARACTERS
    for key, due_date, size in found:
        left -= size
        if due_date > now or (left < 0 and keys):
            break
        keys.append(key)
    due_in = (found[0][1] - now).total_seconds() if found and not keys else None
    return keys, due_in


def _send(layer: Any, messages: Sequence[DelayedMessage], trusts_refusals: bool) -> _Batch:
    """Send what can be sent. Raises nothing: it is done, or lost, or due again."""
    batch = _Batch()
    by_send: dict[int, DelayedMessage] = {}
    sends: list[Send] = []
    for message in messages:
        try:
            send: Send = (CHANNEL, check_channel(message.channel_name), message.message)
        except Exception as fault:
            batch.lost += 1
            logger.error("Delayed message %s (%s) cannot be sent: %s", message.pk, message, fault)
        else:
            by_send[id(send[2])] = message
            sends.append(send)
    try:
        failed = layer.send_many(sends, wait=ROOM_SECONDS) if sends else []
    except Exception:
        logger.exception("%d delayed messages are lost, or were sent:", len(sends))
        batch.lost += len(sends)
        return batch
    batch.sent = len(sends) - len(failed)
    for send, error in failed:
        message = by_send[id(send[2])]
        if _was_refused(error, trusts_refusals):
            batch.postponed.append(message)
        elif not isinstance(error, ChannelClosed):
            batch.lost += 1
            logger.error("Delayed message %s (%s) is lost: %r", message.pk, message, error)
    return batch


def _was_refused(error: Exception, trusts_refusals: bool) -> bool:
    """Whether the message was not sent for certain, and may be later."""
    if isinstance(error, ChannelFull):
        return True
    if not isinstance(error, LayerUnavailable) or isinstance(error, Unanswered):
        return False
    if trusts_refusals and _away.is_time():
        logger.warning("The layer takes no delayed messages now, they wait: %s", error)
    return trusts_refusals


def _settle(alias: str, mine: Any, batch: _Batch) -> None:
    """Delete what is done with. What else is due in a full channel waits with what was in it."""
    if batch.postponed:
        now = timezone.now()
        again = now + timedelta(milliseconds=REQUEUE_DELAY_MS)
        mine.filter(pk__in=[message.pk for message in batch.postponed]).postpone(again)
        names = {message.channel_name for message in batch.postponed}
        DelayedMessage.stored().is_due().filter(layer=alias, channel_name__in=names).postpone(again)
    mine.delete()


def look_after(layer: Any) -> int:
    """Give up what somebody has claimed and never finished. Returns: how many they were."""
    lost = 0
    before = timezone.now() - timedelta(seconds=CLAIM_SECONDS)
    stale = DelayedMessage.stored().filter(layer=layer.alias, claimed_at__lte=before)
    for message in stale.exclude(claim="").order_by("pk").defer("content")[:MAX_LOOKED_AFTER]:
        row = DelayedMessage.stored().filter(pk=message.pk, claim=message.claim)
        if row.delete()[0]:
            lost += 1
            logger.error(
                "Delayed message %s (%s) is lost, or was sent: whoever was sending it on %s has "
                "not come to the end",
                message.pk,
                message,
                _written(message.claimed_at),
            )
    return lost


def _written(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
