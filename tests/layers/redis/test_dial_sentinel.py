"""Blocking connections to the master that sentinels name."""

from __future__ import annotations

import pytest

from tests.layers.redis.probing import Answering, away, read_host, wrong
from tests.servers import (
    RedisServer,
    SentinelTrio,
    free_port,
    make_certificates,
    wait_until,
)
from txchannels.errors import ConfigurationError
from txchannels.layers.redis import dial


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server():
    with RedisServer() as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["valkey", "redis", "tls"])
def test_sentinels_lead_to_the_master_before_and_after_a_fail_over(kind, certificates):
    tls = certificates if kind == "tls" else None
    program = "valkey" if kind == "valkey" else "redis"
    secrets = {"password": "s3cret", "sentinel_password": "s3cret2"}
    with SentinelTrio(program, tls=tls, **secrets) as trio:
        config = {
            "tls": {"ca_file": certificates.ca_file} if tls else None,
            "sentinel": {"password": "s3cret2"},
        }
        host = read_host(trio.url, **config)
        with dial.connect(host) as client:
            client.set("key", 1)
            assert _port(client) == trio.master_port()
            new = trio.failover()
            # The old master still takes writes; it is not asked for long.
            wait_until(lambda: _port(client) == new.port, "the client follows the sentinels")
            new = trio.kill_master()
            assert _port(client) == new.port
        trio.sentinels[0].kill()
        assert dial.probe(host)
        _refused_by_sentinels(trio, config)


def _refused_by_sentinels(trio, config):
    unknown = wrong(trio.url.replace("mymaster", "other"), **config)
    assert "names a service that the sentinels do not know" in unknown.remedy
    assert "refuses" in wrong(trio.url.replace(":s3cret@", ":s3cret3@"), **config).remedy
    for login, remedy in ((None, "asks for a password"), ({"password": "s3cret4"}, "refuses")):
        with pytest.raises(ConfigurationError) as caught:
            dial.probe(read_host(trio.url, **config | {"sentinel": login}))
        assert caught.value.setting == "CONFIG['sentinel']"
        assert remedy in caught.value.remedy
        assert "s3cret" not in str(caught.value)


def _port(client) -> int:
    """Where a command goes that only a master carries out."""
    client.set("key", 1)
    return int(client.config_get("*port")["tls-port"]) or int(client.config_get("port")["port"])


def test_sentinels_that_name_a_replica_are_not_believed():
    with (
        RedisServer("redis") as master,
        RedisServer("redis", config=[f"replicaof 127.0.0.1 {master.port}"]) as replica,
        Answering(
            f"*2\r\n$9\r\n127.0.0.1\r\n${len(str(replica.port))}\r\n{replica.port}\r\n".encode()
        ) as sentinel,
    ):
        line = away(f"sentinel://localhost:{sentinel.port}/mymaster")
        assert "is a replica and takes no writes" in line


def test_sentinels_that_are_away_may_come():
    url = f"sentinel://localhost:{free_port()},localhost:{free_port()}/mymaster"
    assert "Connection refused" in away(url)


def test_what_names_no_address_is_no_sentinel():
    for answer in (b"*2\r\n:1\r\n:2\r\n", b"*1\r\n:1\r\n", b":1\r\n"):
        with Answering(answer) as other:
            remedy = wrong(f"sentinel://localhost:{other.port}/mymaster").remedy
            assert "a sentinel does not answer as Redis does" in remedy


def test_a_redis_is_no_sentinel(server):
    assert "write redis://" in wrong(f"sentinel://localhost:{server.port}/mymaster").remedy
