"""Channels with one reader, as the bodies of requests are: nothing overtakes anything."""

from __future__ import annotations

import threading

import pytest

from tests.layers.redis.hubs import run_threads
from tests.servers import wait_until

PIECES = 400
WAIT_SECONDS = 30.0


def send_pieces(host, channel):
    """Offer all pieces in the reactor, each as soon as there is room, until all are taken."""
    done = threading.Event()
    numbers = iter(range(PIECES))
    left = [next(numbers)]

    def send():
        while left:
            if not host.face.offer(channel, {"n": left[0]}):
                host.face.when_room(channel, send)
                return
            left[:] = [n for n in [next(numbers, None)] if n is not None]
        done.set()

    host.call(send)
    assert done.wait(WAIT_SECONDS), "all pieces are taken"


def receive_pieces(face, channel, got, work=lambda n: None):
    while len(got) < PIECES:
        _, message = face.receive([channel], block=True, timeout=WAIT_SECONDS)
        assert message is not None, f"piece {len(got)} does not come"
        got.append(message["n"])
        work(len(got))


def be_slow_at_times(n):
    if n % 40 == 0:
        threading.Event().wait(0.03)


@pytest.mark.parametrize("work", [lambda n: None, be_slow_at_times], ids=["fast", "slow"])
def test_a_body_that_another_host_reads_keeps_its_order(site, work):
    here, there = site.host(), site.host()
    channel = here.face.new_channel("http.request.body?")
    got = []
    run_threads(
        lambda: send_pieces(here, channel),
        lambda: receive_pieces(there.threads, channel, got, work),
    )
    assert got == list(range(PIECES))
    assert here.hub.accounts()["http.request.body?"].dropped.total() == 0


@pytest.mark.parametrize("work", [lambda n: None, be_slow_at_times], ids=["fast", "slow"])
def test_a_body_that_is_read_where_it_came_keeps_its_order(site, work):
    here = site.host()
    channel = here.face.new_channel("http.request.body?")
    got = []
    run_threads(
        lambda: send_pieces(here, channel),
        lambda: receive_pieces(here.threads, channel, got, work),
    )
    assert got == list(range(PIECES))


def test_a_body_that_a_program_reads_keeps_its_order(site):
    here = site.host()
    channel = here.face.new_channel("http.request.body?")
    got = []
    run_threads(
        lambda: send_pieces(here, channel),
        lambda: receive_pieces(site.program(), channel, got, be_slow_at_times),
    )
    assert got == list(range(PIECES))


def test_a_reader_that_waits_in_vain_at_times_sees_the_order(site):
    here, there = site.host(), site.host()
    channel = here.face.new_channel("http.request.body?")
    got = []

    def receive():
        while len(got) < PIECES:
            _, message = there.threads.receive([channel], block=True, timeout=0.001)
            if message is not None:
                got.append(message["n"])

    run_threads(lambda: send_pieces(here, channel), receive)
    assert got == list(range(PIECES))


@pytest.mark.parametrize("where", ["here", "there"])
def test_what_a_thread_sends_to_one_reader_keeps_its_order(site, where):
    here, there = site.host(), site.host()
    host = here if where == "here" else there
    got = []

    def send():
        for n in range(PIECES):
            here.threads.send("answer?1", {"n": n}, wait=20.0)

    run_threads(send, lambda: receive_pieces(host.threads, "answer?1", got))
    assert got == list(range(PIECES))


def test_a_body_is_taken_as_fast_as_it_is_read(site):
    here, there = site.host(), site.host()
    channel = here.face.new_channel("http.request.body?")

    def offer():
        return [here.face.offer(channel, {"n": n}) for n in range(20)]

    assert here.call(offer) == [True] * 16 + [False] * 4
    room = threading.Event()
    here.call(here.face.when_room, channel, room.set)
    got = [there.threads.receive([channel], block=True)[1]["n"] for _ in range(16)]
    assert got == list(range(16))
    assert room.wait(WAIT_SECONDS)


def test_who_waits_for_room_is_told_when_the_channel_is_dropped(site):
    here = site.host()
    channel = here.face.new_channel("http.request.body?")
    told = threading.Event()

    def drop():
        while here.face.offer(channel, {"n": 0}):
            pass
        here.face.when_room(channel, told.set)
        here.face.drop_channel(channel)

    here.call(drop)
    assert told.wait(WAIT_SECONDS)
    wait_until(lambda: not site.redis.exists(site.list_of(channel)), "nothing of it is left")
