"""Event streams: a response without an end (HTML Standard, section 9.2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from txchannels.protocols.eventstream import HEARTBEAT, Event, encode_events, encode_retry
from txchannels.protocols.feeds.base import Feed, FeedCarrier, make_fields, read_options

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.exchange import Exchange
    from txchannels.protocols.site import Site

__all__ = ["EventFeed"]

#: How long a message may be on its way that is in the history already, at most.
_REMEMBER_SECONDS = 60.0

#: Heartbeats are spread over so much of their interval, before its end.
_HEARTBEAT_SPREAD = 0.25

_FIELDS = (
    (b"Content-Type", b"text/event-stream"),
    (b"Cache-Control", b"no-store"),
    (b"X-Accel-Buffering", b"no"),  # nginx would hold events back
)


class EventFeed(Feed):
    """An event stream: it is sent to until one of both sides ends it."""

    __slots__ = ("_beat_at", "_heartbeat_seconds", "_is_quiet", "_retry_seconds")

    def __init__(
        self, site: Site, carrier: FeedCarrier, exchange: Exchange, message: Message
    ) -> None:
        super().__init__(site, carrier, exchange, message)
        options = read_options(message, "events", heartbeat=15.0, retry=3.0)
        spread = 1 - random.random() * _HEARTBEAT_SPREAD  # noqa: S311 - no secret
        self._heartbeat_seconds = options["heartbeat"] * spread
        self._retry_seconds = options["retry"]
        self._is_quiet = True
        self._beat_at = self._since + self._heartbeat_seconds

    def _open(self) -> None:
        fields = make_fields(self._fields, _FIELDS)
        self._fields = []
        hello = encode_retry(self._retry_seconds)
        self._carrier.write_response(self._exchange, 200, fields, hello, True)
        if self.is_open:
            self._carrier.watch_client(self._exchange)

    def _gone_live(self) -> None:
        # Who sends to a slow client does not wait for it: what waits for it is bounded.
        self._site.inbox.resume(self._exchange.reply_channel)

    def _send(self, events: Sequence[Event], lines: bytes = b"") -> None:
        last = next((at for at, event in enumerate(events) if event.close is not None), None)
        if last is not None:
            events = events[: last + 1]
        self._write(lines or encode_events(events), is_last=last is not None)

    def _write(self, content: bytes, *, is_last: bool = False) -> None:
        """Write whole events. A client that does not take them is dropped when it is too much.

        A history cannot be: it goes no faster than the client takes it.
        """
        exchange = self._exchange
        if exchange.is_over or not (content or is_last):
            return
        self._is_quiet = False
        unsent = self._carrier.unsent_bytes(exchange)
        limit = self._site.websocket.max_unsent_bytes
        if self.is_live and unsent and unsent + len(content) > limit:
            self._site.count("events.unsent_bytes")
            self.abort()
            return
        self._carrier.write_chunk(exchange, content, not is_last)

    def stop(self) -> None:
        # Those that come back are spread over as much time again
        spread = 0.5 + random.random()  # noqa: S311 - no secret
        self._write(encode_retry(self._retry_seconds * spread), is_last=True)

    def check(self, now: float) -> None:
        if self._replayed is not None and self.is_live and now - self._since > _REMEMBER_SECONDS:
            self._replayed = None
        if not self.is_live and self._is_history_late(now):
            self._site.count("events.history_timeout")
            self.stop()  # a worker of another host may have died
            return
        lifetime = self._site.websocket.max_lifetime_seconds
        if lifetime and now - self._since > lifetime:
            self._site.count("events.lifetime")
            self.stop()
        elif not self._is_quiet:
            self._is_quiet = True
            self._beat_at = now + self._heartbeat_seconds
        elif self._heartbeat_seconds and now >= self._beat_at:
            self._write(HEARTBEAT)
            self._is_quiet = True
            self._beat_at = now + self._heartbeat_seconds

    def _is_history_late(self, now: float) -> bool:
        """Whether the application has not gone on with it, though the client has taken all."""
        if self._carrier.unsent_bytes(self._exchange):
            self._since = now
        return now - self._since > self._site.http.response_timeout_seconds
