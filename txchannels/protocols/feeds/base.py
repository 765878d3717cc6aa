"""What event streams and long polls have in common: from the history to live messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

from txchannels.protocols.eventstream import Event, read_event
from txchannels.protocols.replies import IllegalReply
from txchannels.protocols.responses import IllegalResponse

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.exchange import Exchange
    from txchannels.protocols.site import Site

__all__ = ["Feed", "FeedCarrier", "make_fields", "read_options"]

log = Logger()

#: Fields of the application that cannot hold for what is sent, or are ours to set.
_NOT_THEIRS = frozenset((b"content-length", b"content-encoding", b"content-type"))

#: In bytes, what an id takes beside its text to be remembered.
_ID_BYTES = 64


class FeedCarrier(Protocol):
    """The connection or stream of HTTP/2, as far as a feed uses it."""

    def write_response(
        self, exchange: Exchange, status: int, fields: Any, content: bytes, more: bool
    ) -> None: ...

    def write_chunk(self, exchange: Exchange, content: bytes, more: bool) -> None: ...

    def exchange_broken(self, exchange: Exchange) -> None: ...

    def unsent_bytes(self, exchange: Exchange) -> int: ...

    def watch_client(self, exchange: Exchange) -> None: ...


class Feed:
    """One such response, from the application's first message to its end.

    Attributes:
        is_live: Whether what was missed is sent, and all that comes is sent at once.

    Thread: the reactor's.
    """

    __slots__ = (
        "_carrier",
        "_exchange",
        "_fields",
        "_held",
        "_held_bytes",
        "_is_overfull",
        "_replayed",
        "_replayed_bytes",
        "_since",
        "_site",
        "is_live",
    )

    def __init__(
        self, site: Site, carrier: FeedCarrier, exchange: Exchange, message: Message
    ) -> None:
        self._site = site
        self._carrier = carrier
        self._exchange = exchange
        self._fields = list(message.get("headers") or ())
        self._held: list[Event] = []
        self._held_bytes = 0
        self._is_overfull = False
        self._replayed: dict[str, None] | None = {}
        self._replayed_bytes = 0
        self._since = site.clock()
        self.is_live = False

    @property
    def is_open(self) -> bool:
        """Whether it is still sent to."""
        return not self._exchange.is_over

    # From the application

    def start(self, message: Message, held: Iterable[Message], is_overfull: bool) -> None:
        """Begin with its first message; *held* is what groups have sent before it.

        Raises: IllegalResponse, TypeError, ValueError: It cannot be sent.
        """
        self._is_overfull = is_overfull
        self._open()
        if not self.is_open:
            return  # of HEAD
        self._site.feeds.add(self)
        for one in held:
            try:
                self.push((read_event(one),))
            except IllegalReply as error:
                self.refuse(1)
                log.error("Dropped a message to an event stream or poll: {error}", error=error)
        self.replay(message)

    def replay(self, message: Message) -> None:
        """Send what the client has missed; without ``more_content``, it is live then.

        Raises: IllegalResponse: An event of it cannot be sent; nothing of it is.
        """
        try:
            events = [read_event(one) for one in message.get("replay") or ()]
        except (IllegalReply, TypeError, AttributeError) as error:
            raise IllegalResponse(f"A missed event cannot be sent: {error}") from None
        self._since = self._site.clock()
        self._remember(events)
        self._send(events)
        if self.is_open and not message.get("more_content"):
            self._go_live()

    def _go_live(self) -> None:
        self.is_live = True
        self._since = self._site.clock()
        held, self._held = self._held, []
        self._send(self._without_replayed(held))
        if self._is_overfull or self._site.is_stopping:
            self.stop()  # who comes back is sent what it has missed
        elif self.is_open:
            self._gone_live()

    def message_received(self, message: Message) -> None:
        """Take what was sent to the reply channel after that.

        Raises:
            IllegalReply: It cannot be sent, and is dropped.
            IllegalResponse: It is of what was missed; the response cannot be completed.
        """
        if not self.is_live and ("replay" in message or "more_content" in message):
            self.replay(message)
        else:
            self.event_received(message)

    def event_received(self, message: Message) -> None:
        """Take what can be an event alone.

        Raises: IllegalReply: It cannot be sent, and is dropped.
        """
        try:
            event = read_event(message)
        except IllegalReply:
            self.refuse(1)
            raise
        self.push((event,))

    def push(self, events: Sequence[Event], lines: bytes = b"") -> None:
        """Send *events*, now or after what was missed.

        Args:
            lines: The same as an event stream has them, if they were encoded already.
        """
        if not self.is_live:
            for event in events:
                self._hold(event)
        elif self._replayed:
            self._send(self._without_replayed(events))
        else:
            self._send(events, lines)

    def abort(self) -> None:
        """Break it off."""
        self._carrier.exchange_broken(self._exchange)

    def refuse(self, count: int) -> None:
        """So many messages could not be sent."""
        self._site.counters["events.refused"] += count

    def _hold(self, event: Event) -> None:
        if self._held_bytes + event.size > self._site.websocket.max_unsent_bytes:
            self._site.count("events.held_too_much")
            self._is_overfull = True
            return
        self._held_bytes += event.size
        self._held.append(event)

    def _remember(self, events: Iterable[Event]) -> None:
        """Note the ids of *events*, the newest: what is live already is not as old as others."""
        replayed = self._replayed
        assert replayed is not None
        limit = self._site.websocket.max_unsent_bytes
        for event in events:
            if event.id is not None and event.id not in replayed:
                replayed[event.id] = None
                self._replayed_bytes += _ID_BYTES + len(event.id)
        while self._replayed_bytes > limit:
            oldest = next(iter(replayed))
            del replayed[oldest]
            self._replayed_bytes -= _ID_BYTES + len(oldest)

    def _without_replayed(self, events: Sequence[Event]) -> Sequence[Event]:
        replayed = self._replayed
        if not replayed:
            return events
        return [event for event in events if event.id is None or event.id not in replayed]

    # What the two kinds do

    def _open(self) -> None:
        """Say that it begins."""
        raise NotImplementedError

    def _send(self, events: Sequence[Event], lines: bytes = b"") -> None:
        """Send *events*, after which it may be over."""
        raise NotImplementedError

    def _gone_live(self) -> None:
        """What was missed is sent."""

    def stop(self) -> None:
        """End it so that the client comes back soon: the server restarts, or it is too old."""
        raise NotImplementedError

    def check(self, now: float) -> None:
        """Hold it to its times; called again and again."""
        raise NotImplementedError


def read_options(message: Message, key: str, **defaults: float) -> dict[str, float]:
    """The times that *message* gives at *key*, in seconds, and for the others *defaults*."""
    given = message[key]
    if not isinstance(given, dict) or not given.keys() <= defaults.keys():
        allowed = ", ".join(defaults)
        raise IllegalResponse(f"{key!r} must be a dict with no keys but {allowed}: {given!r:.80}")
    for name, value in given.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not isfinite(value) or not 0 <= value <= 86_400:
            raise IllegalResponse(f"{key}[{name!r}] must be seconds, not {value!r:.40}")
    return {**defaults, **given}


def make_fields(
    given: Iterable[Any], own: Iterable[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """The application's fields as far as they can hold, and ours where it has none of the name."""
    fields = []
    names = set()
    for name, value in given:
        encoded = name if isinstance(name, bytes) else name.encode("latin-1")
        lower = encoded.lower()
        if lower not in _NOT_THEIRS:
            fields.append((encoded, value))
            names.add(lower)
    return fields + [(name, value) for name, value in own if name.lower() not in names]
