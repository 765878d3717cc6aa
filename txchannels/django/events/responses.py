"""Responses that join groups: what these are sent, the client is sent.

For middleware they are ordinary responses with no content yet: status, headers and
cookies are theirs to change, as of any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from txchannels.django.channel import Channel, Group
from txchannels.django.events.missed import in_batches, last_event_id
from txchannels.django.message import Message

__all__ = ["EventStreamResponse", "FeedResponse", "LongPollResponse", "Replay"]

#: Called with the id of the last event that the client has had; returns those after it.
Replay = Callable[[str], Iterable["dict[str, Any] | str"]]

#: `no-store` is what it means; `private` keeps Django's own cache from it.
_CACHE_CONTROL = "no-store, private"


class FeedResponse(HttpResponse):
    """What event streams and long polls have in common.

    The groups are joined when the response goes out, after all middleware; then *replay* is
    asked what the client has missed. So what is sent while that is read comes after it, and
    nothing falls between the two.

    Args:
        source: The request, or the message of ``http.request``.
        groups: One or several, by name or as `Group`; on the layer of the request.
        replay: What the client has missed, and is sent first. None is nothing.
        headers: More headers.

    Raises:
        ImproperlyConfigured: The request has not come through ``twistd channels``.
        TypeError: No group may have that name.
    """

    def __init__(
        self,
        source: HttpRequest | Message,
        groups: str | Group | Iterable[str | Group],
        *,
        replay: Replay | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(headers={"Cache-Control": _CACHE_CONTROL, **(headers or {})})
        self.headers.setdefault("X-Content-Type-Options", "nosniff")
        request = _request_of(source)
        self.reply_channel = _reply_channel_of(request)
        self.last_event_id = last_event_id(request)
        named = [groups] if isinstance(groups, str | Group) else list(groups)
        layer = self.reply_channel.channel_layer
        self.groups = [Group(str(one), channel_layer=layer) for one in named]
        self._replay = replay
        self._options: dict[str, dict[str, float]] = {}

    @property
    def is_feed(self) -> bool:
        """Whether it is one still: a status other than 200 makes it an ordinary response."""
        return self.status_code == 200

    def encode(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Join the groups, and make the response's messages; *message* begins the first."""
        for group in self.groups:
            group.add(self.reply_channel)
        message = {**message, **self._options}
        missed = () if self._replay is None else self._replay(self.last_event_id)
        batches = in_batches(missed)
        batch = next(batches, None)
        for following in chain(batches, (None,)):
            message["replay"] = batch or []
            message["more_content"] = following is not None
            yield message
            message, batch = {}, following

    def send(self) -> None:
        """Send it: for consumers of ``http.request``. A view returns it instead."""
        from txchannels.django.handler import AsgiHandler

        for message in AsgiHandler.encode_response(self):
            self.reply_channel.send(message)


class EventStreamResponse(FeedResponse):
    """An event stream: what ``new EventSource(url)`` of a browser asks for.

    Args:
        source, groups, replay, headers: As of `FeedResponse`.
        heartbeat: After so many seconds without an event, the client is sent one named
            ``heartbeat``; 0 for never.
        retry: So many seconds after it has lost the stream the client comes back.
    """

    def __init__(
        self,
        source: HttpRequest | Message,
        groups: str | Group | Iterable[str | Group],
        *,
        replay: Replay | None = None,
        heartbeat: float = 15.0,
        retry: float = 3.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(source, groups, replay=replay, headers=headers)
        self.headers["Content-Type"] = "text/event-stream"
        self.headers.setdefault("X-Accel-Buffering", "no")
        self._options["events"] = _check_seconds(heartbeat=heartbeat, retry=retry)


class LongPollResponse(FeedResponse):
    """A long poll: the answer is held until there is something to say.

    It is a JSON array of what has come, or 204 without content after *timeout*.

    Args:
        source, groups, replay, headers: As of `FeedResponse`. With something to replay, it
            is answered at once.
        timeout: Seconds; shorter than what proxies on the way allow.
    """

    def __init__(
        self,
        source: HttpRequest | Message,
        groups: str | Group | Iterable[str | Group],
        *,
        replay: Replay | None = None,
        timeout: float = 25.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(source, groups, replay=replay, headers=headers)
        self.headers["Content-Type"] = "application/json"
        self._options["poll"] = _check_seconds(timeout=timeout)


def _request_of(source: HttpRequest | Message) -> HttpRequest:
    if not isinstance(source, Message):
        return source
    from txchannels.django.request import AsgiRequest

    return AsgiRequest(source)


def _reply_channel_of(request: HttpRequest) -> Channel:
    channel = getattr(request, "reply_channel", None)
    if not isinstance(channel, Channel):
        raise ImproperlyConfigured(
            f"{request!r} has no reply channel, so no group can reach its client: event streams "
            "and long polls need a request that came through `twistd channels` (in a test: "
            "txchannels.django.test.EventClient)"
        )
    return channel


def _check_seconds(**times: float) -> dict[str, float]:
    for name, value in times.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= 86_400:
            raise ValueError(f"{name} must be from 0 to 86400 seconds, not {value!r}")
    return times
