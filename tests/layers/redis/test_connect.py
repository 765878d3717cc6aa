"""Connecting: to what will do, and one line for each thing that will not."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from tests.layers.redis.turning import INFO, ReactorTestCase, bulk, local, reactor
from tests.servers import RedisServer, free_port
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis.connection import connect

SECRET = "hunter2 %"
ACL = [
    "user ann on >annspass ~* &* +@all",
    "user bob on >bobspass ~* &* +ping",
]


@pytest.fixture(scope="module")
def servers():
    redis = RedisServer("redis", password=SECRET, acl=ACL, unix=True)
    with redis, RedisServer("valkey") as valkey:
        yield redis, valkey


class TestServers(ReactorTestCase):
    """Real ones."""

    @pytest.fixture(autouse=True)
    def _servers(self, servers):
        self.redis, self.valkey = servers
        self.host = local(self.redis.port, password=SECRET)

    async def test_a_valkey_will_do(self):
        connection = await self.connect(local(self.valkey.port))
        assert await connection.call("PING", timeout=5) == b"PONG"

    async def test_a_name_will_do_for_an_address(self):
        await self.connect(local(0, addresses=(("localhost", self.redis.port),), password=SECRET))

    async def test_a_unix_socket_and_a_password(self):
        connection = await self.connect(local(0, path=self.redis.path, password=SECRET))
        assert await connection.call("PING", timeout=5) == b"PONG"

    async def test_the_number_of_the_database_counts(self):
        one = await self.connect(local(self.valkey.port, db=1))
        other = await self.connect(local(self.valkey.port, db=2))
        await one.call("SET", "here", "1", timeout=5)
        assert await other.call("GET", "here", timeout=5) is None

    async def test_a_user_of_the_acl(self):
        connection = await self.connect(local(self.redis.port, username="ann", password="annspass"))
        assert await connection.call("ACL", "WHOAMI", timeout=5) == b"ann"

    async def test_a_tcp_connection_has_no_delay_and_is_kept_alive(self):
        connection = await self.connect(self.host)
        assert connection.transport.getTcpNoDelay()
        assert connection.transport.getTcpKeepAlive()

    async def test_wrong_credentials_can_never_work(self):
        for user, password in ((None, "guess"), ("ann", SECRET), ("nobody", SECRET)):
            host = local(self.redis.port, username=user, password=password)
            line = await self.refusal(ConfigurationError, host)
            assert "refuses the user or the password" in line

    async def test_no_password_where_one_is_wanted(self):
        line = await self.refusal(ConfigurationError, local(self.redis.port))
        assert "asks for a password" in line

    async def test_a_password_where_there_is_none(self):
        line = await self.refusal(ConfigurationError, local(self.valkey.port, password=SECRET))
        assert "has no password" in line

    async def test_a_user_who_may_not_do_what_is_needed(self):
        host = local(self.redis.port, username="bob", password="bobspass")
        assert "ACL" in await self.refusal(ConfigurationError, host)

    async def test_a_database_that_is_not_there(self):
        line = await self.refusal(ConfigurationError, local(self.valkey.port, db=99))
        assert "has no such database" in line

    async def test_a_replica_takes_no_writes(self):
        with RedisServer(config=[f"replicaof 127.0.0.1 {self.valkey.port}"]) as replica:
            line = await self.refusal(LayerUnavailable, local(replica.port))
            assert "replica" in line

    async def test_a_server_that_takes_no_more_clients_may_later(self):
        with RedisServer() as server:
            first = await self.connect(local(server.port))
            await first.call("CONFIG", "SET", "maxclients", 1, timeout=5)
            # It says so and hangs up; whether its words arrive is the system's choice.
            line = await self.refusal(LayerUnavailable, local(server.port))
            words = "too many clients" if "closed" in line else "max number of clients"
            assert words in line

    async def test_a_server_that_hangs_may_answer_later(self):
        self.valkey.pause()
        try:
            line = await self.refusal(LayerUnavailable, local(self.valkey.port), timeout=0.2)
        finally:
            self.valkey.resume()
        assert "no answer within 0.2 s" in line


class TestRefusals(ReactorTestCase):
    """What answers otherwise than a server that will do."""

    async def test_nobody_listens(self):
        line = await self.refusal(LayerUnavailable, local(free_port()))
        assert "Connection refused" in line

    async def test_a_unix_socket_that_is_not_there(self):
        await self.refusal(LayerUnavailable, local(0, path="/nonexistent/redis.sock"))

    async def test_a_name_that_nobody_knows(self):
        host = local(0, addresses=(("redis.invalid", 6379),))
        line = await self.refusal(LayerUnavailable, host)
        assert "the name cannot be resolved" in line

    async def test_a_name_that_is_none(self):
        host = local(0, addresses=(("a..b", 6379),))
        assert "name that is not legal" in await self.refusal(ConfigurationError, host)

    async def test_a_web_server(self):
        port, _ = self.listen(b"HTTP/1.1 400 Bad Request\r\n\r\n", hangs_up=True)
        line = await self.refusal(ConfigurationError, local(port))
        assert "does not answer as Redis does" in line

    async def test_a_reply_of_the_wrong_kind(self):
        port, _ = self.listen(b"*1\r\n:1\r\n")
        line = await self.refusal(ConfigurationError, local(port))
        assert "does not answer as Redis does" in line

    async def test_a_server_that_is_too_old(self):
        port, factory = self.listen(bulk(b"redis_version:6.2.0\r\nrole:master\r\n"))
        line = await self.refusal(ConfigurationError, local(port))
        assert "is Redis 6.2.0; Redis 7.0 or newer is needed, or Valkey" in line
        await factory.connections[0].lost

    async def test_a_server_that_loads_its_data_will_do_later(self):
        port, _ = self.listen(bulk(b"redis_version:7.2.0\r\nloading:1\r\n"))
        line = await self.refusal(LayerUnavailable, local(port))
        assert "loading" in line

    async def test_a_sentinel_without_a_service(self):
        port, _ = self.listen(bulk(b"redis_version:7.2.0\r\nredis_mode:sentinel\r\n"))
        line = await self.refusal(ConfigurationError, local(port))
        assert "is a sentinel: write sentinel://host:port/service" in line

    async def test_a_server_that_never_answers_is_let_go(self):
        port, factory = self.listen()
        await self.refusal(LayerUnavailable, local(port), timeout=0.2)
        await factory.connections[0].lost

    async def test_a_server_that_hangs_up_without_a_word(self):
        port, _ = self.listen(b"", hangs_up=True)
        line = await self.refusal(LayerUnavailable, local(port))
        assert "if it speaks TLS, the URL is rediss://" in line

    async def test_a_server_that_quotes_the_password_is_not_quoted(self):
        for said in (
            b"-ERR unknown command 'AUTH' with args: 'hunter2 %'\r\n",
            b"-NOPERM hunter2\r\n",
            b"-WRONGPASS hunter2\r\n",
            b"-hunter2 %\r\n",
        ):
            port, _ = self.listen(said)
            errors = (ConfigurationError, LayerUnavailable)
            line = await self.refusal(errors, local(port, password=SECRET))
            assert "hunter" not in line

    async def test_what_a_server_says_is_quoted_without_its_control_characters(self):
        port, _ = self.listen(b"-WEIRD \x1b[31mred " + b"x" * 5000 + b"\r\n")
        line = await self.refusal(LayerUnavailable, local(port))
        assert "WEIRD ?[31mred xxx" in line
        assert len(line) < 300

    async def test_a_cancelled_attempt_leaves_nothing(self):
        port, factory = self.listen()
        attempt = connect(reactor, local(port), timeout=5)
        while not factory.connections:
            await deferLater(reactor, 0.01)
        attempt.cancel()
        await self.assertFailure(attempt, CancelledError)
        await factory.connections[0].lost

    async def test_an_attempt_that_is_cancelled_at_once_leaves_nothing(self):
        port, _ = self.listen(INFO)
        attempt = connect(reactor, local(port), timeout=5)
        attempt.cancel()
        await self.assertFailure(attempt, CancelledError)
