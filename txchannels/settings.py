"""Every limit, timeout and address of the daemon, with its unit and its default.

Seconds are float, sizes are bytes. Defaults are safe on the open Internet. Knows no
Django; `txchannels.options` reads the values from the command line and the site.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from txchannels.errors import ConfigurationError
from txchannels.messages import MAX_MESSAGE_BYTES

__all__ = [
    "HttpSettings",
    "ProcessSettings",
    "Settings",
    "WebSocketSettings",
    "WorkerSettings",
    "make_endpoints",
]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@\s]+/?")

#: The longest path of a Unix socket (unix(7): 108 bytes with the zero at its end).
MAX_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """What a client may send over HTTP, and how long anybody is waited for.

    Attributes:
        max_request_line_bytes: Longer is answered 414.
        max_header_bytes: All names and values together; more is answered 431.
        max_header_fields: More is answered 431.
        header_timeout_seconds: From a request's first byte (or the connection) to the
            end of its head; longer is answered 408.
        max_body_bytes: More is answered 413.
        inline_body_bytes: A longer body flows to the view piece by piece.
        max_streamed_bodies: So many bodies flow so at a time, each to a view that holds a
            thread; the next ones wait, unread, up to the response's timeout; then 503.
        min_body_bytes_per_second: Slower bodies are answered 408, after the grace.
        body_grace_seconds: How long a body may be slower than that.
        keep_alive_seconds: How long a connection may be without a request.
        response_timeout_seconds: How long a view may take to start its response; then 503.
        lost_reply_timeout_seconds: How long requests that other hosts run are still waited for
            after an outage of the layer's server, when their replies may be lost; then 504.
            0 is as long as any.
        send_timeout_seconds: How long a client may take nothing of its response.
        max_connections: More are answered 503.
        root_path: Where the site hangs, as SCRIPT_NAME; a slash at its end is cut off.
        proxy_hops: How many proxies in front are trusted to say who the client is.

    Raises: ConfigurationError: The root path is none, or a request with all that it may
        have does not go into one message.
    """

    max_request_line_bytes: int = 8_192
    max_header_bytes: int = 32_768
    max_header_fields: int = 100
    header_timeout_seconds: float = 10.0
    max_body_bytes: int = 2**31
    inline_body_bytes: int = 65_536
    max_streamed_bodies: int = 16
    min_body_bytes_per_second: int = 240
    body_grace_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    response_timeout_seconds: float = 120.0
    lost_reply_timeout_seconds: float = 15.0
    send_timeout_seconds: float = 60.0
    max_connections: int = 20_000
    root_path: str = ""
    proxy_hops: int = 0

    def __post_init__(self) -> None:
        if self.root_path and not re.fullmatch(r"/[^?#\s]*", self.root_path):
            raise ConfigurationError("--root-path", self.root_path, "must be a path, as /shop")
        object.__setattr__(self, "root_path", self.root_path.rstrip("/"))
        head = self.max_request_line_bytes + self.max_header_bytes
        if self.inline_body_bytes + head > MAX_MESSAGE_BYTES:
            raise ConfigurationError(
                "--inline-body",
                self.inline_body_bytes,
                f"goes into one message with --max-request-line and --max-header-bytes, "
                f"together at most {MAX_MESSAGE_BYTES}: here at most {MAX_MESSAGE_BYTES - head}",
            )


@dataclass(frozen=True, kw_only=True)
class WebSocketSettings:
    """What a client may send over a WebSocket, and how long anybody is waited for.

    Attributes:
        protocols: Subprotocols to choose from, the client's first choice wins.
        origins: Further allowed origins beside the site's own; ``*`` allows any.
        connect_timeout_seconds: How long a consumer may take to accept; then 403.
        ping_interval_seconds: Silence after which the client is asked whether it lives.
        ping_timeout_seconds: How long it may take to answer.
        max_message_bytes: Larger closes with 1009.
        max_lifetime_seconds: Older sockets are closed with 1001; 0 is without end.
        full_timeout_seconds: How long a message waits for room in its channel; then 1013.
        max_backlog_messages: Messages of a socket that wait for the consumer of the one
            before; with so many, the socket is not read.
        max_unsent_bytes: What may wait for a client that does not read.
        send_timeout_seconds: How long a client may not read while something waits for it.
        close_timeout_seconds: How long a client may take to answer a close.
        serial_timeout_seconds: How long a socket's next message waits for the consumer of
            the one before.
        unordered: Do not wait for that consumer at all.

    Raises: ConfigurationError: A subprotocol or an origin can never be met.
    """

    protocols: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    connect_timeout_seconds: float = 10.0
    ping_interval_seconds: float = 20.0
    ping_timeout_seconds: float = 30.0
    max_message_bytes: int = 2**20
    max_lifetime_seconds: float = 86_400.0
    full_timeout_seconds: float = 30.0
    max_backlog_messages: int = 16
    max_unsent_bytes: int = 2**20
    send_timeout_seconds: float = 30.0
    close_timeout_seconds: float = 5.0
    serial_timeout_seconds: float = 300.0
    unordered: bool = False

    def __post_init__(self) -> None:
        for name in self.protocols:
            if not _TOKEN.fullmatch(name):
                raise ConfigurationError("--ws-protocol", name, "must be one word, as graphql-ws")
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ConfigurationError(
                    "--ws-origin", origin, "must be an origin, as https://example.com, or *"
                )


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """The threads that run consumers and views.

    Attributes:
        threads: The most there may be; they start as the load needs them.
        idle_seconds: A thread without work for so long ends, with its database connections.
        switch_interval_seconds: How long a thread may hold the interpreter while others
            wait, beside code that computes for long; else it is Python's own 5 ms.
        only_channels: Globs of the channels whose messages are run; none is all.
        exclude_channels: Globs of channels whose messages are not run, even so.
        no_delay: Have nobody here send delayed messages when they are due.
    """

    threads: int = 64
    idle_seconds: float = 30.0
    switch_interval_seconds: float = 0.0001
    only_channels: tuple[str, ...] = ()
    exclude_channels: tuple[str, ...] = ()
    no_delay: bool = False


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """The worker processes, when the threads that run consumers and views are in such.

    Attributes:
        count: How many there are; None: the threads are in the daemon's own process.
        start_timeout_seconds: How long one may take to import the site and be ready.
        stuck_timeout_seconds: One with no free thread whose messages take longer is stuck, as is
            one that answers no ping for so long: it is replaced. 0 is never.
        max_messages: It is replaced after so many; 0 is without limit.
        max_age_seconds: It is replaced when it is older; 0 is without limit.
        max_rss_bytes: It is replaced when it takes more memory; 0 is without limit.
        socket: Path of the Unix socket for reloads, the status and local programs; empty is
            one that the daemon chooses.
        reload: Reload whenever the site's code changes; one process, if no number is given.

    Raises: ConfigurationError: A limit would have every worker replaced without end, or the
        socket's path cannot be one.
    """

    count: int | None = None
    start_timeout_seconds: float = 60.0
    stuck_timeout_seconds: float = 300.0
    max_messages: int = 0
    max_age_seconds: float = 0.0
    max_rss_bytes: int = 0
    socket: str = ""
    reload: bool = False

    def __post_init__(self) -> None:
        if self.reload and self.count is None:
            object.__setattr__(self, "count", 1)
        for option, value, least, unit in (
            ("--stuck-timeout", self.stuck_timeout_seconds, 1, "second"),
            ("--max-age", self.max_age_seconds, 1, "second"),
            ("--max-rss", self.max_rss_bytes, 2**24, "bytes"),
        ):
            if 0 < value < least:
                allowed = f"must be 0 (never) or at least {least} {unit}"
                raise ConfigurationError(option, value, allowed)
        if "\0" in self.socket:
            raise ConfigurationError("--socket", self.socket, "must be the path of a file")
        if len(os.fsencode(self.socket)) > MAX_SOCKET_PATH_BYTES:
            allowed = f"is too long for a Unix socket: at most {MAX_SOCKET_PATH_BYTES} bytes"
            raise ConfigurationError("--socket", self.socket, allowed)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one daemon.

    Attributes:
        endpoints: Twisted server endpoint strings.
        layer: Which of the site's CHANNEL_LAYERS.
        drain_timeout_seconds: How long a stop may take.
        access_log: A file to append to, ``-`` for standard output, or empty for none.
        no_workers: Serve sockets alone; another process runs what they ask for.

    Raises: ConfigurationError: An endpoint is named twice.
    """

    endpoints: tuple[str, ...] = ("tcp:port=8000:interface=127.0.0.1",)
    layer: str = "default"
    drain_timeout_seconds: float = 30.0
    access_log: str = ""
    no_workers: bool = False
    http: HttpSettings = field(default_factory=HttpSettings)
    websocket: WebSocketSettings = field(default_factory=WebSocketSettings)
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    processes: ProcessSettings = field(default_factory=ProcessSettings)

    def __post_init__(self) -> None:
        for at, endpoint in enumerate(self.endpoints):
            if endpoint in self.endpoints[:at]:
                raise ConfigurationError("--endpoint", endpoint, "is given twice")


def make_endpoints(
    endpoints: tuple[str, ...] = (),
    bind: str | None = None,
    port: int | None = None,
    unix_socket: str | None = None,
) -> tuple[str, ...]:
    """*endpoints* and what the shortcuts name, as endpoint strings; at least one.

    Raises: ConfigurationError: *bind* is no address.
    """
    found = list(endpoints)
    if unix_socket:
        found.append(f"unix:address={_escape(unix_socket)}")
    if bind is not None or port is not None or not found:
        host = (bind or "127.0.0.1").removeprefix("[").removesuffix("]")
        if not re.fullmatch(r"[^:\s]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w+)?", host) or (
            host.count(":") == 1
        ):
            raise ConfigurationError("--bind", bind, "must be an address; the port is --port's")
        found.append(f"tcp:port={8000 if port is None else port}:interface={_escape(host)}")
    return tuple(found)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
