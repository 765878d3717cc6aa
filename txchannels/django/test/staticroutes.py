"""A site's routes, and then its views with the static files of its apps beside them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.conf import settings

from txchannels.django.message import Message
from txchannels.django.routing import Include, Match, Route, RouteTable

__all__ = ["RoutesAndStaticFiles"]


class RoutesAndStaticFiles:
    """A route for what *routing* routes, and for requests.

    The routing is imported when it is first used: settings can hold this object.
    """

    def __init__(self, routing: Any) -> None:
        self._routing = routing

    @cached_property
    def _table(self) -> RouteTable:
        routes: list[Any] = [Include(self._routing)]
        # As the app itself says: without it, or without STATIC_URL, there are no such files.
        if "django.contrib.staticfiles" in settings.INSTALLED_APPS and settings.STATIC_URL:
            from txchannels.django.staticfiles import StaticFilesConsumer

            routes.append(Route("http.request", StaticFilesConsumer()))
        return RouteTable(routes)

    def match(self, message: Message) -> Match | None:
        """As of any route."""
        return self._table.match(message)

    def channel_names(self) -> set[str]:
        return self._table.channels
