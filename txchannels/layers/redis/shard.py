"""One server, as programs reach it that are not the daemon: redis-py's pool of connections.

A command is written once. Where no answer comes to what was written, the server may have
done it: that is told from what was never sent (`Unanswered`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import redis
from redis.exceptions import NoScriptError

from txchannels.errors import ConfigurationError, Unanswered
from txchannels.layers.redis import dial
from txchannels.layers.redis.servertime import ServerTime

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host
    from txchannels.layers.redis.meanings import Failure
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
        """One command; its answer is as the server sent it.

        Raises: LayerUnavailable: It was not done. Unanswered: It may have been done.
            ConfigurationError: It can never work.
        """
        try:
            return self._execute(arguments)
        except redis.RedisError as error:
            raise dial.explain(error, self.host) from None

    def run(self, script: Script, arguments: Sequence[Any]) -> Any:
        """One call of a script; its text is sent where the server does not know it yet.

        Raises: As `call`.
        """
        try:
            return self._execute(["EVALSHA", script.digest, 0, *arguments])
        except NoScriptError:
            return self.call("EVAL", script.body, 0, *arguments)
        except redis.RedisError as error:
            raise dial.explain(error, self.host) from None

    def _execute(self, arguments: Sequence[Any]) -> Any:
        """Write a command and read its answer.

        Raises: Unanswered, ConfigurationError: As `call`. RedisError: It was not done.
        """
        pool = self._client.connection_pool  # another one after a fork
        connection = pool.get_connection()
        try:
            # What is not written to its end is no command, and will not be done.
            connection.send_command(*arguments)
            return self._read(connection)
        except redis.ResponseError:
            raise  # an answer as it should be: the connection stays
        except BaseException:
            connection.disconnect()  # or the next command might get this one's answer
            raise
        finally:
            pool.release(connection)

    def _read(self, connection: Any) -> Any:
        try:
            return connection.read_response()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if _is_answer(error) or _is_answer(error.__context__):
                raise
            raise self._unanswered(error) from None

    def _unanswered(self, error: redis.RedisError) -> Failure:
        failure = dial.explain(error, self.host)
        if isinstance(failure, ConfigurationError):  # with TLS 1.3, a refusal comes so late
            return failure
        is_late = isinstance(error, redis.TimeoutError)
        how = "no answer in time" if is_late else "the connection was lost before the answer came"
        return Unanswered(f"{self.host}: {how}; it may have done what it was asked")


def _is_answer(error: BaseException | None) -> bool:
    """Whether the server has said it; redis-py has some of it among the ends of connections."""
    said = getattr(error, "status_code", None)
    return isinstance(error, redis.ResponseError) or isinstance(said, str)
