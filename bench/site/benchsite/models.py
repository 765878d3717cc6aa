"""The one table, for the view that reads one row."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    """A row to read."""

    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text
