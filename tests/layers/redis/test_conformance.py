"""The shipped conformance suite, on the Redis layer against a real server."""

from __future__ import annotations

import itertools
import unittest

import pytest

from tests.layers.redis.reactors import ReactorThread
from tests.servers import RedisServer, wait_until
from txchannels.layers.redis import RedisLayer
from txchannels.testing.conformance import LayerConformance, ReactorConformance

numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def servers(request):
    """Two servers for all tests of this module; each layer has a prefix of its own."""
    with RedisServer("redis") as redis, RedisServer("valkey") as valkey:
        Direct.servers = {"redis": redis, "valkey": valkey}
        yield


class Direct:
    """A program that is not the daemon."""

    servers: dict[str, RedisServer]
    shards = ("redis",)
    expiry_seconds = 0.5
    keys: tuple[str, ...] = ()

    def make_layer(self, **config):
        hosts = [self.servers[name].url for name in self.shards]
        if self.keys:
            config["symmetric_encryption_keys"] = self.keys
        return RedisLayer(hosts=hosts, prefix=f"conformance{next(numbers)}:", **config)


class Conformance(LayerConformance):
    def test_adding_again_renews_a_membership(self):
        self.expiry_seconds = 1.5  # a slow machine may look a while after the last wait
        super().test_adding_again_renews_a_membership()


class TestRedis(Direct, Conformance, unittest.TestCase):
    pass


class TestValkey(Direct, Conformance, unittest.TestCase):
    shards = ("valkey",)


class TestEncrypted(Direct, Conformance, unittest.TestCase):
    keys = ("new", "old")


class TestSharded(Direct, Conformance, unittest.TestCase):
    shards = ("redis", "valkey")


class Joined(Direct):
    """The daemon: a hub with links, its reactor in a thread."""

    def make_layer(self, **config):
        layer = super().make_layer(**config)
        self.faces = {}
        self.join(layer)
        return layer

    def join(self, layer):
        turning = type(self).turning
        face = turning.call(layer.reactor, turning.reactor.callFromThread, turning.reactor)
        turning.call(face.start)
        hub = layer.blocking._joined
        wait_until(lambda: all(link.is_up for link in hub.links), "the links are up")
        self.faces[layer] = face
        return face

    def close_layer(self, layer):
        type(self).turning.call(self.faces.pop(layer).stop)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.turning = cls.enterClassContext(ReactorThread())


class TestJoinedHub(Joined, Conformance, unittest.TestCase):
    pass


class TestJoinedHubOverValkey(Joined, Conformance, unittest.TestCase):
    shards = ("valkey",)


class TestJoinedHubEncrypted(Joined, Conformance, unittest.TestCase):
    keys = ("new", "old")


class TestJoinedHubSharded(Joined, Conformance, unittest.TestCase):
    shards = ("redis", "valkey")


class TestJoinedHubInTheReactor(Joined, ReactorConformance, unittest.TestCase):
    def make_reactor(self, layer):
        return self.faces[layer]

    def turn_until(self, is_so):
        wait_until(is_so, "it happens")
