"""The list, bound to every page that shows it. This is all that makes it live."""

from __future__ import annotations

from typing import Any

from shopping.models import Item
from txchannels.django.binding.websockets import WebsocketBinding

__all__ = ["ItemBinding"]


class ItemBinding(WebsocketBinding):
    """Every page is told of every item; and whoever has the page may change them."""

    model = Item
    stream = "items"
    fields = ("name", "amount", "done", "version")

    # This site has no users.
    channel_session_user = False

    @classmethod
    def group_names(cls, instance: Item) -> list[str]:
        return ["items"]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        return True
