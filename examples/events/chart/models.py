"""What the chart shows: a point a second, and what visitors have marked."""

from __future__ import annotations

import json
import time
from typing import Any

from django.db import models

from txchannels.django import Group

__all__ = ["Point", "Second", "everyone"]

#: What a chart shows, and how long anything is kept.
SHOWN_SECONDS = 60
KEPT_SECONDS = 600


def everyone() -> Group:
    """All who look at the chart, whatever kind of client they are."""
    return Group("chart")


class Point(models.Model):
    """One point of the line, or a visitor's mark.

    Their ids count up in the order in which they are sent, so the last id that a client has
    had says what it has missed.
    """

    at = models.FloatField(db_index=True)
    value = models.FloatField()
    #: Of a mark: its colour, in degrees. Points of the line have none.
    hue = models.PositiveSmallIntegerField(null=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.value:.1f} at {self.at:.1f}"

    def as_message(self) -> dict[str, Any]:
        """What its group is sent, and every client gets."""
        text = {"id": self.pk, "at": self.at, "value": self.value, "hue": self.hue}
        return {"text": json.dumps(text), "id": self.pk}

    @classmethod
    def missed(cls, last: str) -> list[dict[str, Any]]:
        """What a client has missed that has had the point *last*; at first, all that is shown."""
        points = cls.objects.filter(at__gt=time.time() - SHOWN_SECONDS)
        if last.isdecimal() and len(last) < 16:
            points = points.filter(pk__gt=int(last))
        return [point.as_message() for point in points]

    @classmethod
    def forget_old(cls) -> None:
        cls.objects.filter(at__lt=time.time() - KEPT_SECONDS).delete()


class Second(models.Model):
    """A second that somebody measures, or has measured: nobody else does."""

    number = models.PositiveBigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def take(cls, number: int) -> bool:
        """Whether it is ours to measure."""
        _, is_ours = cls.objects.get_or_create(number=number)
        if is_ours:
            cls.objects.filter(number__lt=number - KEPT_SECONDS).delete()
        return is_ours
