"""`manage.py demo`: an empty chart to begin with."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from chart.models import Point


class Command(BaseCommand):
    help = "Forget what was measured and marked more than ten minutes ago."

    def handle(self, *args: Any, **options: Any) -> None:
        Point.forget_old()
        self.stdout.write(
            self.style.SUCCESS(
                "Open the page in two windows, and click into a chart; "
                "the server says where when it listens."
            )
        )
