"""Work goes to whoever has asked for it, and nobody is given more."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from twisted.internet.defer import succeed

from tests.layers.redis.hubs import Worker, run_threads
from tests.layers.redis.test_joined import send_numbers
from tests.servers import wait_until
from txchannels.layers.redis import reader as reader_module

LEFT_BEHIND = reader_module.MAX_TAKEN


@pytest.fixture
def workers():
    """Makes workers, and stops them after the test."""
    made = []

    def make(*arguments):
        made.append(Worker(*arguments))
        return made[-1]

    yield make
    for worker in made:
        worker.stop()


def knows_of_others(host, channel):
    wait_until(lambda: channel in host.hub._known.read_elsewhere, "others are known to read")


def test_work_goes_to_the_host_that_has_asked(site):
    busy, idle = site.host(), site.host()
    busy_reader, reader = busy.read("work"), idle.read("work")
    reader.request(50)
    knows_of_others(busy, "work")
    send_numbers(busy.threads, "work", 20)
    send_numbers(idle.threads, "work", 10, 20)
    send_numbers(site.program(), "work", 10, 30)
    wait_until(lambda: len(reader.got) >= 40, "all arrive")
    assert sorted(reader.numbers()) == list(range(40))
    assert busy_reader.got == []


def test_an_overloaded_host_gives_work_to_an_idle_one(site, workers):
    busy, idle = site.host(), site.host()
    end = threading.Event()
    stuck = workers(busy, ["work"], lambda _: end.wait())
    done = workers(idle, ["work"])
    knows_of_others(busy, "work")
    try:
        send_numbers(busy.threads, "work", 60)
        wait_until(lambda: len(done.got) >= 59, "the idle host has done all but one")
    finally:
        end.set()
    wait_until(lambda: len(stuck.got) + len(done.got) == 60, "all is done")
    assert sorted(stuck.numbers() + done.numbers()) == list(range(60))


def test_a_host_that_went_idle_takes_back_what_it_gave_away(site):
    here, there = site.host(), site.host()
    reader, _ = here.read("work"), there.read("work")
    knows_of_others(here, "work")
    send_numbers(here.threads, "work", 10)
    wait_until(lambda: site.redis.llen(site.list_of("work")) == 10, "it is given away")
    reader.request(10)
    wait_until(lambda: len(reader.got) == 10, "it is taken back")
    assert reader.numbers() == list(range(10))


def test_what_redis_has_no_room_for_stays_and_is_delivered_here(site):
    here, there = site.host(capacity=10), site.host(capacity=10)
    reader, _ = here.read("work"), there.read("work")
    send_numbers(site.program(capacity=10), "work", 10)
    knows_of_others(here, "work")
    before = here.hub.accounts()["work"]
    for n in range(10, 20):
        here.face.send("work", {"n": n})
    wait_until(
        lambda: site.redis.hget(f"{site.prefix}{{c:work}}:statistics", "channel_full_count"),
        "it was offered",
    )
    reader.request(20)
    wait_until(lambda: len(reader.got) >= 20, "all arrive")
    assert sorted(reader.numbers()) == list(range(20))
    assert before.sent == 0
    # What was given to Redis may be back before its answer is.
    wait_until(lambda: here.hub.accounts()["work"].pending == 0, "nothing waits here")


def test_what_redis_gave_back_goes_to_a_reader_that_asks_meanwhile(site):
    here = site.host()
    reader = here.read("work")
    here.face.send("work", {"n": 0})
    here.face.send("work", {"n": 1})
    queue = here.hub._by_name["work"]
    taken = here.hub._queues.take_out(queue, here.hub.seconds(), 2)
    reader.request(5)
    for entry in taken:
        here.hub.spill._sent(queue, entry, -1)
    assert sorted(reader.numbers()) == [0, 1]


def test_what_could_not_be_answered_from_elsewhere_stays_here(site, monkeypatch):
    here, there = site.host(), site.host()
    mine, theirs = here.read("work"), there.read("work")
    theirs.request(10)
    knows_of_others(here, "work")
    away = SimpleNamespace(is_up=False)
    with monkeypatch.context() as patch:
        patch.setattr(here.hub.routes, "to_inbox", lambda _: away)
        here.face.send("work", {"n": 0, "reply_channel": here.open("a")})
        here.face.send("work", {"n": 1})
        wait_until(lambda: theirs.numbers() == [1], "what needs no answer is run elsewhere")
        mine.request(1)
        wait_until(lambda: mine.numbers() == [0], "the other one is run here")
        here.face.send("work", {"n": 2, "reply_channel": here.open("b")})
    wait_until(lambda: theirs.numbers() == [1, 2], "the way back is there again")


def test_nothing_is_fetched_that_was_not_asked_for(site):
    here, there = site.host(), site.host()
    reader = there.read("work")
    send_numbers(here.threads, "work", 50)
    reader.request(1)
    wait_until(lambda: reader.got, "one arrives")
    assert site.redis.llen(site.list_of("work")) == 49
    reader.request(3)
    wait_until(lambda: len(reader.got) == 4, "three more arrive")
    assert site.redis.llen(site.list_of("work")) == 46


def test_of_what_many_readers_ask_for_little_waits_here(site):
    there = site.host()
    readers = [there.read("work") for _ in range(4)]
    for reader in readers:
        reader.request(20)
    wait_until(lambda: all(map(there.is_covered, readers)), "Redis is asked")
    send_numbers(site.program(), "work", 100)
    wait_until(lambda: sum(len(one.got) for one in readers) == 80, "what was asked for arrives")
    waiting = site.redis.llen(site.list_of("work"))
    assert 20 - LEFT_BEHIND <= waiting <= 20


def test_a_reader_that_asks_while_redis_waits_for_another_is_served(site):
    here, there = site.host(), site.host()
    first, second = there.read("one"), there.read("two")
    first.request(1)
    wait_until(lambda: there.is_covered(first), "Redis is asked for the first")
    second.request(1)
    send_numbers(here.threads, "two", 1)
    wait_until(lambda: second.got, "the second is served")
    send_numbers(here.threads, "one", 1)
    wait_until(lambda: first.got, "the first is served")


def test_a_wait_that_could_not_be_ended_yet_is_ended_later(site, monkeypatch):
    """The server may read the word that ends a wait before it reads that wait."""
    monkeypatch.setattr(reader_module, "WAIT_SECONDS", 600)
    monkeypatch.setattr(reader_module, "WAIT_ANSWER_SECONDS", 900.0)
    there = site.host()
    [link] = there.hub.links
    call, missed = link.call, []

    def miss_once(*arguments):
        if arguments[:2] == ("CLIENT", "UNBLOCK") and not missed:
            missed.append(arguments)
            return succeed(0)
        return call(*arguments)

    monkeypatch.setattr(link, "call", miss_once)
    reader = there.read("work")
    reader.request(1)
    wait_until(lambda: missed, "the wait was to end")
    send_numbers(site.program(), "work", 1)
    wait_until(lambda: reader.got, "the message arrives")


def test_a_cancelled_subscription_loses_nothing(site):
    there, other = site.host(capacity=1000), site.host(capacity=1000)
    program = site.program(capacity=1000)
    cancelled = []

    def come_and_go():
        for _ in range(60):
            reader = there.read("work")
            reader.request(5)
            wait_until(lambda reader=reader: reader.got, "something arrives")
            reader.cancel()
            cancelled.append(reader)

    run_threads(come_and_go, lambda: send_numbers(program, "work", 400))
    last = other.read("work")
    last.request(1000)

    def arrived():
        return sorted(n for reader in [*cancelled, last] for n in reader.numbers())

    wait_until(lambda: len(arrived()) >= 400, "all arrive")
    assert arrived() == list(range(400))


def test_threads_that_wait_in_vain_lose_nothing(site):
    here, there = site.host(capacity=1000), site.host(capacity=1000)
    got, sent = [], threading.Event()

    def receive():
        while True:
            is_over = sent.is_set()
            _, message = there.threads.receive(["work"], block=True, timeout=0.001)
            if message is not None:
                got.append(message["n"])
            elif is_over and not site.redis.llen(site.list_of("work")):
                return

    def send():
        send_numbers(here.threads, "work", 300)
        sent.set()

    run_threads(receive, receive, receive, send)
    rest = here.read("work")
    rest.request(1000)
    wait_until(lambda: len(got) + len(rest.got) >= 300, "all arrive")
    assert sorted(got + rest.numbers()) == list(range(300))
