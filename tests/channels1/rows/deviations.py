"""What differs on purpose: the page that says so, and the words there by which it is found."""

from __future__ import annotations

__all__ = ["DEVIATIONS"]

#: (section, what differs, the page below ``docs/``, words of it).
DEVIATIONS = [
    (
        6,
        "a site that knows no WebSocket denies it",
        "consumers.md",
        "routes no `websocket.*` channel",
    ),
    (
        6,
        "include copies shallowly",
        "consumers.md",
        "`include` gives the inner routes a shallow copy",
    ),
    (6, "close codes", "consumers.md", "any close code that RFC 6455 lets"),
    (6, "a layer without ROUTING", "consumers.md", "A layer without `ROUTING`"),
    (6, "no layer at all", "consumers.md", "a site without layers one in memory"),
    (6, "what cannot be sent in two seconds", "consumers.md", "then it is logged and given up"),
    (7, "Worker and WorkerGroup", "migrating-channels1.md", "gone: `twistd channels-worker`"),
    (7, "a failed connect or request is answered", "consumers.md", "is answered 500"),
    (7, "the sender of signals", "consumers.md", "The sender of `consumer_started`"),
    (8, "order without a decorator", "consumers.md", "handled one after the other"),
    (8, "a consumer that raises does not stall", "consumers.md", "does not stall its socket"),
    (9, "the size of pieces", "consumers.md", "64 KiB"),
    (9, "a client that takes nothing", "consumers.md", "is waited for 90 seconds"),
    (9, "bodies stream", "consumers.md", "streams to the view"),
    (10, "bad frames close their socket", "generic.md", "`BadFrame` is a `ValueError`"),
    (10, "no class is patched", "generic.md", "A demultiplexer changes no class"),
    (13, "all layers are replaced", "testing.md", "All layers of the site are replaced"),
    (13, "two sessions", "testing.md", "`WSClient.session` is the browser's"),
    (13, "no processes to override", "testing.md", "no `ProtocolServerProcess`"),
    (14, "setup_logger", "migrating-channels1.md", "gone: Django's `LOGGING`"),
    (14, "package_checks", "migrating-channels1.md", "`channels.package_checks`"),
    (16, "CHANNELS_WS_PROTOCOLS", "migrating-channels1.md", "`CHANNELS_WS_PROTOCOLS`"),
]
