"""A membership that its owner and another host change at the same time is the same for both."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from tests.layers.redis.test_joined import commands, quiet  # noqa: F401 - a fixture
from tests.servers import wait_until
from txchannels.layers.redis import homewait, order
from txchannels.layers.redis.order import Order

# No renewal of a lease may mend anything.
pytestmark = pytest.mark.usefixtures("quiet")

MEMBERSHIP = "room", "x"


@contextmanager
def nothing_leaves(host):
    """In the context, nothing that *host* asks for is sent to Redis."""
    [link] = host.hub.links
    batches = link._batches

    def hold(count):
        batches._in_flight += count
        batches.flush()

    host.call(hold, 2)
    try:
        yield
    finally:
        host.call(hold, -2)


@contextmanager
def nothing_comes(host):
    """In the context, *host* reads nothing of what Redis hands over."""
    [link] = host.hub.links
    transport = link.reader._connection.transport
    host.call(transport.pauseProducing)
    try:
        yield
    finally:
        host.call(transport.resumeProducing)


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits for long until an owner has heard of its new member."""
    monkeypatch.setattr(homewait, "HOME_SECONDS", 0.1)


def becomes(site, owner, members):
    """Wait until *members* are those of the room for everybody."""
    program = site.program()
    for found in (program.group_channels, owner.threads.group_channels, owner.hub.local_members):
        wait_until(lambda found=found: found("room") == members, f"{members} are there")
    owner.call(lambda: None)
    assert program.group_channels("room") == members


# What the owner asks for


def test_a_discard_that_overtakes_the_owner_s_add_leaves_no_ghost(site):
    owner, program = site.host(), site.program()
    channel = owner.open("x")
    with nothing_leaves(owner):
        owner.threads.group_add("room", channel)
        program.group_discard("room", channel)
        wait_until(lambda: owner.hub.local_members("room") == [], "its owner has heard of it")
    becomes(site, owner, [])


def test_so_does_one_that_is_heard_of_when_the_owner_s_add_is_done(site):
    owner, program = site.host(), site.program()
    channel = owner.open("x")
    with nothing_comes(owner):
        with nothing_leaves(owner):
            owner.threads.group_add("room", channel)
            program.group_discard("room", channel)
        assert owner.threads.group_channels("room") == [channel]
    becomes(site, owner, [])


def test_an_add_that_overtakes_the_owner_s_discard_holds(site, impatient):
    owner, program = site.host(), site.program()
    channel = owner.open("x")
    owner.threads.group_add("room", channel)
    becomes(site, owner, [channel])
    with nothing_leaves(owner):
        owner.threads.group_discard("room", channel)
        program.group_add("room", channel)
        wait_until(lambda: owner.hub.local_members("room") == [channel], "its owner has heard")
    becomes(site, owner, [channel])


def test_an_add_after_a_discard_that_has_overtaken_holds(site, impatient):
    owner, program = site.host(), site.program()
    channel = owner.open("x")
    with nothing_leaves(owner):
        owner.threads.group_add("room", channel)
        program.group_discard("room", channel)
        program.group_add("room", channel)
        wait_until(lambda: len(owner.hub.memberships._order) == 1, "its owner was asked")
    becomes(site, owner, [channel])


def test_an_add_that_a_late_correction_has_undone_holds(site, impatient):
    owner, program = site.host(), site.program()
    channel = owner.open("x")
    with nothing_leaves(owner):
        owner.threads.group_add("room", channel)
        program.group_discard("room", channel)
        wait_until(lambda: owner.hub.local_members("room") == [], "its owner has heard of it")
    with nothing_comes(owner):
        program.group_add("room", channel)  # before, or after, Redis is told of no member
    becomes(site, owner, [channel])


def test_what_nobody_overtakes_is_not_said_again(site):
    owner, program = site.host(), site.program()
    channel = owner.open("x")
    owner.threads.group_add("room", channel)
    becomes(site, owner, [channel])
    site.redis.config_resetstat()
    program.group_discard("room", channel)
    wait_until(lambda: owner.hub.local_members("room") == [], "its owner has heard of it")
    owner.call(lambda: None)
    assert commands(site)["evalsha"] == 1


def test_a_discard_while_the_owner_is_away_holds_when_it_is_back(site):
    owner, program = site.host(), site.program()
    [link] = owner.hub.links
    channel = owner.open("x")
    owner.threads.group_add("room", channel)
    becomes(site, owner, [channel])

    def lose():
        link._retry_seconds = 2.0
        link.lose("for the test")

    owner.call(lose)
    program.group_discard("room", channel)
    assert not link.is_up
    wait_until(lambda: link.is_up, "it is back")
    becomes(site, owner, [])


# Who adds another host's channel


@pytest.mark.parametrize("who", ["other host", "program"])
def test_who_is_added_is_known_to_its_owner(site, who):
    owner, program = site.host(), site.program()
    face = program if who == "program" else site.host().threads
    channel = owner.open("x")
    known = []

    def add():
        face.group_add("room", channel)
        known.append(owner.hub.local_members("room"))

    adding = threading.Thread(target=add)
    with nothing_comes(owner):
        adding.start()
        wait_until(lambda: program.group_channels("room") == [channel], "Redis knows")
    adding.join()
    assert known == [[channel]]


@pytest.mark.parametrize("who", ["other host", "program"])
def test_an_owner_that_does_not_answer_is_waited_for_in_vain_only_so_long(site, impatient, who):
    owner, program = site.host(), site.program()
    face = program if who == "program" else site.host().threads
    channel = owner.open("x")
    owner.kill()
    face.group_add("room", channel)
    assert program.group_channels("room") == [channel]


@pytest.mark.parametrize("who", ["other host", "program"])
def test_an_owner_that_dies_is_waited_for_no_more(site, monkeypatch, who):
    monkeypatch.setattr(homewait, "HOME_SECONDS", 3600.0)
    owner, program = site.host(), site.program()
    face = program if who == "program" else site.host().threads
    channel = owner.open("x")
    owner.kill()
    adding = threading.Thread(target=face.group_add, args=("room", channel))
    adding.start()
    wait_until(lambda: program.group_channels("room") == [channel], "Redis knows")
    assert site.redis.delete(f"{site.prefix}{{i:{owner.prefix}}}") == 1
    adding.join()


# What is kept


@pytest.mark.parametrize("bound", ["time", "number"])
def test_what_is_kept_of_it_is_bounded(monkeypatch, bound):
    now = [0.0]
    kept = Order(lambda: now[0])
    monkeypatch.setattr(order, "MAX_KEPT", 100 if bound == "number" else 10_000)
    for n in range(1000):
        now[0] += order.KEPT_SECONDS / 100
        membership = f"room{n}", "x"
        kept.answered(membership, kept.ask(membership), n)
    assert len(kept) <= 101


def test_what_is_never_done_is_not_kept():
    kept = Order(lambda: 0.0)
    assert not kept.answered(MEMBERSHIP, kept.ask(MEMBERSHIP), None)
    assert len(kept) == 0


def test_what_may_have_been_done_after_another_s_change_is_said_again():
    kept = Order(lambda: 0.0)
    asked = kept.ask(MEMBERSHIP)
    assert not kept.is_crossed(MEMBERSHIP, 5)
    assert kept.answered(MEMBERSHIP, asked, None)


def test_only_the_last_that_was_asked_for_counts():
    kept = Order(lambda: 0.0)
    first = kept.ask(MEMBERSHIP)
    assert not kept.is_crossed(MEMBERSHIP, 5)
    second = kept.ask(MEMBERSHIP)
    assert not kept.answered(MEMBERSHIP, first, 6)
    assert not kept.answered(MEMBERSHIP, second, 7)
    assert not kept.is_crossed(MEMBERSHIP, 8)
    assert kept.is_crossed(MEMBERSHIP, 6)
