"""What all connections of one daemon share: limits, layer, inbox, clock, counters.

Knows no Django; what a request means is decided by whoever reads the layer.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger

from txchannels.errors import LayerUnavailable
from txchannels.protocols.draining import Closable, SocketDrain
from txchannels.protocols.fanout import deliver
from txchannels.protocols.feeds import Feeds
from txchannels.protocols.forwarded import read_forwarded
from txchannels.protocols.late import LateMessages
from txchannels.protocols.lostreplies import LostReplies
from txchannels.protocols.request import Head, HeadLimits
from txchannels.protocols.websocket import Socket

if TYPE_CHECKING:
    from txchannels.layers.interfaces import IReactorLayer, Message, Targets
    from txchannels.protocols.access_log import AccessLog
    from txchannels.protocols.backpressure import Outlet
    from txchannels.protocols.exchange import Exchange
    from txchannels.protocols.incoming import Incoming
    from txchannels.settings import HttpSettings, WebSocketSettings

__all__ = ["Connection", "Site"]

log = Logger()

#: Status in the access log of a request whose client left first (nginx's number).
CLIENT_LEFT = 499


class Connection(Protocol):
    """What the site asks of a connection, HTTP or WebSocket."""

    def check(self, now: float, elapsed: float) -> None: ...

    def stop(self) -> None: ...

    def abort(self) -> None: ...


class Target(Protocol):
    """What reads a reply channel: an exchange or a socket."""

    def message_received(self, message: Message) -> None: ...

    def message_expired(self, channel: str, message: Message) -> None: ...


class Site:
    """See the module.

    Args:
        http: Limits of HTTP.
        websocket: Limits of WebSockets.
        layer: Where requests and frames go.
        clock: The time in seconds; only differences count.
        wall_clock: Seconds since the epoch, for the Date field.
        access_log: Told of each request and socket; None for nobody.
        is_host_allowed: Whether pages may open sockets on a host (and port); None for any.

    Attributes:
        access_log: As above; another may be put in its place.
        counters: How often each limit was met, each error answered.
        feeds: The event streams and long polls.
        is_host_allowed: As above, asked at each handshake of a page; another may be put in
            its place at any time, and decides from then on. Sockets that are open stay so.
        late: What is sent when its channel has room again.
        has_no_workers: Whether nobody is there, or will be soon, to run what clients send: new
            requests and sockets are answered 503 at once.
        is_stopping: Whether no new request or socket is taken.
        retry_after_seconds: What every 503 says to the client.

    Thread: the reactor's.
    """

    retry_after_seconds = 1

    def __init__(  # noqa: PLR0913 - what is shared comes from many rooms, each by name
        self,
        http: HttpSettings,
        websocket: WebSocketSettings,
        layer: IReactorLayer,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        access_log: AccessLog | None = None,
        is_host_allowed: Callable[[str], bool] | None = None,
    ) -> None:
        self.http = http
        self.websocket = websocket
        self.layer = layer
        self.clock = clock
        self.is_host_allowed = is_host_allowed or _is_any_host
        self.counters: Counter[str] = Counter()
        self.feeds = Feeds()
        self.late = LateMessages(layer, http.max_connections, self.count)
        self.has_no_workers = False
        self.is_stopping = False
        self.head_limits = HeadLimits(
            http.max_request_line_bytes, http.max_header_bytes, http.max_header_fields
        )
        self._wall_clock = wall_clock
        self.access_log = access_log
        self._connections: set[Connection] = set()
        self._targets: dict[str, Target] = {}
        self._streams: set[Incoming] = set()
        self._waiting_streams: dict[Incoming, None] = {}
        self._is_starting_streams = False
        self._count = 0
        self._checked_at = clock()
        self._date_line = b""
        self._drain: SocketDrain | None = None
        self._tell_date()
        self._expired = 0
        self._lost_replies = LostReplies(self)
        self.prefix = f"txchannels.{secrets.token_hex(6)}!"
        self.inbox = layer.open_inbox(self.prefix, self._deliver)
        layer.when_expired(self._message_expired)

    def use(self, http: HttpSettings, websocket: WebSocketSettings, layer: IReactorLayer) -> None:
        """Serve with other limits and another layer from now on.

        Only before anything was sent on the first: its reply channels are closed.
        """
        for target in list(self._targets.values()):
            log.debug("{target} is asked on a layer that is given up", target=target)
        self.http = http
        self.websocket = websocket
        self.layer = layer
        self.inbox = layer.open_inbox(self.prefix, self._deliver)
        layer.when_expired(self._message_expired)
        self.late.use(layer, http.max_connections)

    # Reply channels

    def open_channel(self, target: Target) -> str:
        """A new reply channel whose messages *target* gets."""
        self._count = count = self._count + 1
        channel: str = self.inbox.open(f"{count:x}")
        self._targets[channel] = target
        return channel

    def close_channel(self, channel: str) -> None:
        """*channel* is read no more."""
        if self._targets.pop(channel, None) is not None:
            self.inbox.close(channel)

    def leave_groups(self, channel: str) -> None:
        """End *channel*'s memberships: its client is gone, though it is still read."""
        self.inbox.leave_groups(channel)

    def _deliver(self, batch: list[tuple[Targets, Message]]) -> None:
        deliver(self._targets, batch)
        self.feeds.batch_delivered()

    def _message_expired(self, channel: str, message: Message) -> None:
        """No worker has taken a message in time: whoever waits for its end must not wait on."""
        self._expired += 1
        self.count("layer.expired")
        target = self._targets.get(message.get("reply_channel", ""))
        if target is not None:
            target.message_expired(channel, message)
        elif channel == "websocket.disconnect":  # without it, ghosts would stay
            self.send_later(channel, message)

    def _report_expired(self) -> None:
        expired, self._expired = self._expired, 0
        if expired:
            log.warn(
                "{count} messages were given up: no worker has taken them in time, "
                "or the layer's server was lost on their way",
                count=expired,
            )

    def send_first(self, channel: str, message: Message) -> None:
        """Send a request's or socket's first message, to whoever will answer it.

        Raises: LayerError: Nobody will, or there is no room.
        """
        if self.has_no_workers:
            self.count("site.no_workers")
            raise LayerUnavailable("There are no workers")
        if not self.can_be_answered and not self.layer.is_here(channel):
            self.count("layer.unavailable")
            raise LayerUnavailable("No answer of another host can come now")
        self.layer.send(channel, message)

    @property
    def can_be_answered(self) -> bool:
        """Whether what other hosts answer can come now, as far as the layer knows."""
        can_answer = getattr(self.layer, "can_answer", None)  # a layer of others' may lack it
        return can_answer is None or bool(can_answer(self.prefix))

    def send_later(self, channel: str, message: Message) -> None:
        """Send *message* now, or when *channel* has room: it must not be dropped lightly."""
        self.late.send(channel, message)

    # Bodies that flow to their views, each of which holds a thread

    def enter_stream(self, exchange: Incoming) -> bool:
        """Whether *exchange* may start with an unfinished body; else it waits for its turn."""
        if len(self._streams) < self.http.max_streamed_bodies:
            self._streams.add(exchange)
            return True
        self._waiting_streams[exchange] = None
        self.count("http.too_many_bodies")
        return False

    def leave_stream(self, exchange: Incoming) -> None:
        """*exchange*'s body is complete, or nobody's any more: another one's turn."""
        self._waiting_streams.pop(exchange, None)
        exchange.is_waiting = False
        self._streams.discard(exchange)
        if not self._is_starting_streams and self._waiting_streams:
            self._start_streams()

    def _start_streams(self) -> None:
        self._is_starting_streams = True  # one that ends at once is no reason to recurse
        try:
            while self._waiting_streams and len(self._streams) < self.http.max_streamed_bodies:
                exchange = next(iter(self._waiting_streams))
                del self._waiting_streams[exchange]
                self._streams.add(exchange)
                exchange.stop_waiting()
        finally:
            self._is_starting_streams = False

    # Connections

    def add_connection(self, connection: Connection) -> bool:
        """Look after *connection*; False if there are too many."""
        self._connections.add(connection)
        if len(self._connections) > self.http.max_connections:
            self.count("http.too_many_connections")
            return False
        return True

    def remove_connection(self, connection: Connection) -> None:
        """*connection* is gone, or another has taken its transport."""
        self._connections.discard(connection)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def late_messages(self) -> int:
        """How many messages wait in `send_later`."""
        return len(self.late)

    def open_socket(
        self, outlet: Outlet, head: Head, rest: bytes, client: Any, server: Any, scheme: str
    ) -> None:
        """Let a WebSocket take over the connection that *outlet* writes to."""
        socket = Socket(self, outlet, client)
        self._connections.add(socket)
        socket.handshake_received(head, rest, server, scheme)

    def check(self) -> None:
        """Hold every connection to its time limits. Called about once a second."""
        now = self.clock()
        elapsed, self._checked_at = now - self._checked_at, now
        self._tell_date()
        self._report_expired()
        for connection in list(self._connections):
            try:
                connection.check(now, elapsed)
            except Exception:
                log.failure("A connection could not be checked")
                connection.abort()
        self.feeds.check(now)
        self._lost_replies.check(now)

    def messages_lost(self) -> None:
        """The layer may have lost messages: nobody waits for what may never come.

        Exchanges have some more seconds (`LostReplies`), sockets go on with their next message.
        Those wait on whose messages stay in this process, where none is lost.
        """
        if not self.layer.is_here("http.request"):
            self._lost_replies.doubt(self._targets.values(), self.clock())
        if self.layer.is_here("websocket.receive"):
            return
        for connection in list(self._connections):
            if isinstance(connection, Socket):
                connection.messages_lost()

    def stop(self, spread_seconds: float = 0.0) -> None:
        """Let every connection end: running requests are served, sockets closed with 1012.

        Event streams and polls end as sockets do. Called again, it closes those at once that
        are left.

        Args:
            spread_seconds: Over how long sockets may be closed at most, by `close_sockets`;
                until its turn has come, each is served.
        """
        self.is_stopping = True
        sockets: list[Closable] = [*self.feeds.all()]
        for connection in list(self._connections):
            if isinstance(connection, Socket) and connection.is_open:
                sockets.append(connection)
            else:
                connection.stop()
        self._drain = SocketDrain(sockets, self.clock(), spread_seconds)
        self.close_sockets()

    def close_sockets(self) -> bool:
        """After `stop`: close the sockets whose turn has come. Whether that was all of them."""
        return self._drain is None or self._drain.close_due(self.clock())

    def abort(self) -> None:
        """Drop every connection."""
        for connection in list(self._connections):
            connection.abort()

    # What connections ask

    def count(self, what: str) -> None:
        """Count an event by its name."""
        self.counters[what] += 1

    def date_line(self) -> bytes:
        """The Date field of this second (RFC 9110, section 6.6.1)."""
        return self._date_line

    def _tell_date(self) -> None:
        self._date_line = b"Date: " + formatdate(self._wall_clock(), usegmt=True).encode()

    def scheme_of(self, transport: Any) -> str:
        """``https`` on an encrypted transport."""
        return "https" if ISSLTransport.providedBy(transport) else "http"

    def address_of(self, address: Any) -> list[Any] | None:
        """``[host, port]``; None for a Unix socket."""
        host = getattr(address, "host", None)
        return None if host is None else [host, address.port]

    def forwarded(self, head: Head, client: Any, server: Any, scheme: str) -> tuple[Any, Any, str]:
        """Client, server and scheme as the trusted proxies saw them."""
        said = read_forwarded(head.fields, self.http.proxy_hops)
        if said.port is not None and server is not None:
            server = [server[0], said.port]
        return said.client or client, server, said.scheme or scheme

    def log_access(self, exchange: Exchange, client: Any) -> None:
        """Tell the access log of a request that is over."""
        if self.access_log is not None and exchange.is_started:
            head = exchange.head
            self.access_log.request(
                client,
                head.method,
                head.target,
                head.version,
                exchange.status or CLIENT_LEFT,
                exchange.sent_bytes,
                seconds=self.clock() - exchange.moved_at if exchange.moved_at else 0.0,
            )

    def log_socket(self, client: Any, event: str, target: bytes, code: int | None = None) -> None:
        """Tell the access log of a socket's event."""
        if self.access_log is not None:
            self.access_log.socket(client, event, target, code)


def _is_any_host(_host: str) -> bool:
    return True
