"""Responses that go on with what groups and others send: event streams and long polls.

The application's first message makes an exchange one of them; no thread waits for the
rest. What clients have missed comes first (``replay``); live messages are held until
that is complete. What is in both is sent once, if it has an ``id``.

Source: HTML Standard, section 9.2, "Server-sent events"; ``docs/events.md`` for polls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from txchannels.protocols.feeds.base import Feed, FeedCarrier
from txchannels.protocols.feeds.held import Held
from txchannels.protocols.feeds.poll import PollFeed
from txchannels.protocols.feeds.register import Feeds
from txchannels.protocols.feeds.stream import EventFeed
from txchannels.protocols.responses import IllegalResponse

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message
    from txchannels.protocols.exchange import Exchange
    from txchannels.protocols.site import Site

__all__ = ["Feed", "FeedCarrier", "Feeds", "Held", "is_feed", "open_feed"]


def is_feed(message: Message) -> bool:
    """Whether *message*, the first of a response, makes it a feed."""
    return "events" in message or "poll" in message


def open_feed(site: Site, carrier: FeedCarrier, exchange: Exchange, message: Message) -> Feed:
    """The kind of feed that *message* asks for, the first of a response; not started yet.

    Raises: IllegalResponse: It asks for none that there is.
    """
    if ("events" in message) == ("poll" in message):
        raise IllegalResponse("A response has 'events' or 'poll', not both")
    if message.get("content") or message["status"] != 200:
        raise IllegalResponse("An event stream or poll has status 200 and no content of its own")
    kind = EventFeed if "events" in message else PollFeed
    return kind(site, carrier, exchange, message)
