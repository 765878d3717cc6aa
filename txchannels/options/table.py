"""The options, in the groups and the order of the help."""

from __future__ import annotations

from txchannels.options.option import DAEMON, WORKER, Option

__all__ = ["GROUPS", "OPTIONS", "options_of"]

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
        Option("no-delay", "workers.no_delay", "flag", "",
               "send no delayed messages when they are due: manage.py rundelay does, or "
               "another host", commands=_BOTH),
        Option("no-workers", "no_workers", "flag", "",
               "serve sockets alone: twistd channels-worker runs views and consumers"),
        Option("drain-timeout", "drain_timeout_seconds", "seconds", "SECONDS",
               "how long a stop may take", 0, 86_400, _BOTH),
        Option("access-log", "access_log", "text", "FILE",
               "write a line for each request; - is standard output"),
    )),
    ("Worker processes", (
        Option("processes", "processes.count", "processes", "N",
               "run views and consumers in so many processes, each with its threads, not in "
               "the daemon's own; auto is one for each CPU", commands=_BOTH),
        Option("start-timeout", "processes.start_timeout_seconds", "seconds", "SECONDS",
               "how long one may take to import the site", 1, 86_400, _BOTH),
        Option("stuck-timeout", "processes.stuck_timeout_seconds", "seconds", "SECONDS",
               "replace one when no thread is free and no message was done, or when it showed "
               "no life, for so long; 0 is never", commands=_BOTH),
        Option("max-messages", "processes.max_messages", "number", "N",
               "replace one after so many messages; 0 is never", commands=_BOTH),
        Option("max-age", "processes.max_age_seconds", "seconds", "SECONDS",
               "replace one when it is older; 0 is never", commands=_BOTH),
        Option("max-rss", "processes.max_rss_bytes", "bytes", "BYTES",
               "replace one when it takes more memory; 0 is never", commands=_BOTH),
        Option("socket", "processes.socket", "text", "PATH",
               "Unix socket for reloads, the status and local programs, if not one of the "
               "daemon's choice", commands=_BOTH),
        Option("reload", "processes.reload", "flag", "",
               "for development: reload when the code changes; one process, if --processes "
               "does not say more", commands=_BOTH),
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
        Option("lost-reply-timeout", "http.lost_reply_timeout_seconds", "seconds", "SECONDS",
               "after an outage of the layer's server, answer 504 for what other hosts have not "
               "answered by then; 0 is never"),
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
