"""Long polls: a response that is held until there is something to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from txchannels.protocols.eventstream import Event, encode_json
from txchannels.protocols.feeds.base import Feed, FeedCarrier, make_fields, read_options
from txchannels.protocols.responses import IllegalResponse

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.exchange import Exchange
    from txchannels.protocols.site import Site

__all__ = ["PollFeed"]

_FIELDS = ((b"Cache-Control", b"no-store"),)
_CONTENT_TYPE = (b"Content-Type", b"application/json")


class PollFeed(Feed):
    """A long poll: it is answered with all that the first batch brings."""

    __slots__ = ("_cursor", "_events", "_events_bytes", "_is_ripe", "_timeout_seconds")

    def __init__(
        self, site: Site, carrier: FeedCarrier, exchange: Exchange, message: Message
    ) -> None:
        super().__init__(site, carrier, exchange, message)
        self._timeout_seconds = read_options(message, "poll", timeout=25.0)["timeout"]
        self._events: list[Event] = []
        self._events_bytes = 0
        self._cursor: str | None = None
        self._is_ripe = False

    def _open(self) -> None:
        """Nothing is said before the answer."""

    def _send(self, events: Sequence[Event], lines: bytes = b"") -> None:
        for event in events:
            if event.id is not None:
                self._cursor = event.id
            if event.data is not None or event.close is not None:
                self._events.append(event)
                self._events_bytes += event.size
        if self._events_bytes > self._site.websocket.max_unsent_bytes:
            self.answer()  # the next poll asks for the rest
        elif self._events and self.is_live:
            self._ripen()

    def _gone_live(self) -> None:
        if self._events or self._exchange.head.method == "HEAD":
            self._ripen()

    def _ripen(self) -> None:
        if not self._is_ripe:
            self._is_ripe = True
            self._site.feeds.after_batch(self.answer)

    def answer(self) -> None:
        """Answer with all that has come; 204 if nothing has."""
        exchange = self._exchange
        if exchange.is_over or exchange.status:
            return
        status, body = (200, encode_json(self._events)) if self._events else (204, b"")
        try:
            fields = make_fields(self._fields, _FIELDS)
            if self._cursor is not None:
                fields.append((b"Last-Event-ID", self._cursor.encode()))
            if self._events:
                fields.append(_CONTENT_TYPE)
            self._carrier.write_response(exchange, status, fields, body, False)
        except (IllegalResponse, TypeError, AttributeError, ValueError) as error:
            exchange.response_failed(error)

    stop = answer

    def check(self, now: float) -> None:
        if self.is_live and now - self._since >= self._timeout_seconds:
            self.answer()
