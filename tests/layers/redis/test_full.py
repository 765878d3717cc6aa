"""Where there is no room: what is offered goes again in order, and nothing is forgotten."""

from __future__ import annotations

import pytest

from tests.layers.redis.hubs import run_threads
from tests.servers import wait_until
from txchannels.errors import ChannelFull, ConfigurationError
from txchannels.layers.redis import RedisLayer, outbox
from txchannels.layers.redis.outbox import Outbox

WAIT_SECONDS = 30.0


def drain(program, channel, count):
    got = []
    while len(got) < count:
        _, message = program.receive([channel], block=True, timeout=WAIT_SECONDS)
        assert message is not None, got
        got.append(message["n"])
    return got


def is_all_answered(host):
    """Whether Redis has answered, and all is booked; a reader may have it before that."""
    return not host.hub.outgoing._ways


@pytest.mark.parametrize("channel", ["work", "work?x"])
def test_what_was_offered_to_a_full_channel_goes_when_there_is_room(site, channel):
    host, program = site.host(capacity=5), site.program(capacity=5)
    taken = [host.call(host.face.offer, channel, {"n": n}) for n in range(10)]
    assert taken[:5] == [True] * 5
    count = sum(taken)
    assert drain(program, channel, count) == [n for n, was in enumerate(taken) if was]
    wait_until(lambda: is_all_answered(host), "nothing is on its way")
    assert host.call(host.face.offer, channel, {"n": 10})
    assert drain(program, channel, 1) == [10]
    wait_until(lambda: is_all_answered(host), "nothing is on its way")
    [account] = [one for name, one in host.hub.accounts().items() if name.startswith("work")]
    assert (account.sent, account.forwarded, account.pending) == (count + 1, count + 1, 0)


@pytest.mark.parametrize("channel", ["work", "work?x"])
def test_a_batch_that_waits_for_room_keeps_its_order(site, channel):
    host, program = site.host(capacity=5), site.program(capacity=5)
    failed, got = [], []

    def send():
        sends = [("channel", channel, {"n": n}) for n in range(100)]
        failed.extend(host.threads.send_many(sends, wait=30))

    run_threads(send, lambda: got.extend(drain(program, channel, 100)))
    assert failed == []
    assert got == list(range(100))


def test_who_does_not_wait_is_refused_at_once_beside_who_does(site):
    host, program = site.host(capacity=1), site.program(capacity=1)
    host.threads.send("work", {"n": 0})
    refused = []

    def hurry():
        for _ in range(20):
            with pytest.raises(ChannelFull):
                host.threads.send("work", {"n": 9})
            refused.append(1)
        assert drain(program, "work", 2) == [0, 1]

    run_threads(hurry, lambda: host.threads.send("work", {"n": 1}, wait=30))
    assert len(refused) == 20


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"12345678901x3 and more", b"\xff" * 40])
def test_garbage_at_the_head_of_a_full_channel_makes_room(site, garbage):
    host, program = site.host(capacity=3), site.program(capacity=3)
    for _ in range(3):
        site.redis.rpush(site.list_of("work?x"), garbage)
    assert program.channel_statistics("work?x")["messages_max_age"] == 0
    assert host.threads.global_statistics()["messages_max_age"] == 0
    host.threads.send("work?x", {"n": 0})
    program.send("work?x", {"n": 1})
    assert drain(program, "work?x", 2) == [0, 1]
    assert all(link.is_up for link in host.hub.links)


def test_what_was_resumed_while_the_server_was_away_is_taken_again(site):
    owner, other = site.host(), site.host()
    channel = owner.open("a")
    other.threads.send(channel, {"n": 0})
    wait_until(lambda: owner.numbers(channel) == [0], "the first arrives")
    owner.call(owner.inbox.pause, channel)
    paused = f"{site.inbox_of(owner.prefix).removesuffix('list')}paused"
    wait_until(lambda: site.redis.scard(paused), "others know of the pause")
    [link] = owner.hub.links

    def lose_and_resume():
        link.lose("for the test")
        owner.inbox.resume(channel)

    owner.call(lose_and_resume)
    wait_until(lambda: not site.redis.scard(paused), "others know that it goes on")
    other.threads.send(channel, {"n": 1})
    wait_until(lambda: owner.numbers(channel) == [0, 1], "the second arrives")


def test_memberships_are_taken_however_much_waits(monkeypatch):
    monkeypatch.setattr(outbox, "MAX_WAITING", 0)
    box = Outbox()
    box.open([])
    for letter in "jlpr":
        box.put((letter,), None, None)
    assert len(box) == 4


@pytest.mark.parametrize("setting", ["expiry", "group_expiry"])
@pytest.mark.parametrize("seconds", [float("inf"), 1e10, 1e-9, 0, -1, "60", True])
def test_times_that_redis_cannot_keep_are_refused(setting, seconds):
    with pytest.raises(ConfigurationError, match=setting):
        RedisLayer(**{setting: seconds})
