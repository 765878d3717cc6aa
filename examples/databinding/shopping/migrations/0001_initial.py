# ruff: noqa: RUF012

import django.core.validators
from django.db import migrations, models

import shopping.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        error_messages={
                            "blank": "Write what it is.",
                            "unique": "That is on the list already.",
                        },
                        max_length=60,
                        unique=True,
                        validators=[shopping.models.check_name],
                    ),
                ),
                (
                    "amount",
                    models.PositiveSmallIntegerField(
                        default=1,
                        error_messages={
                            "invalid": "Say how many, as a number.",
                            "null": "Say how many.",
                        },
                        validators=[
                            django.core.validators.MinValueValidator(1, "Buy at least one."),
                            django.core.validators.MaxValueValidator(99, "Buy at most 99."),
                        ],
                    ),
                ),
                ("done", models.BooleanField(default=False)),
                ("version", models.PositiveIntegerField(default=0, editable=False)),
            ],
            options={
                "ordering": ("pk",),
            },
        ),
    ]
