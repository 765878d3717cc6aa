"""Tests that turn the reactor, and servers in it that say what a test tells them to."""

from __future__ import annotations

import gc

from twisted.internet import reactor  # noqa: TID251 -- a test that turns the reactor names it
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from txchannels.layers.redis.config import Host
from txchannels.layers.redis.connection import Connection, connect

__all__ = ["INFO", "ReactorTestCase", "Scripted", "bulk", "local", "reactor"]

GUARD_SECONDS = 20


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


INFO = bulk(b"redis_version:7.2.0\r\nrole:master\r\n")


def local(port: int, **more) -> Host:
    return Host(**{"addresses": (("127.0.0.1", port),), **more})


class Scripted(Protocol):
    """A server that answers each thing it reads with the next of *answers*.

    Args:
        hangs_up: After the last of them; else it is silent then.
    """

    def __init__(self, answers, hangs_up):
        self._answers = list(answers)
        self._hangs_up = hangs_up
        self.received = b""
        self.lost = Deferred()

    def dataReceived(self, data):
        self.received += data
        if self._answers:
            self.transport.write(self._answers.pop(0))
        if self._hangs_up and not self._answers:
            self.transport.loseConnection()

    def connectionLost(self, why):
        self.lost.callback(None)


class _Scripts(Factory):
    noisy = False

    def __init__(self, *script):
        self._script = script
        self.connections = []

    def buildProtocol(self, address):
        self.connections.append(Scripted(*self._script))
        return self.connections[-1]


class ReactorTestCase(TestCase):
    """Leaves the reactor as it found it, or fails."""

    timeout = 60

    def setUp(self):
        self._found = self._held()
        self.addCleanup(self._settle)

    def _held(self):
        return {*reactor.getReaders(), *reactor.getWriters()} - reactor._internalReaders

    async def _settle(self):
        end = reactor.seconds() + GUARD_SECONDS
        while self._held() - self._found and reactor.seconds() < end:
            await deferLater(reactor, 0.01)
        gc.collect()  # a failure that nobody looked at is logged now, and fails the test
        assert self._held() - self._found == set()

    def listen(self, *answers, hangs_up=False):
        """The port of a server that plays *answers* to each connection, and its factory."""
        factory = _Scripts(answers, hangs_up)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port, factory

    async def connect(self, host, timeout=GUARD_SECONDS) -> Connection:
        connection = await connect(reactor, host, timeout=timeout)
        self.addCleanup(connection.close)
        return connection

    async def refusal(self, error, host, timeout=GUARD_SECONDS) -> str:
        """The one line with which connecting fails as *error*, one class or several."""
        errors = error if isinstance(error, tuple) else (error,)
        raised = await self.assertFailure(connect(reactor, host, timeout=timeout), *errors)
        line = str(raised)
        assert "\n" not in line
        for secret in (host.password, host.sentinel_password):
            assert secret is None or secret not in line
        return line
