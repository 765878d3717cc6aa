from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from txchannels.layers.groups import Groups

OWNER, OTHER = object(), object()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def groups(clock) -> Groups:
    return Groups(60.0, clock.seconds)


def test_a_member_is_one_however_often_it_is_added(groups):
    for _ in range(2):
        groups.add("room", "a", None)
        groups.add("room", "sockets!1", OWNER)
    assert sorted(groups.members("room")) == ["a", "sockets!1"]


def test_a_channel_is_in_several_groups(groups):
    groups.add("room", "a", None)
    groups.add("hall", "a", None)
    groups.discard("room", "a")
    assert groups.members("room") == []
    assert groups.members("hall") == ["a"]


def test_discarding_what_is_no_member_is_harmless(groups):
    groups.discard("room", "a")
    groups.add("room", "a", None)
    groups.discard("room", "b")
    groups.discard("hall", "a")
    groups.leave_all("c")
    assert groups.members("room") == ["a"]


def test_an_unowned_member_lapses_unless_it_is_added_again(groups, clock):
    groups.add("room", "a", None)
    groups.add("room", "b", None)
    clock.advance(59)
    groups.add("room", "b", None)
    clock.advance(1)
    assert groups.members("room") == ["b"]
    clock.advance(59)
    assert groups.unowned("room") == []


def test_an_owned_member_never_lapses(groups, clock):
    groups.add("room", "sockets!1", OWNER)
    clock.advance(10**6)
    groups.sweep()
    assert groups.members("room") == ["sockets!1"]


def test_a_channel_that_got_an_owner_is_one_member(groups, clock):
    groups.add("room", "sockets!1", None)
    groups.add("room", "sockets!1", OWNER)
    assert groups.members("room") == ["sockets!1"]
    clock.advance(100)
    assert groups.members("room") == ["sockets!1"]


def test_a_snapshot_is_the_same_until_a_member_comes_or_goes(groups):
    groups.add("room", "sockets!1", OWNER)
    groups.add("room", "others!1", OTHER)
    first = dict(groups.snapshots("room"))
    assert first == {OWNER: ("sockets!1",), OTHER: ("others!1",)}
    assert dict(groups.snapshots("room"))[OWNER] is first[OWNER]
    groups.add("room", "sockets!2", OWNER)
    assert dict(groups.snapshots("room"))[OWNER] == ("sockets!1", "sockets!2")
    groups.leave_all("sockets!1")
    assert dict(groups.snapshots("room"))[OWNER] == ("sockets!2",)


def test_nothing_is_kept_of_groups_without_members(groups, clock):
    groups.add("room", "a", None)
    groups.add("room", "sockets!1", OWNER)
    groups.leave_all("sockets!1")
    clock.advance(60)
    groups.sweep()
    assert groups._groups == {}
    assert groups._memberships == {}


def test_clear_forgets_all(groups):
    groups.add("room", "a", None)
    groups.clear()
    assert groups.members("room") == []
    groups.leave_all("a")
