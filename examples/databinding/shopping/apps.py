"""The list's one app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["ShoppingConfig"]


class ShoppingConfig(AppConfig):
    name = "shopping"

    def ready(self) -> None:
        # A binding sends from every process that has imported it: here, also from the shell.
        from shopping import bindings  # noqa: F401
