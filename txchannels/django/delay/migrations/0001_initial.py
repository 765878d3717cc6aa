"""The table of the messages for later."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="DelayedMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("due_date", models.DateTimeField(db_index=True)),
                ("channel_name", models.CharField(max_length=512)),
                ("content", models.TextField()),
                ("layer", models.CharField(default="default", max_length=100)),
                ("key", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("claim", models.CharField(blank=True, default="", editable=False, max_length=32)),
                ("claimed_at", models.DateTimeField(db_index=True, editable=False, null=True)),
            ],
            options={"verbose_name": "delayed message"},
        ),
    ]
