"""Every option by name: what it sets, how it is written, what is allowed.

An option is given on the command line (``--keep-alive 30``) or as a key of the site's
``TXCHANNELS`` (``"KEEP_ALIVE": 30``); the command line wins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from txchannels.errors import ConfigurationError
from txchannels.settings import HttpSettings, Settings, WebSocketSettings, WorkerSettings

__all__ = ["OPTIONS", "Option", "build_settings"]

Kind = Literal["whole", "seconds", "text", "list", "flag"]
Section = Literal["", "http", "websocket", "workers", "address"]


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: As on the command line, without the dashes.
        section: Which part of `Settings` it sets; ``address`` for the endpoints' shortcuts.
        field: The attribute there.
        kind: How it is written.
        help: One line for ``--help``.
        least, most: The range of a number.
    """

    name: str
    section: Section
    field: str
    kind: Kind
    help: str
    least: float = 0
    most: float = 2**40

    @property
    def key(self) -> str:
        """Its key in ``TXCHANNELS``."""
        return self.name.upper().replace("-", "_")

    def read(self, value: Any, where: str) -> Any:
        """*value* as the setting's type.

        Args:
            where: How the operator wrote the option's name.

        Raises: ConfigurationError: It is not of the kind, or out of range.
        """
        if self.kind in ("whole", "seconds"):
            return self._read_number(value, where)
        if self.kind == "flag":
            if not isinstance(value, bool | int):
                raise ConfigurationError(where, value, "must be True or False")
            return bool(value)
        if self.kind == "list":
            return self._read_list(value, where)
        if not isinstance(value, str):
            raise ConfigurationError(where, value, "must be text")
        return value

    def _read_number(self, value: Any, where: str) -> int | float:
        convert = int if self.kind == "whole" else float
        unit = "a whole number" if self.kind == "whole" else "a number of seconds"
        try:
            if isinstance(value, bool) or (convert is int and isinstance(value, float)):
                raise ValueError
            number = convert(value)
        except (TypeError, ValueError):
            raise ConfigurationError(where, value, f"must be {unit}") from None
        if not self.least <= number <= self.most:
            allowed = f"{self.least:g} to {self.most:g}" if self.most < 2**40 else (
                f"{self.least:g} or more"
            )
            raise ConfigurationError(where, value, f"must be {unit}, {allowed}")
        return number

    def _read_list(self, value: Any, where: str) -> tuple[str, ...]:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Sequence) or not all(isinstance(one, str) for one in values):
            raise ConfigurationError(where, value, "must be a list of texts")
        return tuple(values)


OPTIONS = (
    # where to listen
    Option("endpoint", "address", "endpoints", "list", "Twisted endpoint to listen on; repeatable"),
    Option("bind", "address", "bind", "text", "host name or address to listen on [127.0.0.1]"),
    Option("port", "address", "port", "whole", "TCP port to listen on; 0 is any [8000]", 0, 65535),
    Option("unix-socket", "address", "unix_socket", "text", "path of a Unix socket to listen on"),
    Option("root-path", "http", "root_path", "text", "where the site hangs (SCRIPT_NAME)"),
    Option("proxy-headers", "http", "proxy_hops", "whole", "number of trusted proxies in front"),
    # how it runs
    Option("layer", "", "layer", "text", "which of CHANNEL_LAYERS to use"),
    Option("threads", "workers", "threads", "whole", "most worker threads", 1, 10_000),
    Option("thread-idle", "workers", "idle_seconds", "seconds", "idle threads end after", 0.1),
    Option(
        "switch-interval",
        "workers",
        "switch_interval_seconds",
        "seconds",
        "longest hold of the interpreter",
        0.00001,
        1,
    ),
    Option("drain-timeout", "", "drain_timeout_seconds", "seconds", "how long a stop may take"),
    Option("access-log", "", "access_log", "text", "file for a line a request; - is stdout"),
    # HTTP's limits
    Option("max-connections", "http", "max_connections", "whole", "more are answered 503", 1),
    Option(
        "max-request-line", "http", "max_request_line_bytes", "whole", "bytes; more is 414", 64
    ),
    Option("max-header-bytes", "http", "max_header_bytes", "whole", "bytes; more is 431", 256),
    Option("max-header-fields", "http", "max_header_fields", "whole", "more is 431", 1),
    Option("max-body", "http", "max_body_bytes", "whole", "bytes of a request's body; more is 413"),
    Option(
        "inline-body", "http", "inline_body_bytes", "whole", "longer bodies are streamed", 1, 2**20
    ),
    Option("min-body-rate", "http", "min_body_bytes_per_second", "whole", "bytes/s; slower is 408"),
    Option("body-grace", "http", "body_grace_seconds", "seconds", "how long it may be slower"),
    Option("header-timeout", "http", "header_timeout_seconds", "seconds", "longer heads are 408", 1),
    Option("keep-alive", "http", "keep_alive_seconds", "seconds", "idle connections close after", 1),
    Option(
        "response-timeout", "http", "response_timeout_seconds", "seconds", "slower views are 503", 1
    ),
    Option("send-timeout", "http", "send_timeout_seconds", "seconds", "for clients not reading", 1),
    # WebSocket's limits
    Option("ws-protocol", "websocket", "protocols", "list", "subprotocol to offer; repeatable"),
    Option("ws-origin", "websocket", "origins", "list", "further allowed origin; repeatable"),
    Option(
        "ws-connect-timeout",
        "websocket",
        "connect_timeout_seconds",
        "seconds",
        "later accepts are 403",
        0.1,
    ),
    Option(
        "ws-ping-interval", "websocket", "ping_interval_seconds", "seconds", "silence before a ping"
    ),
    Option(
        "ws-ping-timeout", "websocket", "ping_timeout_seconds", "seconds", "wait for the pong", 0.1
    ),
    Option("ws-max-message", "websocket", "max_message_bytes", "whole", "bytes; more is 1009", 1),
    Option("ws-lifetime", "websocket", "max_lifetime_seconds", "seconds", "0 is without end"),
    Option(
        "ws-full-timeout", "websocket", "full_timeout_seconds", "seconds", "full channel: 1013", 0.1
    ),
    Option("ws-max-unsent", "websocket", "max_unsent_bytes", "whole", "bytes held for a client", 1),
    Option(
        "ws-send-timeout",
        "websocket",
        "send_timeout_seconds",
        "seconds",
        "for clients not reading",
        0.1,
    ),
    Option("unordered", "websocket", "unordered", "flag", "run a socket's messages in parallel"),
)

_SECTIONS = {"http": HttpSettings, "websocket": WebSocketSettings, "workers": WorkerSettings}


def build_settings(command_line: Mapping[str, Any], site: Mapping[str, Any]) -> Settings:
    """All settings, from options by name and from the site's ``TXCHANNELS`` by key.

    Raises: ConfigurationError: It names the option or key, its value and what is allowed.
    """
    by_key = {option.key: option for option in OPTIONS}
    for key in site:
        if key not in by_key:
            near = get_close_matches(str(key), by_key, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError("TXCHANNELS", key, f"is no known key{hint}")
    values: dict[str, dict[str, Any]] = {name: {} for name in ("", "address", *_SECTIONS)}
    for option in OPTIONS:
        value = command_line.get(option.name)
        if value is not None and value != []:
            values[option.section][option.field] = option.read(value, f"--{option.name}")
        elif option.key in site:
            where = f"TXCHANNELS[{option.key!r}]"
            values[option.section][option.field] = option.read(site[option.key], where)
    sections = {name: make(**values[name]) for name, make in _SECTIONS.items()}
    endpoints = _endpoints(**values["address"])
    return dataclasses.replace(Settings(**sections, **values[""]), endpoints=endpoints)


def _endpoints(
    endpoints: tuple[str, ...] = (),
    bind: str | None = None,
    port: int | None = None,
    unix_socket: str | None = None,
) -> tuple[str, ...]:
    """The endpoints and their shortcuts, as endpoint strings."""
    found = list(endpoints)
    if unix_socket:
        found.append(f"unix:{_escape(unix_socket)}")
    if bind is not None or port is not None or not found:
        host = (bind or "127.0.0.1").strip("[]")
        found.append(f"tcp:port={8000 if port is None else port}:interface={_escape(host)}")
    return tuple(found)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
