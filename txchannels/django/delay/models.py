"""Messages that wait in the database until they are due.

At most once, however many send: who wants to send a message claims its row with one
conditional update, sends it, and deletes the row. A claim that is still there much later
is that of a worker that died meanwhile; such a message is lost, and not sent again.

Source: Channels 1, ``channels.delay.models``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from django.db import models, router
from django.utils import timezone

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.channel import Channel
from txchannels.django.delay.content import dump_content, load_content
from txchannels.django.delay.orders import check_delay
from txchannels.errors import ChannelFull, LayerUnavailable, Unanswered
from txchannels.messages import copy_message

__all__ = ["DelayedMessage", "DelayedMessageQuerySet"]

#: How long a message waits that finds its channel full, in milliseconds.
REQUEUE_DELAY_MS = 1000


class DelayedMessageQuerySet(models.QuerySet):
    """Messages for later."""

    def is_due(self) -> Self:
        """Those whose time has come, and that nobody is sending."""
        return self.unclaimed().filter(due_date__lte=timezone.now())

    def unclaimed(self) -> Self:
        """Those that nobody is sending."""
        return self.filter(claim="")

    def claim(self) -> str:
        """Make them nobody else's, as far as they are due and nobody's yet.

        Returns: The claim, which they have from now on.
        """
        claim = uuid4().hex
        self.is_due().update(claim=claim, claimed_at=timezone.now())
        return claim

    def postpone(self, until: datetime) -> int:
        """Let anybody send them, from then on. Returns: how many they were."""
        return int(self.update(claim="", claimed_at=None, due_date=until))


class DelayedMessage(models.Model):
    """A message, where it is to be sent, and when.

    Attributes:
        due_date: When it is to be sent.
        channel_name: Where to.
        content: The message, as JSON text; bytes in it as `dump_content` has them.
        layer: The alias of the channel's layer.
        key: Unique: what is stored once more, because nobody answered, is stored once.
        claim: Who is sending it; empty while nobody is.
        claimed_at: Since when.
    """

    due_date = models.DateTimeField(db_index=True)
    channel_name = models.CharField(max_length=512)
    content = models.TextField()
    layer = models.CharField(max_length=100, default=DEFAULT_CHANNEL_LAYER)
    key = models.UUIDField(default=uuid4, unique=True, editable=False)
    claim = models.CharField(max_length=32, default="", blank=True, editable=False)
    claimed_at = models.DateTimeField(null=True, db_index=True, editable=False)

    objects = DelayedMessageQuerySet.as_manager()

    _delay: int | None = None

    class Meta:
        verbose_name = "delayed message"

    def __str__(self) -> str:
        return f"{self.channel_name} at {self.due_date}"

    @classmethod
    def stored(cls) -> Any:
        """All rows, in the database that is written to: a copy may be late."""
        return cls.objects.using(router.db_for_write(cls))

    @property
    def delay(self) -> int | None:
        """Milliseconds from the moment at which it was set; None where `due_date` was.

        Raises: ValueError: It is set to something else than 0 to ten years.
        """
        return self._delay

    @delay.setter
    def delay(self, milliseconds: int) -> None:
        self._delay = check_delay(milliseconds)
        self.due_date = timezone.now() + timedelta(milliseconds=milliseconds)

    @property
    def message(self) -> dict[str, Any]:
        """The content as it is sent.

        Raises:
            ValueError: The text is no JSON object. TypeError: No layer carries it.
            MessageTooLarge: It is larger than a layer carries.
        """
        return copy_message(load_content(self.content))

    @message.setter
    def message(self, message: dict[str, Any]) -> None:
        self.content = dump_content(message)

    def send(self, channel_layer: Any = None, requeue_delay: int = REQUEUE_DELAY_MS) -> bool:
        """Send it now, if nobody else does, and delete it.

        Where its channel is full, it is due again after *requeue_delay* milliseconds.

        Args:
            channel_layer: The layer, as `channel_layers` gives it, if not that of its alias.

        Returns: Whether it was sent, by this call.

        Raises:
            ValueError, TypeError, MessageTooLarge: It can never be sent; it is deleted.
            LayerUnavailable: It was not sent. It is kept, unless it may have been sent.
        """
        if self.pk is None:
            raise ValueError("A delayed message is sent from the database: save it first")
        row = self.stored().filter(pk=self.pk)
        claim = uuid4().hex
        if not row.unclaimed().update(claim=claim, claimed_at=timezone.now()):
            return False
        mine = row.filter(claim=claim)
        try:
            channel = Channel(self.channel_name, self.layer, channel_layer)
            channel.send(self.message, immediately=True)
        except ChannelFull:
            self.delay = requeue_delay
            mine.postpone(self.due_date)
            return False
        except Unanswered:
            mine.delete()
            raise
        except LayerUnavailable:
            mine.postpone(self.due_date)
            raise
        except Exception:
            mine.delete()
            raise
        mine.delete()
        return True
