"""Programs, while some of several servers are away."""

from __future__ import annotations

import math
from contextlib import ExitStack

import pytest

from tests.layers.redis.probing import read_host
from tests.servers import Cuttable, RedisServer
from txchannels.errors import ConfigurationError, LayerUnavailable, Unanswered
from txchannels.layers.redis import RedisLayer, dial, patience
from txchannels.layers.redis.config import read_hosts

SENDS = 9


@pytest.fixture(scope="module")
def servers():
    with ExitStack() as stack:
        yield [stack.enter_context(RedisServer()) for _ in range(3)]


@pytest.fixture
def lines(servers):
    with ExitStack() as stack:
        yield [stack.enter_context(Cuttable(server.port)) for server in servers]


@pytest.fixture
def prefix(request):
    return f"{request.node.name}:"[:60].replace("{", "").replace("}", "")


def program(ends, prefix):
    hosts = [f"redis://127.0.0.1:{end.port}" for end in ends]
    return RedisLayer(hosts=hosts, prefix=prefix).blocking


def taken(face, channel):
    found = []
    while (message := face.receive([channel])[1]) is not None:
        found.append(message["n"])
    return sorted(found)


@pytest.mark.parametrize("is_met", [True, False])
def test_a_send_goes_to_a_server_that_is_there(servers, lines, prefix, is_met):
    face, other = program(lines, prefix), program(servers, prefix)
    if is_met:
        face.send_many([("channel", "warm", {"n": 0}) for _ in servers])
    lines[1].cut()
    for number in range(SENDS):
        assert face.send("work", {"n": number})
    batch = [("channel", "work", {"n": number}) for number in range(SENDS, 2 * SENDS)]
    assert face.send_many(batch) == []
    assert taken(other, "work") == list(range(2 * SENDS))


def test_what_waits_on_the_servers_that_are_there_is_received(servers, lines, prefix):
    face, other = program(lines, prefix), program(servers, prefix)
    lines[1].cut()
    for number in range(SENDS):
        face.send("work", {"n": number})
    assert taken(face, "work") == list(range(SENDS))
    assert face.receive(["work"], block=True, timeout=0.3) == (None, None)
    lines[1].mend()
    for number in range(SENDS):
        other.send("work", {"n": number})
    found = [face.receive(["work"], block=True, timeout=30)[1]["n"] for _ in range(SENDS)]
    assert sorted(found) == list(range(SENDS))


def test_a_channel_of_a_server_that_is_away_is_not_said_to_be_empty(lines, prefix):
    face = program(lines, prefix)
    names = [face.new_channel("reply?") for _ in range(60)]
    lines[1].cut()
    away = [name for name in names if face._shard_of(name) is face._shards[1]]
    assert 0 < len(away) < len(names)
    for name in names:
        if name not in away:
            assert face.receive([name]) == (None, None)
    for name in away[:3]:
        with pytest.raises(LayerUnavailable, match=str(lines[1].port)):
            face.receive([name])
        with pytest.raises(LayerUnavailable, match=str(lines[1].port)):
            face.receive(["work", name])
        with pytest.raises(LayerUnavailable):
            face.send(name, {})


def test_a_new_channel_is_on_a_server_that_is_there(lines, prefix):
    face = program(lines, prefix)
    lines[1].cut()
    names = [face.new_channel("reply?") for _ in range(30)]
    assert all(face._shard_of(name) is not face._shards[1] for name in names)
    lines[0].cut()
    lines[2].cut()
    with pytest.raises(LayerUnavailable):
        face.new_channel("reply?")


def test_statistics_are_of_the_servers_that_are_there(lines, prefix):
    face = program(lines, prefix)
    lines[1].cut()
    face.send_many([("channel", "work", {"n": number}) for number in range(SENDS)])
    assert face.global_statistics()["messages_pending"] == SENDS
    assert face.channel_statistics("work")["messages_count"] == SENDS


def test_without_any_server_everything_says_so(lines, prefix):
    face = program(lines, prefix)
    for line in lines:
        line.cut()
    for call in (
        lambda: face.send("work", {}),
        lambda: face.receive(["work"]),
        face.global_statistics,
        lambda: face.group_channels("room"),
    ):
        with pytest.raises(LayerUnavailable) as caught:
            call()
        assert type(caught.value) is LayerUnavailable
    failed = face.send_many([("channel", "work", {})] * 3)
    assert [type(error) for _, error in failed] == [LayerUnavailable] * 3
    for line in lines:
        line.mend()
    assert face.send("work", {"n": 1})
    assert taken(face, "work") == [1]


def test_what_may_have_been_done_is_not_done_elsewhere(servers, lines, prefix, monkeypatch):
    monkeypatch.setattr("txchannels.layers.redis.pools.COMMAND_SECONDS", 4.0)
    face, other = program(lines, prefix), program(servers, prefix)
    face.send_many([("channel", "warm", {"n": 0}) for _ in servers])
    lines[1].silence()
    lost = []
    for number in range(SENDS):
        try:
            face.send("work", {"n": number})
        except Unanswered:
            lost.append(number)
    # It is asked for its time before it is trusted with another.
    assert len(lost) == 1
    assert taken(other, "work") == [number for number in range(SENDS) if number not in lost]
    lines[1].mend()


@pytest.mark.parametrize("is_met", [True, False])
@pytest.mark.parametrize("call", ["send_group", "send_many", "group_channels", "global_statistics"])
def test_servers_that_are_silent_are_waited_for_together(lines, prefix, monkeypatch, call, is_met):
    monkeypatch.setattr("txchannels.layers.redis.pools.COMMAND_SECONDS", 1.5)
    face = program(lines, prefix)
    if is_met:
        face.send_group("room", {"n": 0})
    for line in lines:
        line.silence()
    arguments = {
        "send_group": ("room", {"n": 1}),
        "send_many": ([("group", "room", {"n": 1}), ("channel", "work", {"n": 1})],),
        "group_channels": ("room",),
        "global_statistics": (),
    }[call]
    deadlines, ends, within, left = [], set(), patience.within, patience.left

    def noted_within(seconds):
        if patience._until.get() == math.inf:
            deadlines.append(seconds)
        return within(seconds)

    def noted_left(most):
        ends.add(patience._until.get())
        return left(most)

    monkeypatch.setattr(patience, "within", noted_within)
    monkeypatch.setattr(patience, "left", noted_left)
    try:
        assert getattr(face, call)(*arguments)
    except LayerUnavailable:
        pass
    assert ends
    assert math.inf not in ends, "every wait has the call's deadline"
    assert len(deadlines) == 1, "each was waited for by itself"
    assert deadlines[0] <= 1.5
    for line in lines:
        line.mend()


def test_a_silent_server_holds_nothing_up_from_those_that_are_there(
    servers, lines, prefix, monkeypatch
):
    monkeypatch.setattr("txchannels.layers.redis.pools.COMMAND_SECONDS", 1.5)
    face, other = program(lines, prefix), program(servers, prefix)
    rooms = {f"room{number}": f"member{number}" for number in range(9)}
    for group, channel in rooms.items():
        other.group_add(group, channel)
    lines[0].silence()
    failed = face.send_many([("group", group, {"n": 1}) for group in rooms])
    assert [type(error) for _, error in failed] == [Unanswered] * len(rooms)
    there = [group for group in rooms if face._member_shard(group, rooms[group]) != face._shards[0]]
    assert there
    assert all(taken(other, rooms[group]) == [1] for group in there)
    lines[0].mend()


# A user whose password is empty


@pytest.mark.parametrize("rule", ["nopass", ">"])
def test_a_user_with_an_empty_password_logs_in(rule):
    with RedisServer(acl=[f"user ann on {rule} ~* &* +@all"]) as server:
        host = read_host(f"redis://ann:@127.0.0.1:{server.port}")
        with dial.connect(host) as client:
            assert client.execute_command("ACL", "WHOAMI") == b"ann"


def test_a_user_of_the_sentinels_needs_a_password():
    with pytest.raises(ConfigurationError, match=r"CONFIG\['sentinel'\]\['username'\]"):
        read_hosts(["sentinel://h/main"], sentinel={"username": "ann"})
