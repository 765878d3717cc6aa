"""Sentinels: the master that they name, whichever of them is away or wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from tests.layers.redis.turning import INFO, ReactorTestCase, bulk, local, reactor
from tests.servers import SentinelTrio, free_port, make_certificates
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis.config import Host, Tls
from txchannels.layers.redis.connection import connect

HERE = "127.0.0.1"


def named(port):
    return b"*2\r\n%s%s" % (bulk(HERE.encode()), bulk(b"%d" % port))


def watched(*ports, **more) -> Host:
    addresses = tuple((HERE, port) for port in ports)
    return Host(**{"addresses": addresses, "service": "mymaster", **more})


class TestScripted(ReactorTestCase):
    """Sentinels that say what a test wants."""

    async def test_the_master_that_the_first_names(self):
        master, _ = self.listen(INFO)
        sentinel, factory = self.listen(named(master))
        connection = await self.connect(watched(sentinel))
        assert connection.is_open
        assert b"mymaster" in factory.connections[0].received
        await factory.connections[0].lost

    async def test_the_servers_secrets_do_not_reach_the_sentinels(self):
        master, servers = self.listen(b"+OK\r\n", b"+OK\r\n", INFO)
        sentinel, sentinels = self.listen(b"+OK\r\n", named(master))
        host = watched(sentinel, password="hunter2", sentinel_password="hunter3", db=3)
        await self.connect(host)
        assert b"hunter3" in sentinels.connections[0].received
        assert b"hunter2" not in sentinels.connections[0].received
        assert b"hunter3" not in servers.connections[0].received
        assert b"SELECT" in servers.connections[0].received

    async def test_the_next_is_asked_when_one_is_away_or_wrong(self):
        master, _ = self.listen(INFO)
        ignorant, _ = self.listen(b"*-1\r\n")
        other, _ = self.listen(b"-ERR unknown command 'SENTINEL'\r\n")
        garbage, _ = self.listen(b"*2\r\n:1\r\n:2\r\n")
        web, _ = self.listen(b"HTTP/1.1 400\r\n")
        sentinel, _ = self.listen(named(master))
        await self.connect(watched(free_port(), ignorant, other, garbage, web, sentinel))

    async def test_a_sentinel_that_is_silent_takes_only_its_share_of_the_time(self):
        master, _ = self.listen(INFO)
        silent, factory = self.listen()
        sentinel, _ = self.listen(named(master))
        await self.connect(watched(silent, sentinel), timeout=4)
        await factory.connections[0].lost

    async def test_the_next_is_asked_when_the_master_is_none(self):
        replica, _ = self.listen(bulk(b"redis_version:7.2.0\r\nrole:slave\r\n"))
        master, _ = self.listen(INFO)
        stale, _ = self.listen(named(replica))
        sentinel, _ = self.listen(named(master))
        await self.connect(watched(stale, sentinel))

    async def test_a_master_that_is_away_is_tried_once(self):
        away = free_port()
        sentinels = [self.listen(named(away))[0] for _ in range(3)]
        line = await self.refusal(LayerUnavailable, watched(*sentinels))
        assert line == f"redis://{HERE}:{away}/0: Connection refused"

    async def test_a_master_that_can_never_be_used(self):
        old, _ = self.listen(bulk(b"redis_version:6.2.0\r\n"))
        sentinels = [self.listen(named(old))[0] for _ in range(2)]
        line = await self.refusal(ConfigurationError, watched(*sentinels))
        assert "is Redis 6.2.0; Redis 7.0 or newer is needed" in line

    async def test_no_sentinel_is_there(self):
        line = await self.refusal(LayerUnavailable, watched(free_port(), free_port()))
        assert "Connection refused" in line

    async def test_a_service_that_none_knows(self):
        sentinels = [self.listen(b"*-1\r\n")[0] for _ in range(3)]
        line = await self.refusal(ConfigurationError, watched(*sentinels))
        assert "names a service that the sentinels do not know: 'mymaster'" in line

    async def test_a_service_that_those_who_are_there_do_not_know(self):
        ignorant, _ = self.listen(b"*-1\r\n")
        await self.refusal(LayerUnavailable, watched(free_port(), ignorant))

    async def test_a_cancelled_attempt_asks_no_further(self):
        silent, factory = self.listen()
        next_port, never = self.listen()
        attempt = connect(reactor, watched(silent, next_port), timeout=5)
        while not factory.connections:
            await deferLater(reactor, 0.01)
        attempt.cancel()
        await self.assertFailure(attempt, CancelledError)
        await factory.connections[0].lost
        assert never.connections == []

    async def test_an_attempt_that_is_cancelled_at_once_asks_no_further(self):
        silent, _ = self.listen()
        attempt = connect(reactor, watched(silent, silent), timeout=5)
        attempt.cancel()
        await self.assertFailure(attempt, CancelledError)


@pytest.fixture(scope="module")
def trio():
    with SentinelTrio(password="hunter2", sentinel_password="hunter3") as trio:
        yield trio


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.slow
class TestTrio(ReactorTestCase):
    """Real sentinels."""

    timeout = 60

    @pytest.fixture(autouse=True)
    def _trio(self, trio, certificates):
        self.trio, self.files = trio, certificates
        ports = [sentinel.port for sentinel in trio.sentinels]
        self.host = watched(*ports, password="hunter2", sentinel_password="hunter3")

    async def role(self, host):
        connection = await self.connect(host)
        return (await connection.call("ROLE", timeout=5))[0]

    async def test_they_lead_to_the_master(self):
        assert await self.role(self.host) == b"master"

    async def test_they_lead_to_the_next_master_after_a_fail_over(self):
        old = await self.connect(self.host)
        self.trio.failover()
        assert await self.role(self.host) == b"master"
        old.close()

    async def test_a_service_that_they_do_not_know(self):
        line = await self.refusal(ConfigurationError, replace(self.host, service="nothing"))
        assert "names a service that the sentinels do not know: 'nothing'" in line

    async def test_the_sentinels_password_is_wrong(self):
        host = replace(self.host, sentinel_password="guess")
        line = await self.refusal(ConfigurationError, host)
        assert line.startswith("CONFIG['sentinel'] 'sentinel://")
        assert "a sentinel refuses the user or the password" in line

    async def test_the_sentinels_password_is_missing(self):
        host = replace(self.host, sentinel_password=None)
        line = await self.refusal(ConfigurationError, host)
        assert line.startswith("CONFIG['sentinel'] 'sentinel://")
        assert "a sentinel asks for a password" in line

    async def test_the_servers_password_is_wrong(self):
        line = await self.refusal(ConfigurationError, replace(self.host, password="guess"))
        assert line.startswith("CONFIG['hosts'] 'redis://")
        assert "refuses the user or the password" in line

    async def test_a_sentinel_taken_for_a_server(self):
        port = self.trio.sentinels[0].port
        line = await self.refusal(ConfigurationError, local(port, password="hunter3"))
        assert "is a sentinel: write sentinel://host:port/service" in line

    async def test_with_tls(self):
        with SentinelTrio("redis", replicas=0, tls=self.files) as trio:
            ports = [sentinel.port for sentinel in trio.sentinels]
            for files in (
                {},
                {
                    "cert_file": str(self.files.client_cert_file),
                    "key_file": str(self.files.client_key_file),
                },
            ):
                tls = Tls(ca_file=str(self.files.ca_file), **files)
                assert await self.role(watched(*ports, tls=tls)) == b"master"
