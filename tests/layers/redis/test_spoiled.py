"""What no hub of this layer has written is skipped and counted; so is what came too late."""

from __future__ import annotations

import itertools

import pytest

from tests.servers import wait_until
from txchannels.layers.codec import Codec, Kind
from txchannels.messages import MAX_DEPTH

LATER = 9_999_999_999_999
CODEC = Codec()
TOO_DEEP_FOR_US = None
for _ in range(MAX_DEPTH + 1):
    TOO_DEEP_FOR_US = {"a": TOO_DEEP_FOR_US}


def element(kind, target, content, codec=CODEC):
    return codec.encode(kind, target, content, deadline=LATER)


SPOILED = {
    "empty": (b"", "garbage"),
    "no deadline": (b"garbage" * 10, "garbage"),
    "only a deadline": (b"%d" % LATER, "garbage"),
    "no msgpack": (b"%d\xc1" % LATER, "garbage"),
    "a long list that is not there": (b"%d\xdd\xff\xff\xff\xff" % LATER, "garbage"),
    "no element": (b"%d\x80" % LATER, "garbage"),
    "nested for the parser": (b"%d" % LATER + b"\x91" * 100_000, "too deep"),
    "nested for the layer": (element(Kind.MESSAGE, "work", TOO_DEEP_FOR_US), "too deep"),
    "large": (b"%d" % LATER + b"\x00" * 2**21, "too large"),
    "another channel's": (element(Kind.MESSAGE, "other", {"n": 0}), "garbage"),
    "not a message": (element(Kind.MESSAGE, "work", [1]), "garbage"),
}
NOT_FOR_CHANNELS = {
    "an addition": (element(Kind.ADD, "room", "work"), "garbage"),
    "a flush": (element(Kind.FLUSH, "", None), "garbage"),
}


def both(cases):
    return pytest.mark.parametrize(("data", "reason"), cases.values(), ids=cases.keys())


@both({**SPOILED, **NOT_FOR_CHANNELS})
def test_a_spoiled_element_of_a_channel_is_skipped(site, data, reason):
    here, there = site.host(), site.host()
    site.redis.rpush(site.list_of("work"), data)
    here.threads.send("work", {"n": 1})
    reader = there.read("work")
    reader.request(5)
    wait_until(lambda: reader.got, "the message behind it arrives")
    assert reader.got == [("work", {"n": 1})]
    assert there.spoiled() == {reason: 1}
    assert site.program().receive(["work"]) == (None, None)


@both({**SPOILED, **NOT_FOR_CHANNELS})
def test_a_thread_and_a_program_skip_it_too(site, data, reason):
    here, program = site.host(), site.program()
    for face in (here.threads, program):
        site.redis.rpush(site.list_of("work"), data)
        program.send("work", {"n": 1})
        assert face.receive(["work"], block=True) == ("work", {"n": 1})
    assert here.spoiled() == {reason: 1}


@both(SPOILED)
def test_a_spoiled_element_of_an_inbox_is_skipped(site, data, reason):
    here, there = site.host(), site.host()
    reply = here.open("x")
    site.redis.rpush(site.inbox_of(here.prefix), data)
    there.threads.send(reply, {"n": 1})
    wait_until(lambda: here.numbers(reply) == [1], "the message behind it arrives")
    assert here.spoiled() == {reason: 1}
    assert here.got.keys() == {reply}


def test_a_message_in_another_hub_s_inbox_is_skipped(site):
    here, there = site.host(), site.host()
    reply, other = here.open("x"), there.open("y")
    site.redis.rpush(site.inbox_of(here.prefix), element(Kind.MESSAGE, other, {"n": 0}))
    there.threads.send(reply, {"n": 1})
    wait_until(lambda: here.numbers(reply) == [1], "the message behind it arrives")
    assert here.spoiled() == {"garbage": 1}
    assert there.got == {}


KEYLESS = {
    "plain": element(Kind.MESSAGE, "work", {"n": 0}),
    "another key": element(Kind.MESSAGE, "work", {"n": 0}, Codec(["another"])),
    "put off": b"%d" % (LATER - 1) + element(Kind.MESSAGE, "work", {"n": 0}, Codec(["key"]))[13:],
    "garbage": b"%d" % LATER + b"g" * 100,
}


@pytest.mark.parametrize("data", KEYLESS.values(), ids=KEYLESS.keys())
def test_with_keys_what_is_not_authentic_is_skipped(site, data):
    keys = {"symmetric_encryption_keys": ["key"]}
    here, there = site.host(**keys), site.host(**keys)
    site.redis.rpush(site.list_of("work"), data)
    site.redis.rpush(site.inbox_of(there.prefix), data)
    here.threads.send("work", {"n": 1})
    reader = there.read("work")
    reader.request(5)
    wait_until(lambda: reader.got, "the message behind it arrives")
    assert reader.numbers() == [1]
    wait_until(lambda: there.spoiled() == {"not authentic": 2}, "both are counted")


def test_hosts_with_the_same_keys_in_another_order_read_each_other(site):
    """The rotation: a key is added last, is moved to the front, and the old one removed."""
    stages = [["old"], ["old", "new"], ["new", "old"], ["new"]]
    for one, other in itertools.pairwise(stages):
        hosts = [site.host(symmetric_encryption_keys=keys) for keys in (one, other)]
        for here, there in (hosts, hosts[::-1]):
            reply = there.open(f"{id(here)}")
            assert here.threads.send(reply, {"n": 1})
            wait_until(lambda there=there, reply=reply: there.numbers(reply) == [1], "it arrives")
        assert [host.spoiled() for host in hosts] == [{}, {}]


def test_messages_are_not_readable_in_redis_with_keys(site):
    here = site.host(symmetric_encryption_keys=["key"])
    here.threads.send("work", {"text": "a secret of ours"})
    [data] = site.redis.lrange(site.list_of("work"), 0, -1)
    assert b"secret" not in data
    assert b"text" not in data


def test_what_expired_on_its_way_is_dropped_and_booked(site):
    here, there = site.host(), site.host()
    reply = there.open("x")
    early = CODEC.encode(Kind.MESSAGE, "work", {"n": 0}, deadline=1_000_000_000_000)
    mail = CODEC.encode(Kind.MESSAGE, reply, {"n": 0}, deadline=1_000_000_000_000)
    site.redis.rpush(site.list_of("work"), early)
    site.redis.rpush(site.inbox_of(there.prefix), mail)
    here.threads.send("work", {"n": 1})
    here.threads.send(reply, {"n": 1})
    reader = there.read("work")
    reader.request(5)
    wait_until(lambda: reader.got and there.numbers(reply), "what is in time arrives")
    assert reader.numbers() == there.numbers(reply) == [1]
    for name in ("work", there.prefix):
        account = there.hub.accounts()[name]
        assert (account.arrived, account.delivered, account.dropped["expired"]) == (2, 1, 1)
    assert there.spoiled() == {}
