"""What is on the list. Everything that a client may not do to it is said here."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F

__all__ = ["MAX_AMOUNT", "MAX_ITEMS", "MAX_NAME", "Item", "check_name"]

MAX_AMOUNT = 99
MAX_ITEMS = 200
MAX_NAME = 60

#: Unicode's categories of controls, lone surrogates, and ends of lines and paragraphs.
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}

#: Unicode's classes of what turns the text after it around: the rest of the page, too.
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def check_name(name: str) -> None:
    """Refuse what nobody could read, or what would show something else than was written.

    Raises: ValidationError: It says the one reason.
    """
    if not name.strip():
        raise ValidationError("Write what it is.")
    for letter in name:
        if unicodedata.category(letter) in _CONTROLS or unicodedata.bidirectional(letter) in _TURNS:
            raise ValidationError("Use no characters that control or turn the text.")


class Item(models.Model):
    """One thing to buy.

    Its version counts the changes. Two people may change it at the same moment, and what
    their workers tell may arrive in either order: the higher version is the later one.
    """

    name = models.CharField(
        max_length=MAX_NAME,
        unique=True,
        validators=[check_name],
        error_messages={
            "blank": "Write what it is.",
            "unique": "That is on the list already.",
        },
    )
    amount = models.PositiveSmallIntegerField(
        default=1,
        error_messages={"null": "Say how many.", "invalid": "Say how many, as a number."},
        validators=[
            MinValueValidator(1, "Buy at least one."),
            MaxValueValidator(MAX_AMOUNT, f"Buy at most {MAX_AMOUNT}."),
        ],
    )
    done = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.amount} x {self.name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.version = F("version") + 1
        super().save(*args, **kwargs)

    def clean(self) -> None:
        self.name = self.name.strip()
        if self._state.adding and Item.objects.count() >= MAX_ITEMS:
            raise ValidationError(f"The list is full: {MAX_ITEMS} things are on it.")
