"""Single-reader channels that a host has made, as members of groups."""

from __future__ import annotations

import pytest

from tests.layers.redis.hubs import run_threads
from tests.layers.redis.test_replies import short_lease  # noqa: F401 - a fixture
from tests.servers import wait_until
from txchannels.layers.redis import homewait

ROUNDS = 30
ADDERS = ["home", "other host", "program"]


def home_of(site):
    """A host that keeps its channels' messages, as work is done there."""
    home = site.host()
    home.read("work")
    return home


def face_of(site, home, who):
    if who == "home":
        return home.threads
    return site.program() if who == "program" else site.host().threads


def receive(face, channel, count):
    return [face.receive([channel], block=True)[1]["n"] for _ in range(count)]


def unowned(site, group="room"):
    return site.redis.hkeys(f"{site.prefix}{{g:{group}}}:unowned")


@pytest.mark.parametrize("who", ADDERS)
def test_what_a_host_sends_next_does_not_overtake_its_group_message(site, who):
    home = home_of(site)
    face = face_of(site, home, who)
    for n in range(ROUNDS):
        channel = home.threads.new_channel("made?")
        face.group_add(f"room{n}", channel)
        home.threads.send_group(f"room{n}", {"n": 0})
        home.threads.send(channel, {"n": 1})
        home.threads.send_many([("group", f"room{n}", {"n": 2}), ("channel", channel, {"n": 3})])
        assert receive(home.threads, channel, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("who", ADDERS)
def test_who_is_discarded_is_sent_nothing_more(site, who):
    home = home_of(site)
    face = face_of(site, home, who)
    channel = home.threads.new_channel("made?")
    for n in range(ROUNDS):
        face.group_add("room", channel)
        assert home.threads.group_channels("room") == [channel]
        face.group_discard("room", channel)
        home.threads.send_group("room", {"n": -1})
        home.threads.send(channel, {"n": n})
        assert receive(home.threads, channel, 1) == [n]
    assert home.threads.group_channels("room") == []


@pytest.mark.parametrize("who", ["other host", "program"])
def test_group_messages_of_others_arrive_too(site, who):
    home = home_of(site)
    face = face_of(site, home, who)
    channel = home.threads.new_channel("made?")
    home.threads.group_add("room", channel)
    home.threads.group_channels("room")
    for n in range(10):
        face.send_group("room", {"n": 2 * n})
        face.send(channel, {"n": 2 * n + 1})
    assert receive(home.threads, channel, 20) == list(range(20))


def test_group_messages_keep_their_order_when_a_reader_elsewhere_asks(site):
    for _ in range(5):
        home, there = home_of(site), site.host()
        channel = home.threads.new_channel("http.request.body?")
        there.threads.group_add("room", channel)

        def send(home=home, channel=channel):
            for n in range(0, 200, 2):
                home.threads.send_group("room", {"n": n})
                assert home.threads.send(channel, {"n": n + 1}, wait=20.0)

        taken = []

        def read(there=there, channel=channel, taken=taken):
            while 199 not in taken:
                taken.append(there.threads.receive([channel], block=True)[1]["n"])

        run_threads(send, read)
        assert taken == sorted(taken)
        assert set(range(1, 200, 2)) <= set(taken)


def test_what_a_thread_sends_while_the_channel_leaves_its_home_keeps_its_order(site):
    home, there = home_of(site), site.host()
    for _ in range(20):
        channel = home.threads.new_channel("made?")
        taken = []

        def send(channel=channel):
            for n in range(60):
                home.threads.send(channel, {"n": n}, wait=20.0)

        run_threads(send, lambda c=channel, t=taken: t.extend(receive(there.threads, c, 60)))
        assert taken == list(range(60))


@pytest.mark.parametrize("who", ["other host", "program"])
def test_a_channel_whose_home_is_gone_is_added_all_the_same(site, short_lease, who):  # noqa: F811
    home = home_of(site)
    face = face_of(site, home, who)
    channel = home.threads.new_channel("made?")
    home.kill()
    lease = f"{site.prefix}{{i:{home.hub.address}}}"
    wait_until(lambda: not site.redis.exists(lease), "its lease ends")
    face.group_add("room", channel)
    assert face.group_channels("room") == [channel]
    face.send_group("room", {"n": 0})
    assert receive(face, channel, 1) == [0]
    face.group_discard("room", channel)
    assert face.group_channels("room") == []


@pytest.mark.parametrize("who", ["other host", "program"])
def test_a_home_that_does_not_answer_is_waited_for_in_vain_only_so_long(site, monkeypatch, who):
    monkeypatch.setattr(homewait, "HOME_SECONDS", 0.1)
    home = home_of(site)
    face = face_of(site, home, who)
    channel = home.threads.new_channel("made?")
    home.kill()
    face.group_add("room", channel)
    assert face.group_channels("room") == [channel]
    face.group_discard("room", channel)
    assert face.group_channels("room") == []


def test_a_server_that_lost_its_data_is_told_of_the_members_again(site):
    home, program = home_of(site), site.program()
    channel = home.threads.new_channel("made?")
    program.group_add("room", channel)
    for key in site.redis.scan_iter(f"{site.prefix}*"):
        site.redis.delete(key)
    home.call(home.hub.links[0].lose, "for the test")
    wait_until(lambda: unowned(site) == [channel.encode()], "it is a member again")
    program.send_group("room", {"n": 0})
    assert receive(home.threads, channel, 1) == [0]


def test_a_message_that_expires_unread_at_its_home_ends_the_memberships(site):
    home, program = site.host(expiry=0.2), site.program(expiry=0.2)
    home.read("work")
    channel = home.threads.new_channel("made?")
    program.group_add("room", channel)
    home.threads.send(channel, {"n": 0})
    wait_until(lambda: home.call(home.face.sweep) or not unowned(site), "it is none any more")
    home.threads.send_group("room", {"n": 1})
    assert home.threads.receive([channel]) == (None, None)


def test_a_full_member_at_its_home_is_counted(site):
    home = site.host(capacity=2)
    home.read("work")
    channel = home.threads.new_channel("made?")
    home.threads.group_add("room", channel)
    assert [home.threads.send_group("room", {"n": n}) for n in range(4)] == [0, 0, 1, 1]
    assert home.hub.accounts()["made?"].dropped["full"] == 2
    assert receive(home.threads, channel, 2) == [0, 1]
