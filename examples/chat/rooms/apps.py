"""The chat's one app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["RoomsConfig"]


class RoomsConfig(AppConfig):
    name = "rooms"

    def ready(self) -> None:
        from rooms import logins  # noqa: F401 (connects its signal)
