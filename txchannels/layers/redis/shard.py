"""One server, as programs reach it that are not the daemon: redis-py's pool of connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError

from txchannels.layers.redis import dial
from txchannels.layers.redis.servertime import ServerTime

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host
    from txchannels.layers.redis.operations import Script

__all__ = ["Shard"]


class Shard:
    """See the module. Thread: any."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.time = ServerTime()
        self._client = dial.connect(host)
        self._is_time_known = False

    def synchronise(self) -> ServerTime:
        """The server's time, asked for at the first call; each answer tells it again."""
        if not self._is_time_known:
            seconds, micros = self.call("TIME")
            self.seen(int(seconds) * 1000 + int(micros) // 1000)
        return self.time

    def seen(self, milliseconds: int) -> None:
        self.time.seen(milliseconds)
        self._is_time_known = True

    def call(self, *arguments: Any) -> Any:
        """One command.

        Raises: LayerUnavailable; ConfigurationError where it can never work.
        """
        try:
            return self._client.execute_command(*arguments)
        except RedisError as error:
            raise dial.explain(error, self.host) from None

    def run(self, script: Script, arguments: Sequence[Any]) -> Any:
        """One call of a script; its text is sent where the server does not know it yet."""
        try:
            return self._client.execute_command("EVALSHA", script.digest, 0, *arguments)
        except NoScriptError:
            return self.call("EVAL", script.body, 0, *arguments)
        except RedisError as error:
            raise dial.explain(error, self.host) from None
