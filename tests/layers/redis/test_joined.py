"""What crosses from host to host: plain channels, and what stays here."""

from __future__ import annotations

import pytest

from tests.layers.redis.hubs import run_threads
from tests.servers import wait_until
from txchannels.errors import ChannelFull
from txchannels.layers.redis import lease as lease_module


@pytest.fixture
def quiet(monkeypatch):
    """No lease is renewed, so that Redis sees only what a test asks for."""
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 3600.0)
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 7200.0)


def commands(site):
    """How often each command was called, those of this look itself left out."""
    stats = site.redis.info("commandstats")
    called = {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}
    return {
        name: calls for name, calls in called.items() if not name.startswith(("info", "config"))
    }


def send_numbers(face, channel, count, start=0):
    for n in range(start, start + count):
        face.send(channel, {"n": n}, wait=20.0)


def test_a_message_for_a_channel_that_another_host_reads_arrives_there_once_and_in_order(site):
    here, there = site.host(), site.host()
    reader = there.read("work")
    reader.request(1000)
    send_numbers(here.threads, "work", 200)
    wait_until(lambda: len(reader.got) >= 200, "all arrive")
    assert reader.numbers() == list(range(200))
    assert there.hub.accounts()["work"].delivered == 200


def test_what_the_reactor_sends_arrives_at_the_other_host_in_order(site):
    here, there = site.host(capacity=1000), site.host(capacity=1000)
    reader = there.read("work")
    reader.request(1000)

    def send():
        for n in range(200):
            here.face.send("work", {"n": n})

    here.call(send)
    wait_until(lambda: len(reader.got) >= 200, "all arrive")
    assert reader.numbers() == list(range(200))


def test_what_a_program_sends_arrives_in_order(site):
    there = site.host()
    reader = there.read("work")
    reader.request(1000)
    send_numbers(site.program(), "work", 100)
    wait_until(lambda: len(reader.got) >= 100, "all arrive")
    assert reader.numbers() == list(range(100))


def test_what_is_sent_before_anybody_reads_waits(site):
    here = site.host()
    send_numbers(here.threads, "work", 5)
    reader = site.host().read("work")
    reader.request(10)
    wait_until(lambda: len(reader.got) >= 5, "all arrive")
    assert reader.numbers() == list(range(5))


def test_a_program_reads_what_hosts_send(site):
    here, program = site.host(), site.program()
    send_numbers(here.threads, "work", 3)
    assert [program.receive(["work"], block=True)[1]["n"] for _ in range(3)] == [0, 1, 2]
    assert program.receive(["work"]) == (None, None)


def test_a_message_with_a_reader_here_costs_redis_no_command(site, quiet):
    here, _ = site.host(), site.host()
    reader = here.read("work")
    reader.request(1000)
    wait_until(lambda: here.is_covered(reader), "Redis is asked")
    site.redis.config_resetstat()
    send_numbers(here.threads, "work", 50)
    here.call(here.face.send, "work", {"n": 50})
    assert reader.numbers() == list(range(51))
    assert commands(site).keys() <= {"blmpop"}
    assert here.hub.accounts()["work"].forwarded == 0


def test_a_reply_for_a_socket_here_costs_redis_no_command(site, quiet):
    here = site.host()
    reply = here.open("a")
    site.redis.config_resetstat()
    send_numbers(here.threads, reply, 20)
    wait_until(lambda: len(here.numbers(reply)) == 20, "all arrive")
    assert commands(site).keys() <= {"blmpop"}


def test_a_channel_is_full_at_its_capacity_for_every_sender(site):
    hosts = [site.host(capacity=10), site.host(capacity=10)]
    faces = [hosts[0].threads, hosts[1].threads, site.program(capacity=10)]
    for n in range(10):
        faces[n % 3].send("work", {"n": n})
    for face in faces:
        with pytest.raises(ChannelFull):
            face.send("work", {"n": 10})
    assert site.redis.llen(site.list_of("work")) == 10


def test_who_waits_for_room_gets_it(site):
    here, there = site.host(capacity=5), site.host(capacity=5)
    reader = there.read("work")
    run_threads(
        lambda: send_numbers(here.threads, "work", 20),
        lambda: (
            wait_until(lambda: site.redis.llen(site.list_of("work")) == 5, "it is full")
            and reader.request(20)
        ),
    )
    wait_until(lambda: len(reader.got) >= 20, "all arrive")
    assert reader.numbers() == list(range(20))


def test_every_message_goes_to_one_of_many_readers(site):
    hosts = [site.host(capacity=1000) for _ in range(3)]
    readers = [host.read("work") for host in hosts]
    for reader in readers:
        reader.request(1000)
    run_threads(
        *[
            lambda host=host, at=at: send_numbers(host.threads, "work", 100, 100 * at)
            for at, host in enumerate(hosts)
        ],
        lambda: send_numbers(site.program(capacity=1000), "work", 100, 300),
    )

    def arrived():
        return [n for reader in readers for n in reader.numbers()]

    wait_until(lambda: len(arrived()) >= 400, "all arrive")
    assert sorted(arrived()) == list(range(400))


def test_the_messages_of_one_send_many_keep_their_order(site):
    here, there = site.host(), site.host()
    reader = there.read("work")
    reader.request(100)
    reply = there.open("a")
    sends = [("channel", name, {"n": n}) for n in range(30) for name in ("work", reply)]
    assert here.threads.send_many(sends) == []
    wait_until(lambda: len(reader.got) + len(there.numbers(reply)) >= 60, "all arrive")
    assert reader.numbers() == there.numbers(reply) == list(range(30))


def test_whether_a_channel_is_wanted_is_known_on_every_host(site):
    here, there = site.host(), site.host()
    there.read("work")
    wait_until(
        lambda: here.hub.is_wanted("work") and not here.hub.is_wanted("other"), "it is known"
    )
    there.stop()
    here.read("own")
    wait_until(lambda: not here.hub.is_wanted("work"), "that it reads no more is known")
