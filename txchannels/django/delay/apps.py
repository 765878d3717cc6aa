"""``"txchannels.django.delay"`` in ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["DelayConfig"]


class DelayConfig(AppConfig):
    """Has the table of the messages for later; its routes come with the default ones."""

    name = "txchannels.django.delay"
    label = "txchannels_delay"
    verbose_name = "Delayed messages"
    default_auto_field = "django.db.models.BigAutoField"
