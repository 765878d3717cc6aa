"""The layer of several hosts, as a backend of ``CHANNEL_LAYERS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from re import Pattern
from typing import TYPE_CHECKING, Any

from txchannels.errors import ConfigurationError
from txchannels.layers.capacities import read_seconds, site_capacities
from txchannels.layers.codec import Codec
from txchannels.layers.redis.config import read_hosts
from txchannels.layers.redis.writer import Config

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from txchannels.layers.interfaces import IBlockingLayer
    from txchannels.layers.redis.reactor import JoinedReactor

__all__ = ["RedisLayer"]

MAX_PREFIX_CHARACTERS = 100

#: Redis keeps times in milliseconds; ten years of them are for ever.
LEAST_SECONDS = 0.001
MOST_SECONDS = 10 * 365 * 86_400.0


class RedisLayer:
    """The channel layer of any number of hosts, joined through Redis 7.0 or Valkey.

    In the daemon it is a hub like the memory layer's, with links to the servers; in any
    other program, each call is a round trip.

    Args:
        hosts: URLs of the servers; several are shards, and every host names the same in
            the same order. ``redis://``, ``rediss://``, ``unix://``, ``sentinel://`` and
            ``sentinels://``. None is this machine's Redis.
        prefix: The start of every key.
        expiry: Seconds after which an unread message is dropped.
        group_expiry: Seconds after which a channel that no socket owns leaves its groups.
        capacity: How many messages may wait in a channel.
        channel_capacity: The same by glob over channel names; the first match wins, and
            wins over `capacities.DEFAULT_CAPACITIES`.
        symmetric_encryption_keys: Messages are encrypted with the first one, and decrypted
            with any; None sends them in clear.
        tls: ``ca_file``, ``cert_file``, ``key_file`` for hosts that use TLS.
        sentinel: ``username``, ``password`` of the sentinels themselves.

    Raises: ConfigurationError: One of them cannot work; it shows no secret.
    """

    def __init__(  # noqa: PLR0913 - the keys of CONFIG
        self,
        *,
        hosts: Sequence[Any] | None = None,
        prefix: str = "txchannels:",
        expiry: float = 60.0,
        group_expiry: float = 86_400.0,
        capacity: int = 100,
        channel_capacity: Mapping[str | Pattern[str], int] | None = None,
        symmetric_encryption_keys: Sequence[str] | None = None,
        tls: Mapping[str, str] | None = None,
        sentinel: Mapping[str, str] | None = None,
    ) -> None:
        self.hosts = read_hosts(hosts, tls, sentinel)
        self._config = Config(
            prefix=_read_prefix(prefix),
            capacities=site_capacities(capacity, channel_capacity),
            expiry=read_seconds("CONFIG['expiry']", expiry, least=LEAST_SECONDS, most=MOST_SECONDS),
            group_expiry=read_seconds(
                "CONFIG['group_expiry']", group_expiry, least=LEAST_SECONDS, most=MOST_SECONDS
            ),
            codec=Codec(() if symmetric_encryption_keys is None else symmetric_encryption_keys),
        )
        self._blocking: IBlockingLayer | None = None

    @property
    def blocking(self) -> IBlockingLayer:
        """The face for every thread but the reactor's."""
        if self._blocking is None:
            from txchannels.layers.redis.blocking import DirectBlocking

            self._blocking = DirectBlocking(self.hosts, self._config)
        return self._blocking

    def check(self) -> list[str]:
        """Connect to every server, now. Returns: each one's URL and version.

        Raises: ConfigurationError: It can never work. LayerUnavailable: It may later.
        """
        from txchannels.layers.redis import dial

        return [f"{host} ({dial.probe(host)})" for host in self.hosts]

    def reactor(
        self,
        call_from_thread: Callable[[Callable[[], None]], object],
        clock: IReactorTime | None = None,
    ) -> JoinedReactor:
        """Join this process: its hub, for the reactor whose ``callFromThread`` is given.

        From now on, `blocking` is the hub's.

        Args:
            clock: That reactor.
        """
        from txchannels.layers.redis.connection import connect, find_master
        from txchannels.layers.redis.ends import Server
        from txchannels.layers.redis.hub import JoinedHub
        from txchannels.layers.redis.link import Link
        from txchannels.layers.redis.reactor import JoinedReactor
        from txchannels.layers.redis.threads import JoinedBlocking

        hub = JoinedHub(self._config)
        hub.join(
            [
                Link(
                    clock,
                    Server(
                        str(host),
                        partial(_within, connect, clock, host),
                        partial(_within, find_master, clock, host) if host.service else None,
                    ),
                    prefix=self._config.prefix,
                    owner=hub,
                    call_from_thread=call_from_thread,
                )
                for host in self.hosts
            ]
        )
        self._blocking = JoinedBlocking(hub, call_from_thread)
        return JoinedReactor(hub, call_from_thread, clock)

    def __str__(self) -> str:
        return f"RedisLayer({', '.join(map(str, self.hosts))})"


def _within(call: Callable[..., Any], reactor: Any, host: Any, seconds: float) -> Any:
    return call(reactor, host, timeout=seconds)


def _read_prefix(value: object) -> str:
    if (
        not isinstance(value, str)
        or not value.isascii()
        or not value.isprintable()
        or not 0 < len(value) <= MAX_PREFIX_CHARACTERS
        or "{" in value
        or "}" in value
    ):
        raise ConfigurationError(
            "CONFIG['prefix']",
            value,
            f"must be 1 to {MAX_PREFIX_CHARACTERS} printable ASCII characters without braces",
        )
    return value
