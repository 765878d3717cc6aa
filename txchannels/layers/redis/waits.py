"""How a hub's wait at a server is told from all others, and ended when its connection was lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import inlineCallbacks

if TYPE_CHECKING:
    from txchannels.layers.redis.connection import Connection

__all__ = ["Waits"]

_RUN = re.compile(rb"^run_id:(\w+)", re.MULTILINE)


class Waits:
    """The waits of one link, of which one is alive.

    When a network fails, the server goes on serving a connection that nobody reads any more: what
    waits there would take the first message that comes for the hub when it is back.

    Thread: the reactor's.
    """

    def __init__(self) -> None:
        self._last: tuple[bytes, int] | None = None

    @inlineCallbacks
    def take_over(self, commands: Connection, waiting: Connection, seconds: float) -> Any:
        """End the last wait, if the server has it still; the next is on *waiting*.

        Args:
            commands: To the same server.
            seconds: For each command.

        Returns: How the server knows *waiting*.
        """
        info = yield commands.call("INFO", "server", timeout=seconds)
        identity = yield waiting.call("CLIENT", "ID", timeout=seconds)
        found = _RUN.search(info)
        run = found[1] if found else b""
        # After a restart, the server gives the same numbers to others.
        if self._last is not None and self._last[0] == run:
            yield commands.call("CLIENT", "UNBLOCK", self._last[1], timeout=seconds)
        self._last = run, identity
        return identity
