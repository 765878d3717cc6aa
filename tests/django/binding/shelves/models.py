"""Models of every kind that a binding may meet."""

# Written as sites write them.
# ruff: noqa: RUF012, DJ008

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.db import models


class ShelfManager(models.Manager):
    def get_by_natural_key(self, name):
        return self.get(name=name)


class Shelf(models.Model):
    name = models.CharField(max_length=20, unique=True)
    objects = ShelfManager()


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Item(models.Model):
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, blank=True)
    name = models.CharField(max_length=20)
    amount = models.IntegerField(default=0)
    done = models.BooleanField(default=False)
    price = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    due = models.DateTimeField(null=True, blank=True)
    day = models.DateField(null=True, blank=True)
    stars = models.FloatField(null=True, blank=True)
    more = models.JSONField(default=dict, blank=True)
    plan = models.FileField(blank=True)
    owner = models.CharField(max_length=20, editable=False, default="nobody")
    tags = models.ManyToManyField(Tag, blank=True)

    class Meta:
        unique_together = [("shelf", "name")]

    def clean(self):
        if self.name == "cursed":
            raise ValidationError("Not this one.")
        if self.name == "":
            raise ValidationError({"name": "This field cannot be blank."})

    def label(self):
        return f"{self.amount} x {self.name}"

    @property
    def shelf_name(self):
        return self.shelf and self.shelf.name


class ItemOnPaper(Item):
    """A proxy: the same rows."""

    class Meta:
        proxy = True

    def on_paper(self):
        return f"paper-{self.name}"


class Book(Item):
    """A child: a row of its own beside the item's."""

    pages = models.IntegerField(default=1)


class Loan(models.Model):
    item = models.ForeignKey(Item, models.PROTECT)


class Code(models.Model):
    code = models.CharField(max_length=5, primary_key=True)
    name = models.CharField(max_length=20, blank=True)
    tags = models.ManyToManyField(Tag)


class Token(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=20)


class Draft(models.Model):
    class Meta:
        abstract = True


ALL = (Shelf, Tag, Item, Book, Loan, Code, Token)
