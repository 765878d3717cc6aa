"""One server, as programs reach it that are not the daemon: redis-py's pool of connections.

A command is written once. Where no answer comes to what was written, the server may have
done it: that is told from what was never sent (`Unanswered`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import redis
from redis.exceptions import NoScriptError

from txchannels.errors import ConfigurationError, LayerUnavailable, Unanswered
from txchannels.layers.redis import dial
from txchannels.layers.redis.servertime import ServerTime

if TYPE_CHECKING:
    from txchannels.layers.redis.config import Host
    from txchannels.layers.redis.meanings import Failure
    from txchannels.layers.redis.operations import Script

__all__ = ["Question", "Shard", "undone"]

#: How long a server that cannot be reached is passed over where another will do.
AWAY_SECONDS = 1.0
_DOUBT = "; it may have done what it was asked"


class Shard:
    """See the module.

    Attributes:
        loss: How it was lost, if it has not answered since; None if it has.

    Thread: any.
    """

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self.host = host
        self.time = ServerTime()
        self.loss: Failure | None = None
        self._clock = clock
        self._lost_at = 0.0
        self._client = dial.connect(host)
        self._is_time_known = False

    @property
    def is_away(self) -> bool:
        """Whether it could not be reached a moment ago."""
        return self.loss is not None and self._clock() - self._lost_at < AWAY_SECONDS

    @property
    def is_time_known(self) -> bool:
        """Whether it has ever answered."""
        return self._is_time_known

    def synchronise(self) -> ServerTime:
        """The server's time, asked for at the first call; each answer tells it again.

        Raises: LayerUnavailable: It does not answer; nothing was done.
        """
        if not self._is_time_known:
            self.meet()
        return self.time

    def meet(self) -> None:
        """Have it tell its time, now.

        Raises: LayerUnavailable: It does not answer; nothing was done.
        """
        try:
            self.tell_time(self.call("TIME"))
        except Unanswered as error:
            raise undone(error) from None

    def tell_time(self, answer: Sequence[bytes]) -> None:
        """Note what ``TIME`` was answered with."""
        seconds, micros = answer
        self.seen(int(seconds) * 1000 + int(micros) // 1000)

    def seen(self, milliseconds: int) -> None:
        self.time.seen(milliseconds)
        self._is_time_known = True
        self.loss = None

    def call(self, *arguments: Any) -> Any:
        """One command; its answer is as the server sent it.

        Raises: LayerUnavailable: It was not done. Unanswered: It may have been done.
            ConfigurationError: It can never work.
        """
        return self.ask(arguments).answer()

    def run(self, script: Script, arguments: Sequence[Any]) -> Any:
        """One call of a script; its text is sent where the server does not know it yet.

        Raises: As `call`.
        """
        return self.begin(script, arguments).answer()

    def begin(self, script: Script, arguments: Sequence[Any]) -> Question:
        """Write the call of a script, whose answer is to be read.

        Raises: As `ask`.
        """
        known = ["EVALSHA", script.digest, 0, *arguments]
        return self.ask(known, ["EVAL", script.body, 0, *arguments])

    def ask(self, arguments: Sequence[Any], at_length: Sequence[Any] = ()) -> Question:
        """Write a command, whose answer is to be read.

        Args:
            at_length: What to ask where the server does not know the script.

        Raises: LayerUnavailable: It was not written, and will not be done.
            ConfigurationError: It can never work.
        """
        pool = self._client.connection_pool  # another one after a fork
        try:
            connection = pool.get_connection()
            try:
                # What is not written to its end is no command, and will not be done.
                connection.send_command(*arguments)
            except BaseException:
                connection.disconnect()
                pool.release(connection)
                raise
        except redis.RedisError as error:
            raise self._failed(error) from None
        return Question(self, pool, connection, at_length)

    def _failed(self, error: redis.RedisError) -> Failure:
        if not _is_said(error):
            self._lose(failure := dial.explain(error, self.host))
            return failure
        return dial.explain(error, self.host)

    def _lose(self, failure: Failure) -> None:
        self.loss = failure
        self._lost_at = self._clock()

    def _read(self, connection: Any) -> Any:
        try:
            return connection.read_response()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if _is_said(error):
                raise
            raise self._unanswered(error) from None

    def _unanswered(self, error: redis.RedisError) -> Failure:
        failure = dial.explain(error, self.host)
        if not isinstance(failure, ConfigurationError):  # with TLS 1.3, a refusal comes so late
            is_late = isinstance(error, redis.TimeoutError)
            lost = "the connection was lost before the answer came"
            failure = Unanswered(f"{self.host}: {'no answer in time' if is_late else lost}{_DOUBT}")
        self._lose(failure)
        return failure


class Question:
    """A command that was written to a server; `answer` or `drop` has to be called.

    Args:
        pool: Where *connection* comes from.
    """

    __slots__ = ("_at_length", "_connection", "_pool", "_shard")

    def __init__(self, shard: Shard, pool: Any, connection: Any, at_length: Sequence[Any]) -> None:
        self._shard = shard
        self._pool = pool
        self._connection = connection
        self._at_length = at_length

    def answer(self) -> Any:
        """What the server says; to be called once.

        Raises: As `Shard.call`.
        """
        connection = self._connection
        is_unread = True
        try:
            answer = self._shard._read(connection)  # noqa: SLF001 - its other half
            is_unread = False
            return answer
        except NoScriptError:
            is_unread = False
        except redis.ResponseError as error:
            is_unread = False
            raise dial.explain(error, self._shard.host) from None
        except redis.RedisError as error:
            raise dial.explain(error, self._shard.host) from None
        finally:
            self._release(is_unread=is_unread)
        return self._shard.call(*self._at_length)

    def drop(self) -> None:
        """Do not wait for the answer, if it was not read."""
        self._release(is_unread=True)

    def _release(self, *, is_unread: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if is_unread:
                connection.disconnect()  # or the next command might get this one's answer
        finally:
            self._pool.release(connection)


def undone(error: LayerUnavailable) -> LayerUnavailable:
    """*error* where what may have been done is nothing that counts."""
    return LayerUnavailable(str(error).removesuffix(_DOUBT))


def _is_said(error: redis.RedisError) -> bool:
    """Whether the server has answered so, be it before it closed the connection."""
    return _is_answer(error) or _is_answer(error.__context__)


def _is_answer(error: BaseException | None) -> bool:
    """Whether the server has said it; redis-py has some of it among the ends of connections."""
    said = getattr(error, "status_code", None)
    return isinstance(error, redis.ResponseError) or isinstance(said, str)
