"""A master, its replicas and three sentinels that watch them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Self

import redis

from tests.servers.certificates import Certificates
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

__all__ = ["SentinelTrio"]

_SENTINELS = 3
_QUORUM = 2


class SentinelTrio:
    """One service that sentinels watch, as small as one that fails over can be.

    Args:
        program: See `tests.servers.redis.find_server`.
        service: Its name.
        password: Of the servers.
        sentinel_password: Of the sentinels.
        tls: Servers and sentinels speak only TLS. Needs a real Redis.
    """

    def __init__(
        self,
        program: str = "any",
        *,
        service: str = "mymaster",
        replicas: int = 1,
        password: str = "",
        sentinel_password: str = "",
        tls: Certificates | None = None,
    ) -> None:
        self.service = service
        self._program = program
        self._password = password
        self._tls = tls
        self._stack = ExitStack()
        first = self._server([])
        follow = [f"replicaof 127.0.0.1 {first.port}", "repl-diskless-sync-delay 0"]
        self.servers = [first, *(self._server(follow) for _ in range(replicas))]
        self.sentinels = [
            RedisServer(
                program,
                password=sentinel_password,
                tls=tls,
                sentinel=True,
                config=self._watch(first.port, sentinel_password),
            )
            for _ in range(_SENTINELS)
        ]

    def _server(self, config: Iterable[str]) -> RedisServer:
        login = [f'masterauth "{self._password}"'] if self._password else []
        return RedisServer(
            self._program,
            password=self._password,
            tls=self._tls,
            config=["repl-diskless-sync-delay 0", *login, *config],
        )

    def _watch(self, port: int, sentinel_password: str) -> list[str]:
        name = self.service
        secrets = [f'sentinel auth-pass {name} "{self._password}"'] if self._password else []
        secrets += [f'sentinel sentinel-pass "{sentinel_password}"'] if sentinel_password else []
        return [
            f"sentinel monitor {name} 127.0.0.1 {port} {_QUORUM}",
            f"sentinel down-after-milliseconds {name} 1500",
            f"sentinel failover-timeout {name} 3000",
            f"sentinel parallel-syncs {name} 1",
            *secrets,
        ]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in (*self.servers, *self.sentinels):
                stack.enter_context(server)
            wait_until(self._complete, "the sentinels know the replicas and each other")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _complete(self) -> bool:
        return all(self._knows_all(sentinel) for sentinel in self.sentinels)

    def _knows_all(self, sentinel: RedisServer) -> bool:
        with sentinel.client() as client:
            master = client.sentinel_master(self.service)
            replicas = client.sentinel_slaves(self.service)
        up = [one for one in replicas if one["master-link-status"] == "ok"]
        return master["num-other-sentinels"] == _SENTINELS - 1 and len(up) == len(self.servers) - 1

    def master_port(self) -> int:
        """Where the master is, as most of the sentinels say; 0 if they do not agree."""
        said = [self._says(sentinel) for sentinel in self.sentinels]
        most = max(said, key=said.count)
        return most if said.count(most) >= _QUORUM else 0

    def _says(self, sentinel: RedisServer) -> int:
        try:
            with sentinel.client() as client:
                address = client.sentinel_get_master_addr_by_name(self.service)
        except redis.RedisError:
            return 0
        return int(address[1]) if address else 0

    @property
    def master(self) -> RedisServer:
        """The server that is the master now."""
        port = wait_until(self.master_port, "the sentinels agree on a master")
        return next(server for server in self.servers if server.port == port)

    def failover(self) -> RedisServer:
        """Have the sentinels make a replica the master; returns it when it takes writes.

        The old one takes writes, too, until a sentinel makes it a replica: some 10 seconds.
        """
        old = self.master

        def asked() -> bool:
            with self.sentinels[0].client() as client:
                try:
                    client.execute_command("SENTINEL", "FAILOVER", self.service)
                except redis.ResponseError:  # -INPROG, or -NOGOODSLAVE just after the last one
                    return False
            return True

        wait_until(asked, "a sentinel begins the fail-over")
        return self._follow(old)

    def kill_master(self) -> RedisServer:
        """Kill the master; returns the new one when it takes writes."""
        old = self.master
        old.kill()
        return self._follow(old)

    def _follow(self, old: RedisServer) -> RedisServer:
        wait_until(
            lambda: self.master_port() not in {0, old.port}, "the sentinels name a new master"
        )
        new = self.master
        wait_until(lambda: _is_master(new), "the new master takes writes")
        # A client may ask any of them; one that is away says 0.
        wait_until(
            lambda: {self._says(one) for one in self.sentinels} <= {0, new.port},
            "all sentinels name it",
        )
        return new

    @property
    def url(self) -> str:
        """For ``CONFIG['hosts']``, with the servers' password."""
        scheme = "sentinels" if self._tls else "sentinel"
        secret = f":{self._password}@" if self._password else ""
        places = ",".join(f"localhost:{sentinel.port}" for sentinel in self.sentinels)
        return f"{scheme}://{secret}{places}/{self.service}/0"


def _is_master(server: RedisServer) -> bool:
    with server.client() as client:
        try:
            return client.role()[0] == b"master"
        except redis.RedisError:
            return False
