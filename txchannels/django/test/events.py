"""A client of views that answer with event streams and long polls, in the test's own thread."""

from __future__ import annotations

from collections import deque
from random import choices
from string import ascii_lowercase
from typing import Any

from django.http import HttpRequest
from django.test import Client
from django.test.client import ClientHandler

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.channel import Channel
from txchannels.django.events.responses import FeedResponse
from txchannels.django.test.layers import next_message

__all__ = ["EventClient"]


class EventClient(Client):
    """Django's test client; its requests have reply channels, as those of the daemon have.

    Args:
        enforce_csrf_checks: As of Django's client, as are all others but *alias*.
        alias: Which of the site's layers it uses.
    """

    def __init__(
        self,
        enforce_csrf_checks: bool = False,
        *,
        alias: str = DEFAULT_CHANNEL_LAYER,
        **others: Any,
    ) -> None:
        super().__init__(enforce_csrf_checks, **others)
        self.alias = alias
        self.handler = _Handler(alias, enforce_csrf_checks)
        self._missed: dict[str, deque[dict[str, Any]]] = {}
        self._replayed: dict[str, set[str]] = {}

    def request(self, **request: Any) -> Any:
        """As Django's; an event stream or poll has then joined its groups."""
        response = super().request(**request)
        if isinstance(response, FeedResponse) and response.is_feed:
            missed = [event for one in response.encode({}) for event in one["replay"]]
            name = response.reply_channel.name
            self._missed[name] = deque(missed)
            self._replayed[name] = {event["id"] for event in missed if "id" in event}
        return response

    def receive(self, response: FeedResponse) -> dict[str, Any] | None:
        """The next event for the client that got *response*, as it was sent; None without one.

        What it has missed comes first. A poll would have been answered with all that there is.
        """
        name = getattr(getattr(response, "reply_channel", None), "name", "")
        if name not in self._missed:
            raise AssertionError(f"{response!r} is no event stream or poll of this client")
        if self._missed[name]:
            return self._missed[name].popleft()
        while (message := next_message(name, self.alias)) is not None:
            if str(message.content.get("id")) not in self._replayed[name]:
                return message.content
        return None

    def receive_all(self, response: FeedResponse) -> list[dict[str, Any]]:
        """All events that there are now."""
        events = []
        while (event := self.receive(response)) is not None:
            events.append(event)
        return events

    def leave(self, response: FeedResponse) -> None:
        """Go away, as who closes the page: it is in no group any more."""
        for group in response.groups:
            group.discard(response.reply_channel)


class _Handler(ClientHandler):
    """Gives each request a reply channel, such as the daemon makes."""

    def __init__(self, alias: str, enforce_csrf_checks: bool) -> None:
        super().__init__(enforce_csrf_checks)
        self._alias = alias

    def get_response(self, request: HttpRequest) -> Any:
        name = "".join(choices(ascii_lowercase, k=10))  # noqa: S311 - no secret
        request.reply_channel = Channel(f"test.events!{name}", alias=self._alias)
        return super().get_response(request)
