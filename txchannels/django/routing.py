"""Which consumer a message goes to, by its channel and by regular expressions over its fields.

The first route that matches wins. Routes are kept by channel name, so a message is
compared only with those that name its channel.

Source: Channels 1, ``channels.routing``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from txchannels.django.below import below
from txchannels.django.dotted import DottedPathError, import_dotted
from txchannels.django.exceptions import DenyConnection
from txchannels.django.message import Message
from txchannels.django.signals import send_gap
from txchannels.django.unrouted import Ignore, accept
from txchannels.messages import GAP_CHANNEL

__all__ = ["Include", "Route", "RouteClass", "Router", "include", "route", "route_class"]

Consumer = Callable[..., Any]
Match = tuple[Consumer, dict[str, Any]]
Filters = tuple[tuple[str, re.Pattern[str]], ...]


class RouteLike(Protocol):
    """What a routing consists of; a site may bring its own."""

    def match(self, message: Message) -> Match | None:
        """The consumer for *message* and its keyword arguments, or None."""

    def channel_names(self) -> set[str]:
        """The channels whose messages it may match."""


class RouteTable:
    """Routes in the order of their precedence, found by channel.

    Args:
        routing: A list of routes, a dict of channel to consumer, or the dotted path of one.

    Attributes:
        channels: The channels of all routes.
        routes: The routes, in the order of their precedence.
    """

    def __init__(self, routing: Any) -> None:
        self.channels: set[str] = set()
        self.routes: list[RouteLike] = []
        self._by_channel: dict[str, list[Callable[[Message], Match | None]]] = {}
        for entry in _load_routing(routing):
            self.add_route(entry)

    def add_route(self, route: RouteLike) -> None:
        """Let *route* match what no earlier one matches."""
        self.routes.append(route)
        for name in route.channel_names():
            self._by_channel.setdefault(name, []).append(route.match)
            self.channels.add(name)

    def match(self, message: Message) -> Match | None:
        """The consumer for *message* and its keyword arguments, or None."""
        for match in self._by_channel.get(message.channel_name, ()):
            found = match(message)
            if found is not None:
                return found
        return None


class Router(RouteTable):
    """The routing of one layer; `channels` are the names that workers have to read.

    The site's own routes compare the path below the place where the site hangs, as Django's
    URLs do, whether a proxy has cut that off or not. What they do not take so they may take
    by its whole path, as in Channels 1.

    Attributes:
        root_path: Where the site hangs, for messages that do not say so: those of a socket,
            but for the first.
    """

    def __init__(self, routing: Any) -> None:
        super().__init__(routing)
        self.root_path: str = settings.FORCE_SCRIPT_NAME or ""
        self._defaults: list[Consumer] = []

    def match(self, message: Message) -> Match | None:
        """The consumer for *message* and its keyword arguments, or None."""
        root_path = message.content.get("root_path") or self.root_path
        if root_path:
            found = self._match_below(message, settings.FORCE_SCRIPT_NAME or root_path)
            if found is not None:
                return found
        return super().match(message)

    def _match_below(self, message: Message, script_name: str) -> Match | None:
        """What the site's own routes say to *message* at the path below *script_name*."""
        path = message.content.get("path")
        rest = below(path, script_name) if isinstance(path, str) else None
        if rest is None:
            return None
        content = message.content | {"path": rest}
        found = super().match(Message(content, message.channel_name, message.channel_layer))
        is_own = found is not None and not any(found[0] is one for one in self._defaults)
        return found if is_own else None

    def check_default(self, http_consumer: Consumer | None = None) -> None:
        """Add the routes that every site has, after its own; again is harmless.

        - ``http.request`` goes to *http_consumer*, or to Django's views;
        - ``websocket.receive`` and ``websocket.disconnect`` are ignored, the first not
          without a word (`unrouted.Ignore`);
        - ``websocket.connect`` is accepted, as in Channels 1, but only where the site
          routes some ``websocket.*`` channel itself. **Other than in Channels 1**, a site
          that knows nothing of WebSockets denies the handshake: it would only hold
          sockets open for strangers;
        - ``txchannels.gap`` becomes the signal `txchannels.django.signals.gap`, unless the
          site routes it itself;
        - ``asgi.delay`` is stored, if ``txchannels.django.delay`` is installed.
        """
        if self._defaults:
            return
        if http_consumer is None:
            from txchannels.django.handler import ViewConsumer

            http_consumer = ViewConsumer()
        knows_websockets = any(name.startswith("websocket.") for name in self.channels)
        routes = [
            Route("http.request", http_consumer),
            Route("websocket.connect", accept if knows_websockets else _deny),
            Route(["websocket.receive", "websocket.disconnect"], Ignore(self.match)),
        ]
        if GAP_CHANNEL not in self.channels:
            routes.append(Route(GAP_CHANNEL, send_gap))
        if apps.is_installed("txchannels.django.delay"):
            from txchannels.django.delay.routing import delay_routing

            routes += delay_routing
        for one in routes:
            self.add_route(one)
            self._defaults.append(one.consumer)


class Route:
    """Messages of some channels go to one consumer.

    Args:
        channels: A name, or several; text or bytes.
        consumer: A callable, or the dotted path of one.
        filters: Regular expressions by message key. Each must match the start of the
            message's value; their named groups become the consumer's keyword arguments.

    Raises:
        ImproperlyConfigured: The consumer does not exist or is not callable.
        ValueError: A filter has a group without a name.
    """

    def __init__(
        self, channels: str | bytes | Iterable[str | bytes], consumer: Any, **filters: Any
    ) -> None:
        names = [channels] if isinstance(channels, str | bytes) else channels
        self.channels = {_as_text(name) for name in names}
        self.consumer = _load_consumer(consumer, self.channels)
        self.filters = _compile(filters)

    def match(self, message: Message) -> Match | None:
        """The consumer and what the filters' named groups matched, or None."""
        if message.channel_name not in self.channels:
            return None
        kwargs: dict[str, Any] = {}
        for key, pattern in self.filters:
            found = pattern.match(text) if (text := _field(message, key)) is not None else None
            if found is None:
                return None
            kwargs.update(found.groupdict())
        return self.consumer, kwargs

    def channel_names(self) -> set[str]:
        return set(self.channels)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {sorted(self.channels)} -> {self.consumer!r}>"


class RouteClass(Route):
    """Messages of the channels that a consumer class names go to it.

    Args:
        consumer: A class with a callable ``channel_names``, or its dotted path.
        filters: As of `Route`.

    Raises: ValueError: It names no channels.
    """

    def __init__(self, consumer: Any, **filters: Any) -> None:
        consumer = _load_consumer(consumer, ())
        channel_names = getattr(consumer, "channel_names", None)
        if not callable(channel_names):
            raise ValueError(  # noqa: TRY004 - as Channels 1 has it
                f"The consumer {consumer!r} has no channel_names(); "
                "route it with route(channels, consumer)"
            )
        super().__init__(channel_names(), consumer, **filters)


class Include:
    """Another routing, for the messages whose fields begin as the filters say.

    What a filter matched is cut off before the inner routes compare the rest; the
    consumer is given the message as it came.

    Args:
        routing: A list of routes, a dict of channel to consumer, or the dotted path of one.
        filters: As of `Route`; where an inner route has a group of the same name, its wins.
    """

    def __init__(self, routing: Any, **filters: Any) -> None:
        self.table = RouteTable(routing)
        self.filters = _compile(filters)

    def match(self, message: Message) -> Match | None:
        """What the inner routes say to the rest of *message*, or None."""
        if not self.filters:
            return self.table.match(message)
        kwargs: dict[str, Any] = {}
        rest: dict[str, str] = {}
        for key, pattern in self.filters:
            text = _field(message, key)
            found = pattern.match(text) if text is not None else None
            if text is None or found is None:
                return None
            kwargs.update(found.groupdict())
            rest[key] = text[found.end() :]
        inner = Message(message.content | rest, message.channel_name, message.channel_layer)
        matched = self.table.match(inner)
        if matched is None:
            return None
        consumer, inner_kwargs = matched
        return consumer, kwargs | inner_kwargs

    def channel_names(self) -> set[str]:
        return set(self.table.channels)


# In lower case, as Django's own `path` and `include` are.
route = Route
route_class = RouteClass
include = Include


def _deny(_message: Message) -> None:
    raise DenyConnection("This site has no WebSockets")


def _load_routing(routing: Any) -> list[RouteLike]:
    """The routes that *routing* stands for."""
    named = ""
    if isinstance(routing, str):
        named = f" {routing!r}"
        try:
            routing = import_dotted(routing, "channel_routing")
        except DottedPathError as error:
            raise ImproperlyConfigured(f"Cannot import routing {error}") from error
    if isinstance(routing, dict):
        return [Route(channel, consumer) for channel, consumer in routing.items()]
    if not isinstance(routing, list | tuple):
        raise ImproperlyConfigured(
            f"Routing{named} must be a list of routes or a dict of channel to consumer, "
            f"not {type(routing).__name__}"
        )
    for entry in routing:
        if not callable(getattr(entry, "match", None)) or not callable(
            getattr(entry, "channel_names", None)
        ):
            raise ImproperlyConfigured(
                f"Routing{named} holds {entry!r}, which is no route: it has no match() "
                "and channel_names()"
            )
    return list(routing)


def _load_consumer(consumer: Any, channels: Iterable[str]) -> Consumer:
    where = f" for {', '.join(sorted(channels))}" if channels else ""
    if isinstance(consumer, str):
        try:
            consumer = import_dotted(consumer)
        except DottedPathError as error:
            raise ImproperlyConfigured(f"Cannot import consumer{where} {error}") from error
    if not callable(consumer):
        raise ImproperlyConfigured(f"The consumer{where} is not callable: {consumer!r}")
    return consumer


def _compile(filters: dict[str, Any]) -> Filters:
    compiled = []
    for key, expression in filters.items():
        try:
            pattern = re.compile(_as_text(expression))
        except re.error as error:
            raise ImproperlyConfigured(
                f"The filter {key}={expression!r} is no regular expression: {error}"
            ) from error
        if pattern.groups != len(pattern.groupindex):
            raise ValueError(
                f"The filter {key}={expression!r} has a group without a name; "
                "write (?P<name>...), or (?:...) for what no consumer needs"
            )
        compiled.append((key, pattern))
    return tuple(compiled)


def _as_text(value: Any) -> Any:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _field(message: Message, key: str) -> str | None:
    """The field as filters compare it; None when it is missing or nothing to compare."""
    value = message.content.get(key)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int | float):
        return str(value)
    return None
