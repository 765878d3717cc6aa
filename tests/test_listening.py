from __future__ import annotations

import errno

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from txchannels import listening
from txchannels.errors import ConfigurationError
from txchannels.lifecycle import Stop
from txchannels.listening import ServerService, parse_endpoint


class Reactor(Clock):
    """A clock that runs what waits for it to run."""

    def callWhenRunning(self, call, *arguments, **more):
        call(*arguments, **more)


class Port:
    def __init__(self, host, story):
        self.host = host
        self.story = story
        self.stopped = Deferred()

    def getHost(self):
        return self.host

    def stopListening(self):
        self.story.append("stops listening")
        return self.stopped


class Endpoint:
    def __init__(self, result):
        self.result = result

    def listen(self, factory):
        return self.result


class Connections:
    """A site of which only the number of its connections matters."""

    def __init__(self, story):
        self.story = story
        self.connections = 0
        self.late_messages = 0
        self.sockets = 0
        self.can_be_answered = True

    def check(self):
        self.story.append("checks")

    def stop(self, spread_seconds=0.0):
        self.story.append(("lets connections end", spread_seconds))

    def messages_lost(self):
        self.story.append("gives up receipts")

    def close_sockets(self):
        self.story.append("closes sockets")
        self.sockets -= 1
        return self.sockets <= 0

    def abort(self):
        self.story.append("drops connections")


class World:
    """A server service among stand-ins."""

    def __init__(self, monkeypatch, **results):
        self.reactor = Reactor()
        self.story = []
        self.site = Connections(self.story)
        self.stop = Stop(self.reactor, 10)
        self.told = []
        self.failed = []
        self.events = []
        for module in ("lifecycle", "listening"):
            name = f"txchannels.{module}.tell_operator"
            monkeypatch.setattr(name, lambda told: self.told.append(str(told)))
        monkeypatch.setattr(self.stop, "fail", lambda: self.failed.append(True))
        monkeypatch.setattr(
            listening, "parse_endpoint", lambda reactor, name: Endpoint(results[name])
        )
        self.service = ServerService(self.reactor, tuple(results), self.site, self.stop)

    def start(self):
        self.service.privilegedStartService()
        self.service.startService()


LOCAL = IPv4Address("TCP", "127.0.0.1", 8000)


@pytest.fixture
def log():
    events = []

    def observe(event):
        if event.get("log_namespace", "").startswith("txchannels"):
            events.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


@pytest.mark.parametrize(
    ("name", "host", "address"),
    [
        ("tcp:0", LOCAL, "http://127.0.0.1:8000"),
        ("tcp6:0", IPv6Address("TCP", "::1", 80), "http://[::1]:80"),
        ("ssl:0", LOCAL, "https://127.0.0.1:8000"),
        ("unix:x", UNIXAddress(b"/run/a b.sock"), "unix:/run/a b.sock"),
    ],
)
def test_each_address_is_said(monkeypatch, log, name, host, address):
    World(monkeypatch, **{name: succeed(Port(host, []))}).start()
    assert log == [f"Listening on {address}"]


def test_connections_are_checked_every_second(monkeypatch):
    world = World(monkeypatch, tcp=succeed(Port(LOCAL, [])))
    world.start()
    world.reactor.pump([0.5] * 6)
    assert world.story == ["checks"] * 3


# The stop


def stopping(world):
    done = []
    world.service.stopService().addBoth(done.append)
    return done


def test_ports_are_closed_before_connections_are_asked_to_end(monkeypatch):
    world = World(monkeypatch, tcp=Deferred())
    port = Port(LOCAL, world.story)
    world.start()
    world.service._endpoints[0][1].result.callback(port)
    done = stopping(world)
    assert world.story == ["stops listening"]
    port.stopped.callback(None)
    assert world.story[:2] == ["stops listening", ("lets connections end", 5.0)]
    assert done == [None]
    assert world.reactor.getDelayedCalls() == []


@pytest.mark.parametrize("what", ["connections", "late_messages"])
def test_what_is_left_is_waited_for(monkeypatch, what):
    world = World(monkeypatch)
    world.start()
    setattr(world.site, what, 1)
    done = stopping(world)
    world.reactor.pump([0.02] * 100)
    assert done == []
    setattr(world.site, what, 0)
    world.reactor.advance(0.02)
    assert done == [None]
    assert "drops connections" not in world.story


def test_connections_are_dropped_with_time_left_for_what_they_send_at_last(monkeypatch, log):
    world = World(monkeypatch)
    world.start()
    world.site.connections = 3
    done = stopping(world)
    world.reactor.pump([0.02] * 445)
    assert done == []
    world.reactor.pump([0.02] * 10)
    assert done == [None]
    assert world.story[-1] == "drops connections"
    assert log == ["3 connections are dropped"]
    assert world.reactor.getDelayedCalls() == []


def test_receipts_that_cannot_come_are_given_up_again_and_again(monkeypatch):
    world = World(monkeypatch)
    world.start()
    world.site.can_be_answered = False
    world.reactor.advance(1)
    assert "gives up receipts" not in world.story  # the server may come back
    world.site.connections = 1
    done = stopping(world)
    assert world.story.count("gives up receipts") == 1
    world.reactor.pump([0.02] * 60)
    assert world.story.count("gives up receipts") == 2
    world.site.can_be_answered = True
    world.reactor.pump([0.02] * 60)
    assert world.story.count("gives up receipts") == 2
    world.site.connections = 0
    world.reactor.advance(0.02)
    assert done == [None]


def test_sockets_are_closed_bit_by_bit_and_then_waited_for(monkeypatch):
    world = World(monkeypatch)
    world.start()
    world.site.connections = world.site.sockets = 3
    done = stopping(world)
    assert world.story == [("lets connections end", 5.0), "closes sockets"]
    world.reactor.pump([0.02] * 2)
    assert world.story[1:] == ["closes sockets"] * 3 + [("lets connections end", 0.0)]
    world.site.connections = 0
    world.reactor.advance(0.02)
    assert done == [None]


def test_sockets_have_half_of_the_time(monkeypatch):
    world = World(monkeypatch)
    world.start()
    world.site.connections = world.site.sockets = 10**6
    stopping(world)
    world.reactor.pump([0.1] * 49)
    assert world.story[-1] == "closes sockets"
    world.reactor.pump([0.1] * 2)
    assert ("lets connections end", 0.0) in world.story
    assert "drops connections" not in world.story


def test_a_second_signal_closes_all_sockets_and_drops_them(monkeypatch):
    world = World(monkeypatch)
    world.start()
    world.site.connections = world.site.sockets = 10**6
    done = stopping(world)
    world.reactor.pump([0.02] * 10)
    assert done == []
    world.stop.asked("SIGTERM")
    world.reactor.advance(0.02)
    assert world.story[-2:] == [("lets connections end", 0.0), "drops connections"]
    assert done == [None]


def test_a_service_that_was_never_started_stops_too(monkeypatch):
    assert stopping(World(monkeypatch)) == [None]


# Where it cannot listen


def refusal(number, text):
    return CannotListenError("", 80, OSError(number, text))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refusal(errno.EADDRINUSE, "in use"), "[Errno 98] in use (another program listens there"),
        (refusal(errno.EACCES, "denied"), "denied (it is not allowed to this user"),
        (refusal(errno.EADDRNOTAVAIL, "no"), "no (this machine has no such address)"),
        (OSError(5, "cable"), "[Errno 5] cable"),
        (ValueError("odd"), "odd"),
        (ValueError(), "ValueError()"),
    ],
)
def test_what_fails_at_once_ends_the_program(monkeypatch, error, said):
    world = World(monkeypatch, a=fail(error), b=succeed(Port(LOCAL, [])), c=fail(OSError(5, "x")))
    with pytest.raises(SystemExit) as caught:
        world.start()
    assert caught.value.code == 1
    first, second = world.told
    assert first.startswith("--endpoint 'a': cannot listen there: ")
    assert said in first
    assert second == "--endpoint 'c': cannot listen there: [Errno 5] x"
    assert world.failed == []


def test_what_fails_later_stops_the_reactor(monkeypatch):
    result = Deferred()
    world = World(monkeypatch, a=result)
    world.start()
    result.errback(OSError(5, "cable"))
    assert world.told == ["--endpoint 'a': cannot listen there: [Errno 5] cable"]
    assert world.failed == [True]


# Endpoint strings


@pytest.mark.parametrize(
    "name", ["tcp:0", "tcp:port=0:interface=127.0.0.1", r"tcp:0:interface=\:\:"]
)
def test_more_connections_may_wait_than_twisted_lets(name):
    endpoint = parse_endpoint(object(), name)
    assert isinstance(endpoint, TCP4ServerEndpoint)
    assert endpoint._backlog == listening.BACKLOG
    assert parse_endpoint(object(), f"{name}:backlog=7")._backlog == 7
    assert parse_endpoint(object(), "unix:/a")._backlog == listening.BACKLOG


def test_a_socket_that_systemd_has_not_passed_is_named():
    with pytest.raises(ConfigurationError, match="systemd has passed no such socket"):
        parse_endpoint(Clock(), "systemd:domain=INET:index=0")


@pytest.mark.parametrize("name", ["", "x", "no:1", "tcp:", "tcp:x", "tcp:1:a=b", "ssl:1"])
def test_what_is_no_endpoint_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"--endpoint '.*': (is no Twisted|cannot be)"):
        parse_endpoint(object(), name)
