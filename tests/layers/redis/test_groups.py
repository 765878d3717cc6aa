"""Groups whose members are on several hosts."""

from __future__ import annotations

import threading

import pytest

from tests.layers.redis.hubs import run_threads
from tests.layers.redis.test_joined import commands, quiet  # noqa: F401 - a fixture
from tests.layers.redis.test_replies import short_lease  # noqa: F401 - a fixture
from tests.servers import wait_until

ROUNDS = 50


def lease_of(site, host):
    return f"{site.prefix}{{i:{host.prefix}}}"


def wait_for(host, channel, numbers):
    wait_until(lambda: host.numbers(channel) == numbers, f"{numbers} for {channel}")


def test_members_on_two_hosts_get_one_copy_each(site):
    hosts, program = [site.host(), site.host()], site.program()
    members = [(host, host.open(local)) for host in hosts for local in "abc"]
    for host, channel in members:
        host.threads.group_add("room", channel)
        assert channel in host.threads.group_channels("room")
    for n, face in enumerate([hosts[0].threads, hosts[1].threads, program]):
        face.send_group("room", {"n": n})
    for host, channel in members:
        wait_until(lambda host=host, channel=channel: len(host.numbers(channel)) >= 3, "all arrive")
        assert sorted(host.numbers(channel)) == [0, 1, 2]


def test_what_a_group_send_costs_does_not_depend_on_the_members(site, quiet):  # noqa: F811
    hosts = [site.host(), site.host()]
    costs = {}
    for count in (2, 200):
        members = [(h, h.open(f"{count}.{n}")) for h in hosts for n in range(count // 2)]
        for host, channel in members:
            host.threads.group_add(f"room{count:03}", channel)
        everyone = site.program().group_channels
        wait_until(lambda: len(everyone(f"room{count:03}")) == count, "all are there")  # noqa: B023
        before, bytes_before = commands(site), site.redis.info("stats")["total_net_input_bytes"]
        for n in range(10):
            hosts[0].threads.send_group(f"room{count:03}", {"n": n})
        for host, channel in members:
            wait_for(host, channel, list(range(10)))
        after = commands(site)
        calls = sum(after.get(name, 0) - before.get(name, 0) for name in ("evalsha", "rpush"))
        costs[count] = calls, site.redis.info("stats")["total_net_input_bytes"] - bytes_before
    # Sends share script calls as it happens; two looks at the server are in each.
    assert abs(costs[2][0] - costs[200][0]) <= 10
    assert abs(costs[2][1] - costs[200][1]) < 3000


@pytest.mark.parametrize("face", ["same host", "owner", "program"])
def test_a_send_right_after_a_forwarded_add_arrives(site, face):
    owner, other = site.host(), site.host()
    faces = {"same host": other.threads, "owner": owner.threads, "program": site.program()}
    channels = [owner.open(str(n)) for n in range(ROUNDS)]
    for n, channel in enumerate(channels):
        other.threads.group_add(f"room{n}", channel)
        faces[face].send_group(f"room{n}", {"n": n})
    wait_until(lambda: owner.hub.accounts()[owner.prefix].pending == 0, "all is drained")
    for n, channel in enumerate(channels):
        wait_for(owner, channel, [n])


def test_a_send_right_after_a_program_s_add_arrives(site):
    owner, other, program = site.host(), site.host(), site.program()
    channels = [owner.open(str(n)) for n in range(ROUNDS)]
    for n, channel in enumerate(channels):
        program.group_add(f"room{n}", channel)
        other.threads.send_group(f"room{n}", {"n": n})
    for n, channel in enumerate(channels):
        wait_for(owner, channel, [n])


def test_a_forwarded_add_to_a_closed_channel_leaves_no_ghost(site):
    owner, other, program = site.host(), site.host(), site.program()
    channels = [owner.open(str(n)) for n in range(20)]

    def add():
        for channel in channels:
            other.threads.group_add("room", channel)
            program.group_add("room", channel)

    run_threads(add, lambda: [owner.close(channel) for channel in channels])
    faces = [owner.threads, other.threads, program]
    for face in faces:
        wait_until(lambda face=face: face.group_channels("room") == [], "nobody is left")


def test_who_has_left_gets_no_more(site):
    owner, other, program = site.host(), site.host(), site.program()
    stays, *leavers = [owner.open(local) for local in "abcd"]
    for channel in (stays, *leavers):
        owner.threads.group_add("room", channel)
    faces = [owner.threads, other.threads, program]
    for face, channel in zip(faces, leavers, strict=True):
        face.group_discard("room", channel)
    for face in faces:
        wait_until(lambda face=face: face.group_channels("room") == [stays], "they have left")
    program.send_group("room", {"n": 0})
    wait_for(owner, stays, [0])
    assert owner.got.keys() == {stays}


def test_who_is_there_after_comings_and_goings_gets_what_is_sent(site):
    owner, other = site.host(), site.host()
    for n in range(ROUNDS):
        goes, comes = owner.open(f"{n}goes"), owner.open(f"{n}comes")
        room = f"room{n}"
        owner.threads.group_add(room, goes)
        run_threads(
            lambda room=room, goes=goes: owner.threads.group_discard(room, goes),
            lambda room=room, comes=comes: other.threads.group_add(room, comes),
        )
        other.threads.send_group(room, {"n": n})
        wait_for(owner, comes, [n])


def test_memberships_that_change_on_two_hosts_at_once_are_the_same_for_both(site):
    owner, other = site.host(), site.host()
    channel = owner.open("x")

    def toggle(face):
        for _ in range(3):
            face.group_add("room", channel)
            face.group_discard("room", channel)
            face.group_add("room", channel)

    for n in range(10):
        run_threads(lambda: toggle(owner.threads), lambda: toggle(other.threads))
        wait_until(lambda: site.redis.llen(site.inbox_of(owner.prefix)) == 0, "all is taken")
        owner.threads.group_channels("room")  # what was asked for before is done
        owner.threads.send(channel, {"n": -1})
        other.threads.send(channel, {"n": -1})
        wait_until(lambda n=n: owner.numbers(channel).count(-1) == 2 * (n + 1), "it is quiet")
        assert owner.hub.local_members("room") == other.threads.group_channels("room")


def test_the_members_of_a_dead_host_vanish(site, short_lease):  # noqa: F811
    dead, living, program = site.host(), site.host(), site.program()
    gone, stays = dead.open("a"), living.open("b")
    dead.threads.group_add("room", gone)
    living.threads.group_add("room", stays)
    wait_until(lambda: set(program.group_channels("room")) == {gone, stays}, "both are there")
    dead.kill()
    wait_until(lambda: program.group_channels("room") == [stays], "one is left")
    assert living.threads.group_channels("room") == [stays]
    program.send_group("room", {"n": 0})
    wait_for(living, stays, [0])
    owners = f"{site.prefix}{{g:room}}:owners"
    assert site.redis.hkeys(owners) == [living.prefix.encode()]


def test_the_members_of_a_host_that_slept_longer_than_its_lease_come_back(site, short_lease):  # noqa: F811
    slow, other = site.host(), site.host()
    gaps = []
    slow.call(slow.face.when_gap, lambda *when: gaps.append(when))
    channel = slow.open("a")
    slow.threads.group_add("room", channel)
    wait_until(lambda: other.threads.group_channels("room") == [channel], "it is there")
    slow.sleep()
    wait_until(lambda: not site.redis.exists(lease_of(site, slow)), "its lease ends")
    other.threads.send_group("room", {"n": 0})
    wait_until(lambda: other.threads.group_channels("room") == [], "it has vanished")
    slow.wake()
    wait_until(lambda: other.threads.group_channels("room") == [channel], "it is there again")
    wait_until(lambda: gaps, "the gap is told")
    other.threads.send_group("room", {"n": 1})
    wait_for(slow, channel, [1])


def test_a_channel_that_nobody_owns_is_a_member_for_every_host(site):
    here, there, program = site.host(), site.host(), site.program()
    here.threads.group_add("room", "log")
    for face in (program, here.threads, there.threads):
        wait_until(lambda face=face: face.group_channels("room") == ["log"], "it is there")
    there.threads.send_group("room", {"n": 0})
    assert here.threads.receive(["log"], block=True) == ("log", {"n": 0})
    program.group_discard("room", "log")
    assert there.threads.group_channels("room") == []


def test_sends_while_members_come_and_go_reach_those_who_stay_once_and_in_order(site):
    owner, other = site.host(), site.host()
    stays = owner.open("stays")
    other.threads.group_add("room", stays)
    wait_until(lambda: owner.hub.local_members("room"), "it is there")
    over = threading.Event()

    def churn(face, host):
        n = 0
        while not over.is_set():
            channel = host.open(f"{face is owner.threads}{n}")
            face.group_add("room", channel)
            host.close(channel)
            n += 1

    def send():
        for n in range(200):
            other.threads.send_group("room", {"n": n})
        over.set()

    run_threads(
        send,
        lambda: churn(owner.threads, owner),
        lambda: churn(other.threads, owner),
        lambda: churn(owner.threads, other),
    )
    wait_for(owner, stays, list(range(200)))
    for face in (owner.threads, other.threads):
        wait_until(lambda face=face: face.group_channels("room") == [stays], "no ghost is left")
