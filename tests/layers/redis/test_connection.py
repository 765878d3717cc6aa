"""One connection: commands and replies, what is late, and what is lost."""

from __future__ import annotations

from functools import partial

import pytest
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from txredisapi import ResponseError

from tests.layers.redis.turning import INFO, ReactorTestCase, local
from tests.servers import RedisServer
from txchannels.errors import LayerUnavailable
from txchannels.layers.redis.connection import TICK_SECONDS, Connection

result_of = SynchronousTestCase().successResultOf
no_result_of = SynchronousTestCase().assertNoResult
failure_of = SynchronousTestCase().failureResultOf


class Transport(StringTransport):
    aborted = False

    def abortConnection(self):
        self.aborted = True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def connection(clock):
    connection = Connection(clock, "redis://here/0")
    connection.makeConnection(Transport())
    yield connection
    connection.close()
    assert clock.getDelayedCalls() == []


@pytest.fixture
def losses(connection):
    losses = []
    connection.on_lost = losses.append
    return losses


def turn(clock, seconds):
    for _ in range(round(seconds / TICK_SECONDS)):
        clock.advance(TICK_SECONDS)


def test_a_command_is_an_array_of_bulk_strings(connection):
    connection.call("SET", b"\xff\r\n", 42, timeout=None).addErrback(lambda _: None)
    sent = connection.transport.value()
    assert sent == b"*3\r\n$3\r\nSET\r\n$3\r\n\xff\r\n\r\n$2\r\n42\r\n"


def test_what_cannot_be_sent_is_refused_and_nothing_waits_for_it(connection):
    with pytest.raises(TypeError):
        connection.call("GET", None, timeout=1)
    reply = connection.call("PING", timeout=None)
    connection.dataReceived(b"+PONG\r\n")
    assert result_of(reply) == b"PONG"


def test_replies_come_in_the_order_of_the_calls_however_they_are_cut(connection):
    replies = [connection.call("GET", key, timeout=1) for key in "abcd"]
    for byte in b"$2\r\n42\r\n:42\r\n$-1\r\n*2\r\n+OK\r\n*1\r\n:1\r\n":
        connection.dataReceived(bytes([byte]))
    assert [result_of(reply) for reply in replies] == [b"42", 42, None, [b"OK", [1]]]


def test_an_error_fails_its_call_and_no_other(connection):
    refused, taken = (connection.call("GET", key, timeout=1) for key in "ab")
    connection.dataReceived(b"-NOSCRIPT No matching script\r\n:1\r\n")
    assert str(failure_of(refused, ResponseError).value) == "NOSCRIPT No matching script"
    assert result_of(taken) == 1


def test_queued_is_a_reply_as_any_other(connection):
    reply = connection.call("GET", "word", timeout=1)
    connection.dataReceived(b"$6\r\nQUEUED\r\n")
    assert result_of(reply) == b"QUEUED"


def test_a_reply_to_a_cancelled_call_is_not_the_next_calls(connection):
    given_up, kept = (connection.call("GET", key, timeout=1) for key in "ab")
    given_up.cancel()
    failure_of(given_up, CancelledError)
    connection.dataReceived(b"$1\r\na\r\n$1\r\nb\r\n")
    assert result_of(kept) == b"b"


def test_a_late_reply_drops_the_connection_and_fails_all_calls(connection, clock, losses):
    calls = [connection.call("GET", "a", timeout=None), connection.call("GET", "b", timeout=1)]
    turn(clock, 0.9)
    assert connection.is_open
    turn(clock, 0.3)
    for call in calls:
        assert "no reply in time" in str(failure_of(call, LayerUnavailable).value)
    assert connection.transport.aborted
    assert not connection.is_open
    assert len(losses) == 1


def test_a_late_reply_is_nobodys(connection, clock):
    late = connection.call("GET", "a", timeout=1)
    turn(clock, 2)
    failure_of(late, LayerUnavailable)
    connection.dataReceived(b"$6\r\nsecret\r\n")
    failure_of(connection.call("GET", "b", timeout=1), LayerUnavailable)


def test_a_pause_of_the_program_is_not_the_servers(connection, clock):
    reply = connection.call("GET", "a", timeout=1)
    clock.advance(60)  # the reactor did not turn: what came meanwhile has not been read
    connection.dataReceived(b":1\r\n")
    assert result_of(reply) == 1


def test_a_call_without_a_timeout_has_no_timer(connection, clock):
    reply = connection.call("BLMPOP", timeout=None)
    assert clock.getDelayedCalls() == []
    no_result_of(reply)
    reply.addErrback(lambda _: None)


def test_the_timer_ends_with_the_last_wait(connection, clock):
    call = partial(connection.call, "GET", timeout=1)
    call("a"), call("b")
    assert len(clock.getDelayedCalls()) == 1
    connection.dataReceived(b":1\r\n:2\r\n")
    turn(clock, TICK_SECONDS)
    assert clock.getDelayedCalls() == []


def test_a_loss_is_told_once_after_the_calls_have_failed(connection):
    told = []
    connection.on_lost = lambda why: told.append(("lost", str(why)))
    connection.call("GET", timeout=1).addErrback(lambda why: told.append(("call", str(why.value))))
    connection.connectionLost(Failure(ConnectionLost()))
    line = "redis://here/0: the connection was lost"
    assert told == [("call", line), ("lost", line)]


def test_a_call_in_the_errback_of_a_lost_call_fails_at_once(connection):
    call = partial(connection.call, "GET", "a", timeout=1)
    again = call().addErrback(lambda _: call())
    connection.connectionLost(Failure(ConnectionLost()))
    failure_of(again, LayerUnavailable)


def test_each_failed_call_has_an_exception_of_its_own(connection):
    calls = [connection.call("GET", key, timeout=1) for key in "ab"]
    connection.close()
    one, other = (failure_of(call, LayerUnavailable).value for call in calls)
    assert one is not other


def test_what_this_side_closes_is_not_lost(connection, losses):
    call = connection.call("GET", "a", timeout=1)
    connection.close()
    connection.close()
    failure_of(call, LayerUnavailable)
    connection.connectionLost(Failure(ConnectionLost()))
    assert connection.transport.aborted
    assert losses == []


def test_nothing_is_handed_out_after_a_callback_has_closed(connection):
    first, second = (connection.call("GET", key, timeout=1) for key in "ab")
    first.addCallback(lambda _: connection.close())
    connection.dataReceived(b":1\r\n:2\r\n")
    failure_of(second, LayerUnavailable)


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400\r\n", b"\x15\x03\x01\x00\x02", b"$x\r\n"])
def test_garbage_loses_the_connection(connection, losses, garbage):
    call = connection.call("GET", "a", timeout=1)
    connection.dataReceived(garbage)
    failure_of(call, LayerUnavailable)
    assert connection.transport.aborted
    assert len(losses) == 1


@pytest.mark.parametrize("reply", [b"+OK\r\n", b"-ERR max number of clients reached\r\n"])
def test_a_reply_that_nothing_asked_for_loses_the_connection(connection, losses, reply):
    connection.dataReceived(reply)
    assert len(losses) == 1
    assert not connection.is_open


@pytest.fixture(scope="module")
def server():
    with RedisServer(unix=True) as server:
        yield server


class TestCalls(ReactorTestCase):
    """Against a real server."""

    @pytest.fixture(autouse=True)
    def _server(self, server):
        self.hosts = [local(server.port), local(0, addresses=(), path=server.path)]

    async def test_bytes_stay_as_they_are(self):
        for host in self.hosts:
            connection = await self.connect(host)
            for value in (b"42", b"", b"4.5", bytes(range(256)), b"\xff\x00" * 524_288):
                await connection.call("SET", "key", value, timeout=20)
                assert await connection.call("GET", "key", timeout=20) == value
            connection.close()

    async def test_thousands_of_elements_come_in_one_reply(self):
        connection = await self.connect(self.hosts[0])
        values = [b"%d" % number for number in range(20_000)]
        await connection.call("DEL", "list", timeout=20)
        await connection.call("RPUSH", "list", *values, timeout=20)
        assert await connection.call("LRANGE", "list", 0, -1, timeout=20) == values

    async def test_commands_of_all_sizes_keep_their_order(self):
        connection = await self.connect(self.hosts[0])
        sizes = [0, 1, 1_048_576, 3, 100_000, 0, 8_000_000, 5]
        calls = [connection.call("ECHO", b"x" * size, timeout=20) for size in sizes]
        replies = await gatherResults(calls)
        assert [len(reply) for reply in replies] == sizes

    async def test_a_blocking_call_returns_what_another_connection_pushes(self):
        blocked, pushing = [await self.connect(self.hosts[0]) for _ in range(2)]
        popped = blocked.call("BLMPOP", 10, 1, "queue", "LEFT", "COUNT", 10, timeout=20)
        await pushing.call("RPUSH", "queue", b"1", b"2", timeout=20)
        assert await popped == [b"queue", [b"1", b"2"]]

    async def test_a_blocking_call_that_finds_nothing_returns_none(self):
        connection = await self.connect(self.hosts[0])
        assert await connection.call("BLMPOP", 0.01, 1, "empty", "LEFT", timeout=20) is None

    async def test_a_late_reply_drops_a_real_connection(self):
        connection = await self.connect(self.hosts[0])
        calls = [
            connection.call("BLMPOP", 0, 1, "empty", "LEFT", timeout=None),
            connection.call("PING", timeout=0.1),
        ]
        for _, result in await DeferredList(calls, consumeErrors=True):
            assert result.check(LayerUnavailable)


class TestLoss(ReactorTestCase):
    """A server that goes away."""

    async def test_every_outstanding_call_fails_when_the_server_is_killed(self):
        with RedisServer() as server:
            connection = await self.connect(local(server.port))
            lost = Deferred()
            connection.on_lost = lost.callback
            blocked = connection.call("BLMPOP", 0, 1, "empty", "LEFT", timeout=None)
            calls = [blocked, *(connection.call("PING", timeout=20) for _ in range(100))]
            server.kill()
            for _, result in await DeferredList(calls, consumeErrors=True):
                assert result.check(LayerUnavailable)
            assert isinstance(await lost, LayerUnavailable)
            await self.assertFailure(connection.call("PING", timeout=None), LayerUnavailable)

    async def test_a_server_that_hangs_up_in_the_middle_of_a_reply_fails_the_call(self):
        port, factory = self.listen(INFO, b"$100\r\nonly this", hangs_up=True)
        connection = await self.connect(local(port))
        await self.assertFailure(connection.call("GET", "a", timeout=None), LayerUnavailable)
        await factory.connections[0].lost
