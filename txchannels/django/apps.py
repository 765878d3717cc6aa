"""``"txchannels.django"`` in ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["TxchannelsConfig"]


class TxchannelsConfig(AppConfig):
    """Has no models; connects the receivers that every worker needs."""

    name = "txchannels.django"
    label = "txchannels"
    verbose_name = "txchannels"

    def ready(self) -> None:
        from txchannels.django import signals  # noqa: F401
        from txchannels.django.binding import BindingMetaclass
        from txchannels.django.checks import register_all
        from txchannels.django.management.precedence import take_runserver
        from txchannels.django.users.receivers import connect_receivers

        BindingMetaclass.register_all()
        connect_receivers()
        register_all()
        take_runserver()
