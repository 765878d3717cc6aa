"""A key that holds something else: what concerns it fails and is told, and nothing else does."""

from __future__ import annotations

import pytest
import redis
from twisted.logger import LogLevel, globalLogPublisher

from tests.layers.redis.hubs import Site
from tests.servers import RedisServer, wait_until
from txchannels.errors import LayerUnavailable, Unanswered
from txchannels.layers.redis import operations
from txchannels.layers.redis.operations import CLOSED, FAILED, Script, failure_of, write

OPERATIONS = Script("operations")
ELEMENT = b"9999999999999 an element"
INBOX = "txchannels.x!"


@pytest.fixture
def told():
    """What is logged as a warning or an error, as texts' formats and their fields."""
    events = []

    def observe(event):
        if event["log_level"] in (LogLevel.warn, LogLevel.error, LogLevel.critical):
            events.append(event)

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def run(site, *batch):
    """The verdicts of one batch."""
    return site.redis.eval(OPERATIONS.body, 0, *write(site.prefix, batch))[1:]


def to_channel(name):
    return operations.to_channel(name, 10, 60_000, ELEMENT)


def to_inbox(local="a"):
    return operations.to_inbox(INBOX, INBOX + local, 10, 60_000, ELEMENT)


def no_lasting_keys(site):
    return [key for key in site.redis.keys(f"{site.prefix}*") if site.redis.ttl(key) == -1]


# The script


@pytest.mark.parametrize("at", [0, 1, 4])
@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("{c:notes}", to_channel("notes")),
        ("{g:room}:owners", operations.to_group("room", [], 60_000, ELEMENT)),
        ("{g:room}:owners", operations.join("room", INBOX, INBOX + "a")),
        ("{i:other!}:paused", operations.pause("other!", "other!a", 60_000)),
    ],
)
def test_what_is_before_and_behind_what_fails_is_done(site, key, bad, at):
    site.redis.set(f"{site.prefix}{{i:{INBOX}}}", "hub", ex=60)
    site.redis.set(site.prefix + key, "garbage", ex=60)
    batch = [to_channel("one"), to_inbox(), operations.stamp(), to_channel("two")]
    batch.insert(at, bad)
    verdicts = run(site, *batch)
    assert verdicts.pop(at) == FAILED
    assert (verdicts[0], verdicts[1], verdicts[3]) == (0, 0, 0)
    assert verdicts[2] > 0
    assert site.redis.llen(site.list_of("one")) == site.redis.llen(site.list_of("two")) == 1
    assert site.redis.hgetall(f"{site.prefix}{{i:{INBOX}}}:counts") == {
        b"#": b"%d" % len(ELEMENT),
        b"txchannels.x!a": b"1",
    }
    assert no_lasting_keys(site) == []


def test_all_of_a_batch_may_fail(site):
    site.redis.set(f"{site.prefix}{{c:notes}}", "garbage")
    assert run(site, *[to_channel("notes")] * 500) == [FAILED] * 500


@pytest.mark.parametrize("key", ["{#}:statistics", "{c:work}:statistics"])
def test_who_is_counted_is_sent_to_all_the_same(site, key):
    site.redis.set(site.prefix + key, "garbage", ex=60)
    assert run(site, to_channel("work")) == [0]
    assert no_lasting_keys(site) == []


def test_one_members_key_keeps_no_message_from_the_others(site):
    batch = [
        operations.add_unowned("room", channel, 60_000, 10) for channel in ("one", "notes", "two")
    ]
    run(site, *batch)
    site.redis.set(f"{site.prefix}{{c:notes}}", "garbage")
    assert run(site, operations.to_group("room", [], 60_000, ELEMENT)) == [FAILED]
    assert site.redis.llen(site.list_of("one")) == site.redis.llen(site.list_of("two")) == 1


def test_a_membership_that_cannot_be_read_is_dropped(site):
    run(site, operations.add_unowned("room", "one", 60_000, 10))
    site.redis.hset(f"{site.prefix}{{g:room}}:unowned", "zero", "garbage")
    assert run(site, operations.to_group("room", [], 60_000, ELEMENT)) == [0]
    assert site.redis.hkeys(f"{site.prefix}{{g:room}}:unowned") == [b"one"]


def test_a_server_without_memory_refuses_the_whole_batch(site):
    site.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            run(site, to_inbox(), to_channel("one"), to_channel("two"))
    finally:
        site.redis.config_set("maxmemory", 0)
    assert site.redis.keys(f"{site.prefix}*") == []
    assert run(site, to_inbox(), to_channel("one")) == [CLOSED, 0]


@pytest.mark.parametrize(
    ("operation", "kind", "name"),
    [
        (to_channel("notes"), LayerUnavailable, "notes"),
        (to_inbox(), LayerUnavailable, INBOX + "a"),
        (operations.to_group("room", [], 1, ELEMENT), Unanswered, "room"),
        (operations.join("room", INBOX, INBOX + "a"), Unanswered, "room"),
        (operations.stamp(), Unanswered, ""),
    ],
)
def test_what_failed_whole_is_told_from_what_may_be_done_in_part(operation, kind, name):
    error = failure_of(operation)
    assert type(error) is kind
    assert f"a key of {name} in Redis" in str(error)


# A host


def test_nothing_is_delivered_twice_since_something_else_failed(site):
    here, there = site.host(), site.host()
    got_here, got_there = here.read("work"), there.read("work")
    wait_until(lambda: "work" in here.hub._known.read_elsewhere, "it is read elsewhere")
    site.redis.set(f"{site.prefix}{{g:room}}:owners", "garbage")

    def at_once():
        here.face.send("work", {"n": 0})
        here.hub.spill(wait_seconds=0.0)
        here.hub.send_group("room", {"n": 1})
        here.face.send("done", {"n": 2})

    here.call(at_once)
    wait_until(lambda: site.redis.llen(site.list_of("done")) == 1, "the batch is done")
    got_here.request(10)
    got_there.request(10)
    wait_until(lambda: got_here.got or got_there.got, "it is delivered")
    here.threads.send("work", {"n": 3})
    wait_until(lambda: 3 in got_here.numbers() + got_there.numbers(), "what follows, too")
    assert sorted(got_here.numbers() + got_there.numbers()) == [0, 3]


def test_who_sends_is_told_what_to_do_and_the_link_stays(site, told):
    host = site.host()
    [link] = host.hub.links
    commands = link._commands
    site.redis.set(f"{site.prefix}{{c:notes}}", "garbage")
    for _ in range(3):
        with pytest.raises(LayerUnavailable, match="delete the keys that have notes in") as caught:
            host.threads.send("notes", {"n": 0})
        assert type(caught.value) is LayerUnavailable
    assert link._commands is commands
    assert [event["count"] for event in told] == [1]
    assert "notes" in str(told[0]["reason"])
    site.redis.delete(f"{site.prefix}{{c:notes}}")
    assert host.threads.send("notes", {"n": 1})
    assert host.hub.accounts()["notes"].pending == 0


def test_a_batch_that_is_refused_is_not_done(site):
    host = site.host()
    [link] = host.hub.links
    outcomes = []
    site.redis.config_set("maxmemory", 1)
    try:
        host.call(link.submit, to_channel("one"), outcomes.append)
        wait_until(lambda: outcomes, "it is answered")
    finally:
        site.redis.config_set("maxmemory", 0)
    [error] = outcomes
    assert type(error) is LayerUnavailable
    assert str(error).startswith(f"{link.name}: OOM ")
    wait_until(lambda: link.is_up, "the link is up again")


def test_a_batch_that_fails_as_nothing_should_may_be_done(site):
    host = site.host()
    [link] = host.hub.links
    outcomes = []
    host.call(link.submit, ("?",), outcomes.append)  # no such operation
    wait_until(lambda: outcomes, "it is answered")
    assert type(outcomes[0]) is Unanswered
    wait_until(lambda: link.is_up, "the link is up again")


def test_a_channel_that_is_no_list_is_left_alone_and_the_others_are_read(site, told, monkeypatch):
    monkeypatch.setattr("txchannels.layers.redis.mistyped.ALONE_SECONDS", 0.2)
    host, program = site.host(), site.program()
    [link] = host.hub.links
    commands = link._commands
    site.redis.set(f"{site.prefix}{{c:notes}}", "garbage")
    both, alone = host.read("notes", "work"), host.read("notes")
    both.request(5)
    alone.request(5)
    program.send("work", {"n": 0})
    wait_until(lambda: both.numbers() == [0], "the other channel is read")
    program.send("work", {"n": 1})
    wait_until(lambda: both.numbers() == [0, 1], "and again")
    assert link._commands is commands
    assert [event["key"] for event in told] == [f"{site.prefix}{{c:notes}}"]
    site.redis.delete(f"{site.prefix}{{c:notes}}")
    program.send("notes", {"n": 2})
    wait_until(lambda: 2 in both.numbers() + alone.numbers(), "it is read again")
    assert link._commands is commands


def test_an_inbox_that_is_no_list_is_said_in_one_line(turning, told):
    with RedisServer() as server:
        site = Site(server, turning)
        host = site.host()
        [link] = host.hub.links
        site.redis.set(site.inbox_of(host.hub.address), "garbage")
        host.call(link.reader.begin_anew)
        wait_until(lambda: told, "it is said")
        site.redis.delete(site.inbox_of(host.hub.address))
        wait_until(lambda: link.is_up, "the link is up again")
        site.close()
    first = told[0]
    assert first["reason"].startswith("WRONGTYPE ")
    assert not any("log_failure" in event for event in told)
