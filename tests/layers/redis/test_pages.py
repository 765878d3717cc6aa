"""Flushes and statistics of everything: in pages, beside others' keys, while others go on."""

from __future__ import annotations

import pytest

from tests.servers import wait_until
from txchannels.layers.redis import pages
from txchannels.layers.redis.blocking import DirectBlocking
from txchannels.layers.redis.threads import JoinedBlocking

FACES = ["program", "host"]
FOREIGN = 3_000


@pytest.fixture
def foreign(redis_server):
    """The keys of others in the same database."""
    client = redis_server.client()
    names = [f"foreign:{n}" for n in range(FOREIGN)]
    client.mset(dict.fromkeys(names, "x"))
    yield names
    client.delete(*names)
    client.close()


def face_of(site, who):
    return site.program() if who == "program" else site.host().threads


def scripts(site):
    return site.redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]


@pytest.mark.parametrize("who", FACES)
def test_a_flush_looks_at_a_page_of_the_server_at_a_time_and_at_nobody_else_s_keys(
    site, foreign, who
):
    face = face_of(site, who)
    names = [f"work{n}" for n in range(40)]
    for name in names:
        face.send(name, {"n": 0})
        face.group_add("room", name)
    assert sorted(face.group_channels("room")) == sorted(names)
    before = scripts(site)
    face.flush()
    assert scripts(site) - before > FOREIGN // pages.PAGE_KEYS
    assert face.group_channels("room") == []
    assert face.global_statistics()["messages_pending"] == 0
    assert not [key for key in site.redis.scan_iter(f"{site.prefix}*") if b"work" in key]
    assert site.redis.exists(*foreign) == FOREIGN


@pytest.mark.parametrize("who", FACES)
def test_statistics_look_at_a_page_at_a_time(site, foreign, who):
    face = face_of(site, who)
    for n in range(60):
        face.send(f"work{n}", {"n": 0})
        face.send("more", {"n": 0})
    before = scripts(site)
    found = face.global_statistics()
    assert scripts(site) - before > FOREIGN // pages.PAGE_KEYS
    assert found["messages_pending"] == 120
    assert found["messages_count"] == 120
    assert 0 <= found["messages_max_age"] < 30


def test_a_list_that_comes_in_two_pages_counts_once():
    answers = [[7, 1, 0, b""], [5, b"a", 2, b"30", b"b", 1, b""], [0, b"a", 3, b"20"]]
    found = pages.look(lambda *_: answers.pop(0), "prefix:", None)
    assert found == (7, 1, 4, 20)


def milliseconds(site):
    seconds, micros = site.redis.time()
    return seconds * 1000 + micros // 1000


def meanwhile(site, monkeypatch, face_class, act):
    """Have *act* called when the flush has begun, before its first page."""
    run = face_class._run

    def run_and_act(face, server, script, *arguments):
        answer = run(face, server, script, *arguments)
        if script is pages.FLUSH and arguments[-1] == 1:
            # Deadlines are in milliseconds: that in which it began is over.
            wait_until(lambda: milliseconds(site) > answer + 1, "time goes by")
            act()
        return answer

    monkeypatch.setattr(face_class, "_run", run_and_act)


@pytest.mark.parametrize(
    ("who", "face_class"), [("program", DirectBlocking), ("host", JoinedBlocking)]
)
def test_what_others_do_while_a_flush_goes_on_stays(site, monkeypatch, who, face_class):
    face, other, program = face_of(site, who), site.host(), site.program()
    old, new = other.open("old"), other.open("new")
    other.threads.group_add("room", old)
    other.threads.group_add("room", "old")
    other.threads.group_channels("room")
    program.send("work", {"n": 0})
    program.send("quiet", {"n": 0})

    def act():
        wait_until(lambda: not other.hub.local_members("room"), "it has heard of it")
        other.threads.group_add("room", new)
        program.group_add("room", "new")
        program.send("work", {"n": 1})
        assert new in other.threads.group_channels("room")

    meanwhile(site, monkeypatch, face_class, act)
    face.flush()
    wait_until(lambda: sorted(program.group_channels("room")) == ["new", new], "both are members")
    program.send_group("room", {"n": 2})
    wait_until(lambda: other.numbers(new) == [2], "the message arrives")
    assert other.numbers(old) == []
    assert [program.receive(["work"])[1] for _ in range(2)] == [{"n": 1}, None]
    assert program.receive(["quiet"]) == (None, None)
    assert program.receive(["old"]) == (None, None)


def test_a_reply_that_waits_for_a_host_that_sleeps_is_forgotten_and_a_later_one_is_not(
    site, monkeypatch
):
    owner, program = site.host(), site.program()
    reply = owner.open("x")
    program.send(reply, {"n": 0})
    wait_until(lambda: owner.numbers(reply) == [0], "it is there")
    transport = owner.hub.links[0].reader._connection.transport
    owner.call(transport.pauseProducing)
    site.redis.client_unblock(owner.hub.links[0].reader._identity)
    wait_until(lambda: site.redis.info("clients")["blocked_clients"] == 0, "nothing is taken")
    program.send(reply, {"n": 1})
    meanwhile(site, monkeypatch, DirectBlocking, lambda: program.send(reply, {"n": 2}))
    program.flush()
    owner.call(transport.resumeProducing)
    wait_until(lambda: owner.numbers(reply)[-1:] == [2], "what came later arrives")
    assert owner.numbers(reply) == [0, 2]
