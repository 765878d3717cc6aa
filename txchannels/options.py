"""Every option by name: what it sets, how it is written, what is allowed.

An option is given on the command line (``--keep-alive 30``) or as a key of the site's
``TXCHANNELS`` (``"KEEP_ALIVE": 30``); the command line wins. An address on the command
line takes the place of all of the site's: only ``BIND`` and ``PORT`` then complete it.
Each command takes some of the options; both read the same ``TXCHANNELS``, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce
from typing import Any, Literal

from txchannels.errors import ConfigurationError
from txchannels.settings import (
    HttpSettings,
    Settings,
    WebSocketSettings,
    WorkerSettings,
    make_endpoints,
)

__all__ = [
    "DAEMON",
    "GROUPS",
    "OPTIONS",
    "WORKER",
    "Option",
    "build_settings",
    "closest",
    "options_of",
]

Kind = Literal["number", "bytes", "seconds", "text", "list", "globs", "flag"]

#: The commands of twistd: all of a site, and its workers alone.
DAEMON, WORKER = "channels", "channels-worker"

UNLIMITED = 2**40

_KINDS = {
    "number": "a whole number",
    "bytes": "a whole number of bytes",
    "seconds": "a number of seconds",
}


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: As on the command line, without the dashes.
        field: What it sets, from `Settings` on (``http.root_path``); without a dot
            in ``address``, a shortcut for an endpoint.
        kind: How it is written.
        shown: What stands for its value in the help.
        help: What it does, for people.
        least, most: The range of a number.
        commands: Which commands have it.
    """

    name: str
    field: str
    kind: Kind
    shown: str
    help: str
    least: float = 0
    most: float = UNLIMITED
    commands: tuple[str, ...] = (DAEMON,)

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be given several times, for several values."""
        return self.kind in ("list", "globs")

    @property
    def key(self) -> str:
        """Its key in ``TXCHANNELS``."""
        return self.name.upper().replace("-", "_")

    @property
    def default(self) -> Any:
        """What holds where nobody gives it; None for an address."""
        if self.field.startswith("address."):
            return None
        return reduce(getattr, self.field.split("."), Settings())

    def read(self, value: Any, where: str) -> Any:
        """*value* as the setting's type.

        Args:
            where: How the operator wrote the option's name.

        Raises: ConfigurationError: It is not of the kind, or out of range.
        """
        if self.kind in _KINDS:
            return self._read_number(value, where)
        if self.kind == "flag":
            if value not in (True, False):
                raise ConfigurationError(where, value, "must be True or False")
            return bool(value)
        if self.is_repeatable:
            return self._read_list(value, where)
        if not isinstance(value, str):
            raise ConfigurationError(where, value, "must be text")
        return value

    def _read_number(self, value: Any, where: str) -> float:
        convert = float if self.kind == "seconds" else int
        try:
            if isinstance(value, bool) or (convert is int and isinstance(value, float)):
                raise TypeError
            number = convert(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not self.least <= number <= self.most:
            most = "or more" if self.most == UNLIMITED else f"to {_plain(self.most)}"
            allowed = f"must be {_KINDS[self.kind]}, {_plain(self.least)} {most}"
            raise ConfigurationError(where, value, allowed)
        return number

    def _read_list(self, value: Any, where: str) -> tuple[str, ...]:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Sequence) or not all(isinstance(one, str) for one in values):
            raise ConfigurationError(where, value, "must be a list of texts")
        if self.kind == "globs":
            values = [glob.strip() for one in values for glob in one.split(",")]
        return tuple(values)


_BOTH = (DAEMON, WORKER)

#: The options, in the groups and the order of the help.
# fmt: off
GROUPS: tuple[tuple[str, tuple[Option, ...]], ...] = (
    ("Where to listen", (
        Option("endpoint", "address.endpoints", "list", "ENDPOINT",
               "Twisted endpoint, as tcp:8000 or unix:/run/site.sock; repeatable"),
        Option("bind", "address.bind", "text", "ADDRESS",
               "IP address to listen on, as 0.0.0.0 or ::1 [127.0.0.1]"),
        Option("port", "address.port", "number", "N",
               "TCP port to listen on; 0 is any free one [8000]", 0, 65_535),
        Option("unix-socket", "address.unix_socket", "text", "PATH",
               "Unix socket to listen on"),
        Option("root-path", "http.root_path", "text", "PATH",
               "where the site hangs, as /shop (SCRIPT_NAME)"),
        Option("proxy-headers", "http.proxy_hops", "number", "HOPS",
               "how many proxies in front are believed when they say who the client is "
               "(Forwarded, X-Forwarded-*)", 0, 16),
    )),
    ("How it runs", (
        Option("layer", "layer", "text", "ALIAS", "which of CHANNEL_LAYERS to use",
               commands=_BOTH),
        Option("threads", "workers.threads", "number", "N",
               "most worker threads; they start as the load needs them", 1, 10_000, _BOTH),
        Option("thread-idle", "workers.idle_seconds", "seconds", "SECONDS",
               "end a thread that had no work for so long", 0.1, commands=_BOTH),
        Option("switch-interval", "workers.switch_interval_seconds", "seconds", "SECONDS",
               "longest that a thread may keep the others from running, beside code that "
               "computes for long", 0.00001, 0.005, _BOTH),
        Option("only-channels", "workers.only_channels", "globs", "GLOBS",
               "run messages of these channels alone, as http.*,websocket.*; repeatable",
               commands=_BOTH),
        Option("exclude-channels", "workers.exclude_channels", "globs", "GLOBS",
               "run no messages of these channels, as jobs.*; repeatable", commands=_BOTH),
        Option("no-workers", "no_workers", "flag", "",
               "serve sockets alone: twistd channels-worker runs views and consumers"),
        Option("drain-timeout", "drain_timeout_seconds", "seconds", "SECONDS",
               "how long a stop may take", 0, 86_400, _BOTH),
        Option("access-log", "access_log", "text", "FILE",
               "write a line for each request; - is standard output"),
    )),
    ("Limits of HTTP", (
        Option("max-connections", "http.max_connections", "number", "N",
               "more are answered 503", 1),
        Option("max-request-line", "http.max_request_line_bytes", "bytes", "BYTES",
               "longer is answered 414", 64, 2**20),
        Option("max-header-bytes", "http.max_header_bytes", "bytes", "BYTES",
               "all names and values together; more is answered 431", 256, 2**20),
        Option("max-header-fields", "http.max_header_fields", "number", "N",
               "more are answered 431", 1, 10_000),
        Option("max-body", "http.max_body_bytes", "bytes", "BYTES",
               "a longer request is answered 413"),
        Option("inline-body", "http.inline_body_bytes", "bytes", "BYTES",
               "a longer body flows to the view piece by piece", 1, 2**20),
        Option("max-streamed-bodies", "http.max_streamed_bodies", "number", "N",
               "so many bodies flow to their views at a time; the next ones wait", 1),
        Option("min-body-rate", "http.min_body_bytes_per_second", "bytes", "BYTES",
               "a body slower than that in a second is answered 408; 0 allows any"),
        Option("body-grace", "http.body_grace_seconds", "seconds", "SECONDS",
               "how long a body may be slower than that"),
        Option("header-timeout", "http.header_timeout_seconds", "seconds", "SECONDS",
               "a request whose head takes longer is answered 408", 1),
        Option("keep-alive", "http.keep_alive_seconds", "seconds", "SECONDS",
               "close a connection that had no request for so long", 1),
        Option("response-timeout", "http.response_timeout_seconds", "seconds", "SECONDS",
               "a view that has not begun its response by then is answered for: 503", 1),
        Option("send-timeout", "http.send_timeout_seconds", "seconds", "SECONDS",
               "drop a client that takes nothing of its response for so long", 1),
    )),
    ("WebSockets", (
        Option("ws-protocol", "websocket.protocols", "list", "NAME",
               "subprotocol that may be chosen; repeatable"),
        Option("ws-origin", "websocket.origins", "list", "ORIGIN",
               "whose pages may connect beside the site's own, as https://example.com; "
               "* is any; repeatable"),
        Option("ws-connect-timeout", "websocket.connect_timeout_seconds", "seconds", "SECONDS",
               "a handshake that no consumer has accepted by then is answered 403", 0.1),
        Option("ws-ping-interval", "websocket.ping_interval_seconds", "seconds", "SECONDS",
               "ping a client that was silent for so long; 0 is never"),
        Option("ws-ping-timeout", "websocket.ping_timeout_seconds", "seconds", "SECONDS",
               "drop a client that has not answered by then", 0.1),
        Option("ws-lifetime", "websocket.max_lifetime_seconds", "seconds", "SECONDS",
               "close older sockets with 1001; 0 is never"),
        Option("ws-max-message", "websocket.max_message_bytes", "bytes", "BYTES",
               "a larger one closes with 1009", 1, 2**30),
        Option("ws-max-backlog", "websocket.max_backlog_messages", "number", "N",
               "stop reading a socket with so many messages waiting", 1, 10_000),
        Option("ws-full-timeout", "websocket.full_timeout_seconds", "seconds", "SECONDS",
               "close with 1013 what waited so long for room in its channel", 0.1),
        Option("ws-max-unsent", "websocket.max_unsent_bytes", "bytes", "BYTES",
               "drop a client for whom more than that waits", 1),
        Option("ws-send-timeout", "websocket.send_timeout_seconds", "seconds", "SECONDS",
               "drop a client that reads nothing for so long", 0.1),
        Option("ws-close-timeout", "websocket.close_timeout_seconds", "seconds", "SECONDS",
               "how long a client may take to answer a close", 0.1),
        Option("ws-serial-timeout", "websocket.serial_timeout_seconds", "seconds", "SECONDS",
               "how long a socket's next message waits for the consumer of the last", 0.1),
        Option("unordered", "websocket.unordered", "flag", "",
               "let consumers of one socket's messages run at the same time"),
    )),
)
# fmt: on

OPTIONS = tuple(option for _, options in GROUPS for option in options)


def options_of(command: str) -> tuple[Option, ...]:
    """The options that *command* has, in the order of the help."""
    return tuple(option for option in OPTIONS if command in option.commands)


_SECTIONS = {"http": HttpSettings, "websocket": WebSocketSettings, "workers": WorkerSettings}


def build_settings(command_line: Mapping[str, Any], site: Mapping[str, Any]) -> Settings:
    """All settings, from options by name and from the site's ``TXCHANNELS`` by key.

    Raises: ConfigurationError: It names the option or key, its value and what is allowed.
    """
    known = [option.key for option in OPTIONS]
    for key in site:
        if key not in known:
            raise ConfigurationError("TXCHANNELS", key, f"is no known key{closest(key, known)}")
    values: dict[str, dict[str, Any]] = {name: {} for name in ("", "address", *_SECTIONS)}
    for option, value, where in _given(command_line, site):
        section, _, field = option.field.rpartition(".")
        values[section][field] = option.read(value, where)
    sections = {name: make(**values[name]) for name, make in _SECTIONS.items()}
    return Settings(endpoints=make_endpoints(**values["address"]), **sections, **values[""])


def closest(name: object, known: Sequence[str]) -> str:
    """``; did you mean 'x'?``, if something *known* is like *name*."""
    near = get_close_matches(str(name).upper(), [one.upper() for one in known], n=1)
    return f"; did you mean {next(one for one in known if one.upper() == near[0])}?" if near else ""


def _given(
    command_line: Mapping[str, Any], site: Mapping[str, Any]
) -> Iterator[tuple[Option, Any, str]]:
    """Each option that is given, its value, and how the operator wrote its name."""
    named = {option.name for option in OPTIONS if command_line.get(option.name) not in (None, [])}
    listens = [option for option in OPTIONS if option.field.startswith("address.")]
    completes: set[str] = set() if named.isdisjoint({"bind", "port"}) else {"bind", "port"}
    replaced: set[str] = set()
    if not named.isdisjoint(option.name for option in listens):
        replaced = {option.name for option in listens} - completes
    for option in OPTIONS:
        if option.name in named:
            yield option, command_line[option.name], f"--{option.name}"
        elif option.key in site and option.name not in replaced:
            yield option, site[option.key], f"TXCHANNELS[{option.key!r}]"


def _plain(number: float) -> str:
    return f"{number:d}" if isinstance(number, int) else f"{number:f}".rstrip("0").rstrip(".")
