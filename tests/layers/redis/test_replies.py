"""Channels that one host owns, and to which the others send."""

from __future__ import annotations

import pytest

from tests.layers.redis.hubs import run_threads
from tests.layers.redis.test_joined import send_numbers
from tests.servers import wait_until
from txchannels.errors import ChannelClosed, ChannelFull
from txchannels.layers.redis import lease as lease_module

FACES = ["other host", "program"]


@pytest.fixture
def short_lease(monkeypatch):
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 2.0)
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.1)


def sender(site, face):
    return site.program() if face == "program" else site.host().threads


@pytest.mark.parametrize("face", FACES)
def test_replies_from_elsewhere_come_in_order(site, face):
    here = site.host()
    reply = here.open("x")
    send_numbers(sender(site, face), reply, 200)
    wait_until(lambda: len(here.numbers(reply)) >= 200, "all arrive")
    assert here.numbers(reply) == list(range(200))


def test_replies_of_many_threads_keep_each_thread_s_order(site):
    here, there, program = site.host(), site.host(), site.program()
    replies = [here.open(local) for local in "abcd"]
    faces = [there.threads, there.threads, program, here.threads]
    run_threads(
        *[
            lambda face=face, reply=reply: send_numbers(face, reply, 100)
            for face, reply in zip(faces, replies, strict=True)
        ]
    )
    for reply in replies:
        wait_until(lambda reply=reply: len(here.numbers(reply)) >= 100, "all arrive")
        assert here.numbers(reply) == list(range(100))


def send_at_once(face, channel, count):
    for n in range(count):
        face.send(channel, {"n": n})


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("first", ["visited", "paused"])
def test_a_pause_is_seen_as_a_full_channel_elsewhere(site, face, first):
    here, away = site.host(), sender(site, face)
    reply = here.open("x")
    if first == "visited":
        away.send(reply, {"n": -1})
        wait_until(lambda: here.numbers(reply), "the first arrives")
    here.call(here.inbox.pause, reply)
    with pytest.raises(ChannelFull):
        send_at_once(away, reply, 10_000)
    here.call(here.inbox.resume, reply)
    assert away.send(reply, {"n": 10_000}, wait=20.0)
    wait_until(lambda: here.numbers(reply)[-1:] == [10_000], "what waited arrives")


def test_one_reply_channel_holds_32_messages_that_were_not_taken_yet(site):
    here, program = site.host(), site.program()
    reply = here.open("x")
    full = []

    def send_while_nothing_is_taken():
        for n in range(40):
            try:
                program.send(reply, {"n": n})
            except ChannelFull:
                full.append(n)

    here.call(here.hub.links[0].reader._connection.transport.pauseProducing)
    site.redis.client_unblock(here.hub.links[0].reader._identity)
    wait_until(lambda: is_not_waiting(site), "nothing is taken")
    send_while_nothing_is_taken()
    assert full == list(range(32, 40))
    here.call(here.hub.links[0].reader._connection.transport.resumeProducing)
    wait_until(lambda: len(here.numbers(reply)) == 32, "what was taken arrives")


def is_not_waiting(site):
    return site.redis.info("clients")["blocked_clients"] == 0


def test_who_waits_sends_when_the_pause_ends(site):
    here, there = site.host(), site.host()
    reply = here.open("x")
    there.threads.send(reply, {"n": 0})
    wait_until(lambda: here.numbers(reply), "the first arrives")
    here.call(here.inbox.pause, reply)
    paused = f"{site.prefix}{{i:{here.prefix}}}:paused"
    wait_until(lambda: site.redis.sismember(paused, reply), "the pause is known")
    run_threads(
        lambda: send_numbers(there.threads, reply, 5, 1),
        lambda: here.call(here.inbox.resume, reply),
    )
    wait_until(lambda: len(here.numbers(reply)) == 6, "all arrive")
    assert here.numbers(reply) == list(range(6))


def test_a_closed_channel_is_known_after_the_first_notice(site):
    here, there = site.host(), site.host()
    reply = here.open("x")
    here.close(reply)
    there.threads.send(reply, {"n": 0})
    wait_until(lambda: there.threads.send(reply, {"n": 1}) is False, "the notice comes")
    [(_, error)] = there.threads.send_many([("channel", reply, {"n": 2})])
    assert isinstance(error, ChannelClosed)
    with pytest.raises(ChannelClosed):
        there.call(there.face.send, reply, {"n": 3})
    assert here.got == {}


def test_closed_channels_leave_nothing_behind(site):
    here, there = site.host(), site.host()
    for n in range(20):
        reply = here.open(str(n))
        there.threads.send(reply, {"n": n})
        wait_until(lambda reply=reply: here.numbers(reply), "it arrives")
        here.close(reply)
        there.threads.send(reply, {"n": n})
    wait_until(lambda: here.hub.accounts()[here.prefix].arrived == 40, "all arrive")
    assert here.inbox._has_visitors == here.inbox._is_known_paused == set()


@pytest.mark.parametrize("face", FACES)
def test_a_host_that_has_stopped_is_known_to_be_gone(site, face):
    here, away = site.host(), sender(site, face)
    reply = here.open("x")
    assert away.send(reply, {"n": 0})
    here.stop()
    wait_until(lambda: away.send(reply, {"n": 1}) is False, "the first send has come back")
    sends = [("channel", reply, {"n": 2})]
    # A verdict is believed for a moment only; the next send asks for it anew.
    [(_, error)] = wait_until(lambda: away.send_many(sends), "it is known again")
    assert isinstance(error, ChannelClosed)


@pytest.mark.parametrize("face", FACES)
def test_a_host_that_was_killed_is_known_to_be_gone(site, short_lease, face):
    here, away = site.host(), sender(site, face)
    reply = here.open("x")
    here.kill()
    wait_until(lambda: not site.redis.exists(f"{site.prefix}{{i:{here.prefix}}}"), "its lease ends")
    wait_until(lambda: away.send(reply, {"n": 0}) is False, "the first send has come back")


def test_an_inbox_that_is_opened_late_is_found(site):
    here, there = site.host(), site.host()
    got = []
    prefix = f"{here.prefix[:-1]}late!"
    inbox = here.call(here.face.open_inbox, prefix, got.extend)
    reply = here.call(inbox.open, "x")
    lease = f"{site.prefix}{{i:{prefix}}}"
    wait_until(lambda: site.redis.exists(lease), "it is registered")
    there.threads.send(reply, {"n": 0})
    wait_until(lambda: got == [(reply, {"n": 0})], "the message arrives")


@pytest.mark.parametrize("face", FACES)
def test_a_host_that_slept_longer_than_its_lease_is_heard_again(site, short_lease, face):
    here, away = site.host(), sender(site, face)
    reply = here.open("x")
    lease = f"{site.prefix}{{i:{here.prefix}}}"
    here.sleep()
    wait_until(lambda: not site.redis.exists(lease), "its lease ends")
    away.send(reply, {"n": 0})
    here.wake()
    wait_until(lambda: site.redis.exists(lease), "it is there again")
    wait_until(lambda: away.send(reply, {"n": 1}), "it is not known as gone any more")
    wait_until(lambda: here.numbers(reply)[-1:] == [1], "messages arrive")
