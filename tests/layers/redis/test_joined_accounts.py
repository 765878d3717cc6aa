"""Over all hubs, every message is accounted for; and one model is right for all faces."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from tests.layers.redis.hubs import Worker, run_threads
from tests.servers import wait_until
from txchannels.errors import ChannelFull
from txchannels.layers.accounts import Account

MESSAGES = 150


def total(hosts):
    books = Account()
    for host in hosts:
        for one in host.hub.accounts().values():
            books.add(one)
    return books


def is_settled(hosts, sent):
    """Whether all *sent* messages are booked, which some are only when Redis has answered."""
    books = total(hosts)
    return books.sent == sent and books.pending == 0 and books.forwarded == books.arrived


@pytest.mark.parametrize("seed", range(3))
def test_all_that_was_sent_is_delivered_or_dropped(site, seed):
    hosts = [site.host(capacity=20) for _ in range(3)]
    replies = [host.open(local) for host in hosts for local in "ab"]
    closed = hosts[0].open("closed")
    hosts[0].close(closed)
    workers = [Worker(host, ["one", "two"]) for host in hosts[:2]]
    full, attempts = Counter(), Counter()

    def send(at):
        chance = random.Random(10 * seed + at)
        face = hosts[at % 3].threads
        for _ in range(MESSAGES):
            name = chance.choice(["one", "two", *replies, closed])
            attempts[at] += 1
            try:
                face.send(name, {"n": 0}, wait=chance.choice([0.0, 0.01]))
            except ChannelFull:
                full[at] += 1
            if chance.random() < 0.05:
                attempts[at] += 40
                face.send_many([("channel", chance.choice(replies), {"n": 1})] * 40)

    run_threads(*[lambda at=at: send(at) for at in range(6)])
    wait_until(lambda: is_settled(hosts, attempts.total()), "all has come to an end")
    for worker in workers:
        worker.stop()
    hosts[0].call(int)  # an inbox books before it delivers, in the same turn of the reactor
    books = total(hosts)
    assert books.sent == books.delivered + books.dropped.total() + books.lost
    assert books.forwarded == books.arrived > 0
    handed = sum(len(messages) for host in hosts for messages in host.got.values())
    assert books.delivered == handed + sum(len(worker.got) for worker in workers)
    assert sum(full.values()) <= books.dropped["full"] + books.dropped["refused"]


def test_what_nobody_reads_is_all_that_is_open(site):
    hosts = [site.host(capacity=10), site.host(capacity=10)]
    for host in hosts:
        for n in range(10):
            try:
                host.threads.send("work", {"n": n})
            except ChannelFull:
                pass
    books = total(hosts)
    assert (books.sent, books.forwarded, books.dropped["refused"]) == (20, 10, 10)
    assert site.redis.llen(site.list_of("work")) == 10
    assert books.arrived == books.delivered == 0


@pytest.mark.parametrize("seed", range(3))
def test_senders_and_readers_by_chance_lose_double_and_reorder_nothing(site, seed):  # noqa: C901, PLR0915
    """Shared channels, one with a single reader, and a group, over two hosts and a program."""
    hosts, program = [site.host(capacity=5000), site.host(capacity=5000)], None
    program = site.program(capacity=5000)
    faces = [hosts[0].threads, hosts[1].threads, program]
    members = [(host, host.open("member")) for host in hosts]
    for host, channel in members:
        host.threads.group_add("room", channel)
        host.threads.group_channels("room")
    got = {"one": [], "two": [], "single?x": []}
    sent = Counter()
    over = threading.Event()

    def send(at):
        chance = random.Random(10 * seed + at)
        numbers = Counter()
        for _ in range(MESSAGES):
            kind = chance.choice(["one", "two", "single?x", "room"])
            numbers[kind] += 1
            message = {"by": at, "n": numbers[kind]}
            if kind == "room":
                faces[at].send_group(kind, message)
            else:
                faces[at].send(kind, message, wait=20.0)
        sent.update({(at, kind): count for kind, count in numbers.items()})

    def receive(face, channels):
        while not over.is_set():
            channel, message = face.receive(channels, block=True, timeout=0.05)
            if message is not None:
                got[channel].append((message["by"], message["n"]))

    def settle():
        run_threads(*[lambda at=at: send(at) for at in range(3)])
        try:
            wait_until(is_complete, "all arrive")
        finally:
            over.set()

    def is_complete():
        waited = sum(count for (_, kind), count in sent.items() if kind != "room")
        rooms = sum(count for (_, kind), count in sent.items() if kind == "room")
        arrived = [len(host.got.get(channel, [])) for host, channel in members]
        return sum(map(len, got.values())) >= waited and min(arrived) >= rooms

    run_threads(
        settle,
        *[lambda face=face: receive(face, ["one", "two"]) for face in faces],
        lambda: receive(hosts[seed % 2].threads, ["single?x"]),
    )
    for kind, arrived in got.items():
        assert sorted(arrived) == [(at, n + 1) for at in range(3) for n in range(sent[at, kind])]
    for at in range(3):
        assert [n for by, n in got["single?x"] if by == at] == list(
            range(1, sent[at, "single?x"] + 1)
        )
        for host, channel in members:
            own = [one["n"] for one in host.got[channel] if one["by"] == at]
            assert own == list(range(1, sent[at, "room"] + 1))
