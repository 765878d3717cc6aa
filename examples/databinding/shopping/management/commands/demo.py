"""`manage.py demo`: a list to start with."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from shopping.models import Item

ITEMS = (
    ("Bread", 1, True),
    ("Tomatoes", 6, False),
    ("Coffee", 2, False),
    ("Lemons", 3, False),
    ("Candles", 12, True),
)


class Command(BaseCommand):
    """Idempotent: a list that has anything on it stays as it is."""

    help = "Put a few things on the list, if it is empty."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        if not Item.objects.exists():
            for name, amount, done in ITEMS:
                Item.objects.create(name=name, amount=amount, done=done)
        self.stdout.write(
            self.style.SUCCESS(
                "Open the list in two windows; the server says where when it listens."
            )
        )
