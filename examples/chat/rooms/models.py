"""What the chat remembers: rooms, what was said in them, and whose socket is in which."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from django.utils.text import slugify

from rooms.people import as_person
from txchannels.django import Group

__all__ = ["Message", "Presence", "Room"]

PAGE = 50


class Room(models.Model):
    """A place to talk. Its sockets are the members of its group."""

    name = models.CharField(max_length=60, unique=True)
    slug = models.SlugField(max_length=60, unique=True, allow_unicode=True, editable=False)
    topic = models.CharField(max_length=140, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    #: Counts the changes to who is here, so that the newest of two lists can be told.
    people_version = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("room", args=[self.slug])

    @property
    def group(self) -> Group:
        """All sockets in the room."""
        return Group(f"room-{self.pk}")

    def clean(self) -> None:
        self.slug = slugify(self.name, allow_unicode=True)
        if self.name and not self.slug:
            raise ValidationError({"name": "Use at least one letter or digit."})
        if Room.objects.filter(slug=self.slug).exclude(pk=self.pk).exists():
            raise ValidationError({"name": "There is a room with such a name already."})

    def history(self, *, after: int = 0, before: int | None = None) -> dict[str, Any]:
        """The newest page of messages between two ids, oldest first.

        Returns: The messages, and whether there are ``earlier`` ones that it leaves out.
        """
        found = self.messages.select_related("author").filter(pk__gt=after)
        if before is not None:
            found = found.filter(pk__lt=before)
        newest = list(found.order_by("-pk")[: PAGE + 1])
        return {
            "messages": [message.as_dict() for message in reversed(newest[:PAGE])],
            "earlier": len(newest) > PAGE,
        }


class Message(models.Model):
    """Something that was said in a room.

    The nonce is the browser's name for it. A browser that does not know whether a message
    arrived sends it again, with the same nonce, and it is still said once.
    """

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.TextField(max_length=2000)
    sent = models.DateTimeField(auto_now_add=True)
    nonce = models.UUIDField()

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=("room", "author", "nonce"), name="said_once"),
        )

    def __str__(self) -> str:
        return f"{self.author}: {self.text:.40}"

    def as_dict(self) -> dict[str, Any]:
        """The message as browsers get it."""
        return {
            "id": self.pk,
            "author": as_person(self.author),
            "text": self.text,
            "sent": self.sent.isoformat(),
            "nonce": self.nonce.hex,
        }


class Presence(models.Model):
    """One socket of one user in one room; a user with three tabs has three.

    `rooms.presence` is the only module that reads and writes them.
    """

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="presences")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    socket = models.CharField(max_length=100, unique=True)

    class Meta:
        verbose_name_plural = "presences"

    def __str__(self) -> str:
        return f"{self.user} in {self.room}"
