"""What looks at every key of a server: page by page, so that nobody waits for more than a page.

Knows no connection: whoever has one gives a function that runs a script on it, and waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from txchannels.layers.accounts import family_of
from txchannels.layers.names import owner_of
from txchannels.layers.redis.operations import Script
from txchannels.layers.redis.places import glob_escape

if TYPE_CHECKING:
    from txchannels.layers.redis.servertime import ServerTime
    from txchannels.layers.redis.writer import Config, Writer

__all__ = ["FIRST_SCRIPTS", "Found", "Run", "flush", "look"]

FLUSH = Script("flush")
FLUSH_PAGE = Script("flush_page")
STATISTICS = Script("statistics")
STATISTICS_PAGE = Script("statistics_page")

#: Those that come first: what was asked for before has to be done before.
FIRST_SCRIPTS = frozenset({FLUSH, STATISTICS})

#: How many keys of the server one page looks at.
PAGE_KEYS = 500

#: Runs a script with the layer's prefix and these arguments.
Run = Callable[..., Any]


class Found(NamedTuple):
    """Statistics of one server.

    Attributes:
        counted: How many messages were ever sent.
        full: How often a channel was full.
        pending: How many wait.
        first: The deadline of the oldest message that waits, in the server's milliseconds.
    """

    counted: int
    full: int
    pending: int
    first: int | None


def flush(run: Run, config: Config, writer: Writer, time: ServerTime) -> None:
    """Forget what one server holds; what is sent meanwhile stays.

    All hubs are told when it begins, to forget what they hold, and when it is over, to register
    who has joined a group meanwhile.
    """
    pattern = f"{glob_escape(config.prefix)}*"
    began = run(FLUSH, config.expiry_ms, writer.flush(time), 1)
    limits = (began + config.expiry_ms, began + round(config.group_expiry * 1000))
    cursor = run(FLUSH_PAGE, pattern, 0, PAGE_KEYS, *limits)
    while int(cursor):
        cursor = run(FLUSH_PAGE, pattern, cursor, PAGE_KEYS, *limits)
    run(FLUSH, config.expiry_ms, writer.flush(time, is_over=True), 0)


def look(run: Run, prefix: str, channel: str | None) -> Found:
    """What one server knows of *channel*, or of all channels."""
    if channel is not None:
        count, full, pending, first = run(STATISTICS, owner_of(channel), family_of(channel))
        return Found(count, full, pending, int(first) if first else None)
    count, full, _, _ = run(STATISTICS, "", "")
    waiting = _look_at_all(run, f"{glob_escape(prefix)}{{[ci]:*")
    first = min((first for _, first in waiting if first is not None), default=None)
    return Found(count, full, sum(pending for pending, _ in waiting), first)


def _look_at_all(run: Run, pattern: str) -> list[tuple[int, int | None]]:
    lists: dict[bytes, tuple[int, int | None]] = {}  # a key may come in two pages
    cursor: Any = 0
    while True:
        cursor, *found = run(STATISTICS_PAGE, pattern, cursor, PAGE_KEYS)
        for at in range(0, len(found), 3):
            key, pending, first = found[at : at + 3]
            lists[key] = pending, int(first) if first else None
        if not int(cursor):
            return list(lists.values())
