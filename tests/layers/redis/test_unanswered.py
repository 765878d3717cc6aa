"""A program's call whose answer was lost is told from one that was never made."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack

import pytest

from tests.layers.redis.probing import Answering, read_host
from tests.servers import Cuttable, RedisServer, free_port
from txchannels.errors import ConfigurationError, LayerUnavailable, MessageTooLarge, Unanswered
from txchannels.layers.redis import RedisLayer
from txchannels.layers.redis.blocking import TAKEN
from txchannels.layers.redis.outcomes import Outcome
from txchannels.layers.redis.shard import Shard


class Forgetful(Cuttable):
    """A line that, once it is told to, breaks when an answer comes.

    Attributes:
        is_losing: Whether it does.
    """

    is_losing = False

    def _carry(self, end: socket.socket) -> None:
        if self.is_losing and end.getpeername()[1] == self._target[1]:
            for one in (end, self._ends[end]):
                self._forget(one)
                self._ends.pop(one, None)
            return
        super()._carry(end)


@pytest.fixture
def servers():
    with ExitStack() as stack:
        yield [stack.enter_context(RedisServer()) for _ in range(3)]


@pytest.fixture
def lines(servers):
    with ExitStack() as stack:
        yield [stack.enter_context(Forgetful(server.port)) for server in servers]


def program(*ends):
    """A program whose layer has these servers, or lines to them."""
    return RedisLayer(hosts=[f"redis://127.0.0.1:{end.port}" for end in ends]).blocking


def taken(face, channel):
    """The numbers of the messages that wait in *channel*."""
    found = []
    while (message := face.receive([channel])[1]) is not None:
        found.append(message["n"])
    return found


def test_a_send_whose_answer_is_lost_may_have_been_done_and_is_not_done_again(servers, lines):
    face, other = program(lines[0]), program(servers[0])
    face.send("work", {"n": 0})
    lines[0].is_losing = True
    with pytest.raises(Unanswered, match="it may have done what it was asked") as caught:
        face.send("work", {"n": 1})
    assert str(caught.value).startswith(f"redis://127.0.0.1:{lines[0].port}/0: the connection was")
    [(send, error)] = face.send_many([("channel", "work", {"n": 2})])
    assert (send[2], type(error)) == ({"n": 2}, Unanswered)
    lines[0].is_losing = False
    face.send("work", {"n": 3})
    assert taken(other, "work") == [0, 1, 2, 3]


@pytest.mark.parametrize("call", ["group_add", "group_channels", "receive", "global_statistics"])
def test_every_call_says_so(servers, lines, call):
    face = program(lines[0])
    assert face.receive(["work"]) == (None, None)
    arguments = {
        "group_add": ("room", "work"),
        "group_channels": ("room",),
        "receive": (["work"],),
        "global_statistics": (),
    }[call]
    lines[0].is_losing = True
    with pytest.raises(Unanswered):
        getattr(face, call)(*arguments)
    lines[0].is_losing = False
    getattr(face, call)(*arguments)


def test_what_a_server_that_hangs_was_asked_may_have_been_done(servers, lines, monkeypatch):
    monkeypatch.setattr("txchannels.layers.redis.pools.COMMAND_SECONDS", 2.0)
    face, other = program(lines[0]), program(servers[0])
    face.send("work", {"n": 0})
    servers[0].pause()
    with pytest.raises(Unanswered, match="no answer in time"):
        face.send("work", {"n": 1})
    servers[0].resume()
    face.send("work", {"n": 2})
    assert taken(other, "work") == [0, 1, 2]


def test_what_was_never_sent_was_not_done(servers, lines):
    face = program(lines[0])
    face.send("work", {"n": 0})
    lines[0].cut()
    with pytest.raises(LayerUnavailable) as caught:
        face.send("work", {"n": 1})
    assert type(caught.value) is LayerUnavailable
    with pytest.raises(LayerUnavailable) as caught:
        program(lines[0]).send("work", {"n": 2})
    assert type(caught.value) is LayerUnavailable
    lines[0].mend()
    assert taken(face, "work") == [0]


def test_a_command_that_was_not_written_to_its_end_was_not_done(servers, monkeypatch):
    shard = Shard(read_host(servers[0].url))
    shard.call("SET", "key", 1)
    connection = shard._client.connection_pool._available_connections[0]
    written = connection._sock

    class Stopping:
        """A socket that takes the beginning alone."""

        def __getattr__(self, name):
            return getattr(written, name)

        def sendall(self, data):
            written.sendall(data[:-1])
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    connection._sock = Stopping()
    with pytest.raises(LayerUnavailable) as caught:
        shard.call("INCR", "key")
    assert type(caught.value) is LayerUnavailable
    assert shard.call("GET", "key") == b"1"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", LayerUnavailable),
        (b"-READONLY You can't write against a read only replica.\r\n", LayerUnavailable),
        (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", LayerUnavailable),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", LayerUnavailable),
        (b"-ERR something\r\n", LayerUnavailable),
        (b"-ERR max number of clients reached\r\n", LayerUnavailable),
        (b"-NOAUTH Authentication required.\r\n", ConfigurationError),
        (b"-NOPERM this user has no permissions\r\n", ConfigurationError),
        (b"220 mail.example ESMTP\r\n", ConfigurationError),
        (None, Unanswered),
    ],
)
def test_a_refusal_is_an_answer(answer, kind):
    with Answering(answer) as server:
        shard = Shard(read_host(f"redis://127.0.0.1:{server.port}"))
        with pytest.raises((LayerUnavailable, ConfigurationError)) as caught:
            shard.call("TIME")
    assert type(caught.value) is kind


def test_an_answer_that_nobody_has_read_is_not_that_of_the_next_command(servers, monkeypatch):
    """A signal's handler may raise between the two, as Celery's time limit does."""
    shard = Shard(read_host(servers[0].url))
    assert shard.call("ECHO", "one") == b"one"
    [connection] = shard._client.connection_pool._available_connections

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Shard, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shard.call("ECHO", "two")
    assert not connection.is_connected
    assert shard._client.connection_pool._available_connections == [connection]
    assert shard.call("ECHO", "three") == b"three"


# Several servers


@pytest.fixture
def rooms(servers):
    """Who is in which group, and whether its members are on the second server."""
    face = program(*servers)
    rooms = {f"room{number}": f"member{number}" for number in range(12)}
    for group, channel in rooms.items():
        face.group_add(group, channel)
    second = face._shards[1]
    found = {group: face._member_shard(group, rooms[group]) is second for group in rooms}
    assert len(set(found.values())) == 2
    return [(group, rooms[group], there) for group, there in found.items()]


def test_a_group_send_that_some_servers_have_taken_may_have_been_done(servers, lines, rooms):
    face, other = program(*lines), program(*servers)
    for group, _, _ in rooms:
        face.send_group(group, {"n": 0})
    lines[1].cut()
    for group, channel, is_cut in rooms:
        with pytest.raises(Unanswered, match="the members on other servers have got it"):
            face.send_group(group, {"n": 1})
        [(send, error)] = face.send_many([("group", group, {"n": 2})])
        assert (send[1], type(error)) == (group, Unanswered)
        assert taken(other, channel) == ([0] if is_cut else [0, 1, 2])


def test_the_servers_behind_one_that_is_away_are_sent_to(servers, lines, rooms):
    """Also where it was away from the start: its time is not known."""
    face, other = program(*lines), program(*servers)
    lines[1].cut()
    failed = face.send_many([("group", group, {"n": 1}) for group, _, _ in rooms])
    assert [type(error) for _, error in failed] == [Unanswered] * len(rooms)
    for _, channel, is_cut in rooms:
        assert taken(other, channel) == ([] if is_cut else [1])


def test_a_group_send_that_no_server_was_sent_was_not_done(lines):
    face = program(*lines)
    for line in lines:
        line.cut()
    with pytest.raises(LayerUnavailable) as caught:
        face.send_group("room", {"n": 1})
    assert type(caught.value) is LayerUnavailable
    [(_, error)] = face.send_many([("group", "room", {"n": 2})])
    assert type(error) is LayerUnavailable


def test_a_group_send_whose_answers_are_lost_says_so_once(lines):
    face = program(*lines)
    face.send_group("room", {"n": 0})
    for line in lines:
        line.is_losing = True
    failed = face.send_many([("group", "room", {"n": 1}), ("group", "hall", {"n": 1})])
    assert [(send[1], type(error)) for send, error in failed] == [
        ("room", Unanswered),
        ("hall", Unanswered),
    ]


def test_a_message_that_is_too_large_everywhere_is_just_that(servers):
    [(_, error)] = program(*servers).send_many([("group", "room", {"n": "x" * 2**21})])
    assert type(error) is MessageTooLarge


@pytest.mark.parametrize(
    ("errors", "servers", "kind"),
    [
        ([LayerUnavailable("a")], 1, LayerUnavailable),
        ([LayerUnavailable("a")], 2, Unanswered),
        ([LayerUnavailable("a"), LayerUnavailable("b")], 2, LayerUnavailable),
        ([LayerUnavailable("a"), Unanswered("b")], 2, Unanswered),
        ([Unanswered("a")], 1, Unanswered),
    ],
)
def test_what_came_of_a_send_at_several_servers(errors, servers, kind):
    outcome = Outcome(("group", "room", {}), range(servers))
    outcome.errors += errors
    assert type(outcome.failure()) is kind


# Memberships


def test_a_member_is_one_though_nobody_knows_whether_its_owner_has_heard(servers, monkeypatch):
    face = program(servers[0])
    owner = "txchannels.hub.0123456789abcdef!x"
    run = Shard.run

    def lost(self, script, arguments):
        if script is TAKEN:
            raise LayerUnavailable("gone")
        now, _ = run(self, script, arguments)
        return [now, 1]  # as where the owner lives

    monkeypatch.setattr(Shard, "run", lost)
    face.group_add("room", owner)


def test_a_server_that_is_not_there_is_no_lost_answer():
    face = RedisLayer(hosts=[f"redis://127.0.0.1:{free_port()}"]).blocking
    with pytest.raises(LayerUnavailable) as caught:
        face.send("work", {})
    assert type(caught.value) is LayerUnavailable
