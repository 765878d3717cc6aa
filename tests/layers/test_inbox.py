"""From any thread to the reactor's: batches, bounds, owners."""

from __future__ import annotations

import queue
import threading

import pytest

from txchannels.errors import ChannelClosed, ChannelFull
from txchannels.layers import inbox as inbox_module
from txchannels.layers.memory import MemoryLayer


class Reactor:
    """Keeps what is to be called in it, until it is turned."""

    def __init__(self):
        self.calls = []
        self.batches = []

    def call_from_thread(self, call):
        self.calls.append(call)

    def turn(self):
        calls, self.calls = self.calls, []
        for call in calls:
            call()


@pytest.fixture
def reactor():
    return Reactor()


@pytest.fixture
def inbox(hub, reactor):
    return hub.open_inbox("sockets!", reactor.batches.append, reactor.call_from_thread)


def test_many_messages_cost_one_wake_up_and_come_in_one_batch(hub, reactor, inbox):
    a, b = inbox.open("a"), inbox.open("b")
    hub.send(a, {"n": 0})
    hub.send(b, {"n": 1})
    hub.send(a, {"n": 2})
    assert len(reactor.calls) == 1
    reactor.turn()
    assert reactor.batches == [[(a, {"n": 0}), (b, {"n": 1}), (a, {"n": 2})]]
    assert reactor.calls == []


def test_what_is_sent_while_a_batch_is_handed_over_comes_with_the_next(hub, reactor):
    def deliver(batch):
        reactor.batches.append(batch)
        if len(reactor.batches) == 1:
            hub.send("own!a", {"n": 1})

    hub.open_inbox("own!", deliver, reactor.call_from_thread).open("a")
    hub.send("own!a", {"n": 0})
    reactor.turn()
    reactor.turn()
    assert reactor.batches == [[("own!a", {"n": 0})], [("own!a", {"n": 1})]]


def test_a_group_send_is_one_entry_with_all_members(hub, reactor, inbox):
    for local in "abc":
        hub.group_add("room", inbox.open(local))
    message = {"n": 0}
    assert hub.send_group("room", message) == 0
    reactor.turn()
    [[(channels, sent)]] = reactor.batches
    assert channels == ("sockets!a", "sockets!b", "sockets!c")
    assert sent is message
    assert hub.accounts()["sockets!"].delivered == 3


def test_group_sends_on_their_way_are_bounded(hub, reactor, inbox, monkeypatch):
    monkeypatch.setattr(inbox_module, "MAX_GROUP_SENDS", 2)
    for local in "abc":
        hub.group_add("room", inbox.open(local))
    assert [hub.send_group("room", {}) for _ in range(3)] == [0, 0, 3]
    account = hub.accounts()["sockets!"]
    assert (account.sent, account.pending, account.dropped["full"]) == (9, 6, 3)
    reactor.turn()
    assert hub.send_group("room", {}) == 0


def test_each_channel_is_bounded_by_itself(hub, reactor, inbox):
    a, b = inbox.open("a"), inbox.open("b")
    for n in range(10):
        hub.send(a, {"n": n})
    with pytest.raises(ChannelFull):
        hub.send(a, {})
    hub.send(b, {})
    reactor.turn()
    hub.send(a, {})
    account = hub.accounts()["sockets!"]
    assert (account.sent, account.delivered, account.pending) == (13, 11, 1)
    assert account.dropped["full"] == 1


def test_a_closed_channel_is_known_to_be_gone(hub, inbox):
    channel = inbox.open("a")
    assert channel in inbox
    assert len(inbox) == 1
    inbox.close(channel)
    inbox.close(channel)
    for name in (channel, "sockets!never"):
        with pytest.raises(ChannelClosed):
            hub.send(name, {})
    account = hub.accounts()["sockets!"]
    assert (account.sent, account.dropped["closed"]) == (2, 2)


def test_what_is_on_its_way_to_a_channel_that_closes_is_dropped(hub, reactor, inbox):
    a, b = inbox.open("a"), inbox.open("b")
    hub.send(a, {})
    hub.send(b, {})
    inbox.close(a)
    reactor.turn()
    assert reactor.batches == [[(b, {})]]
    account = hub.accounts()["sockets!"]
    assert (account.delivered, account.dropped["closed"], account.pending) == (1, 1, 0)


def test_a_batch_of_nothing_is_not_delivered(hub, reactor, inbox):
    hub.send(inbox.open("a"), {})
    inbox.close("sockets!a")
    reactor.turn()
    assert reactor.batches == []


def test_a_paused_channel_is_full_until_it_is_resumed(hub, inbox):
    channel = inbox.open("a")
    calls = []
    inbox.pause(channel)
    assert not hub.offer(channel, {})
    hub.when_room(channel, lambda: calls.append(1))
    inbox.resume(channel)
    inbox.resume(channel)
    assert calls == [1]
    assert hub.offer(channel, {})
    inbox.pause("sockets!never")
    inbox.resume("sockets!never")


def test_a_drain_tells_of_room_but_not_where_it_is_paused(hub, reactor, inbox):
    a, b = inbox.open("a"), inbox.open("b")
    calls = []
    for channel in (a, b):
        for _ in range(10):
            hub.send(channel, {})
        hub.when_room(channel, lambda channel=channel: calls.append(channel))
    inbox.pause(b)
    reactor.turn()
    assert calls == [a]
    inbox.close(b)
    assert calls == [a, b]


def test_room_is_told_even_if_a_batch_could_not_be_delivered(hub, reactor):
    inbox = hub.open_inbox("own!", lambda batch: 1 / 0, reactor.call_from_thread)
    calls = []
    channel = inbox.open("a")
    for _ in range(10):
        hub.send(channel, {})
    hub.when_room(channel, lambda: calls.append(1))
    with pytest.raises(ZeroDivisionError):
        reactor.turn()
    assert calls == [1]


def test_who_waits_for_room_no_more_is_not_called(hub, inbox):
    channel = inbox.open("a")
    calls = []
    callback = calls.append
    inbox.pause(channel)
    hub.when_room(channel, callback)
    hub.forget_room(channel, callback)
    hub.forget_room(channel, callback)
    inbox.resume(channel)
    assert calls == []
    hub.when_room(channel, lambda: calls.append("at once"))
    assert calls == ["at once"]


def test_memberships_end_with_the_channel_and_with_its_client(hub, inbox):
    a, b = inbox.open("a"), inbox.open("b")
    for channel in (a, b):
        hub.group_add("room", channel)
    inbox.leave_groups(a)
    assert hub.group_channels("room") == [b]
    hub.send(a, {})
    inbox.close(b)
    assert hub.group_channels("room") == []
    hub.group_add("room", b)
    assert hub.group_channels("room") == []


def test_owned_members_do_not_lapse(make_layer, clock, reactor):
    hub = make_layer(group_expiry=10).hub
    inbox = hub.open_inbox("sockets!", reactor.batches.append, reactor.call_from_thread)
    hub.group_add("room", inbox.open("a"))
    clock.advance(1000)
    hub.sweep()
    assert hub.group_channels("room") == ["sockets!a"]


def test_a_group_send_to_a_member_whose_owner_came_and_went_raises_nothing(hub, inbox):
    hub.group_add("room", "later!a")
    late = hub.open_inbox("later!", lambda batch: None, lambda call: None)
    assert hub.send_group("room", {}) == 0
    assert hub.group_channels("room") == []
    assert len(late) == 0


def test_a_prefix_has_one_owner_and_ends_in_an_exclamation_mark(hub, inbox):
    with pytest.raises(ValueError, match="owner already"):
        hub.open_inbox("sockets!", print, print)
    for prefix in ("sockets", "sockets!a", "body?x"):
        with pytest.raises(TypeError):
            hub.open_inbox(prefix, print, print)


def test_no_member_is_added_behind_the_back_of_a_close(hub, reactor, inbox):
    """Many channels are added to a group while they close: none stays a member."""
    channels = [inbox.open(str(n)) for n in range(2000)]
    start = threading.Barrier(2)

    def add():
        start.wait()
        for channel in channels:
            hub.group_add("room", channel)

    thread = threading.Thread(target=add)
    thread.start()
    start.wait()
    for channel in channels:
        inbox.close(channel)
    thread.join()
    assert hub.group_channels("room") == []
    assert hub._groups._memberships == {}


def test_a_protocol_servers_reply_channels_take_a_few_messages_each():
    inbox = MemoryLayer().hub.open_inbox("txchannels.a!", print, lambda call: None)
    other = MemoryLayer(channel_capacity={"txchannels.*": 20}).hub.open_inbox(
        "txchannels.a!", print, lambda call: None
    )
    for one, room in ((inbox, 32), (other, 20)):
        channel = one.open("1")
        assert [one.offer(channel, {}) for _ in range(room + 1)] == [True] * room + [False]


def test_hundreds_of_messages_at_once_all_arrive_through_little_room():
    layer = MemoryLayer()
    calls = queue.SimpleQueue()
    got = []
    inbox = layer.hub.open_inbox("txchannels.a!", got.extend, calls.put)
    channel = inbox.open("1")
    layer.hub.group_add("room", channel)
    sends = [("channel", channel, {"n": n}) for n in range(500)]
    failed = []
    thread = threading.Thread(
        target=lambda: failed.extend(layer.blocking.send_many(sends, wait=10.0))
    )
    thread.start()
    while len(got) < len(sends):
        calls.get(timeout=10)()
    thread.join()
    assert failed == []
    assert got == [(channel, {"n": n}) for n in range(500)]
    assert [layer.hub.send_group("room", {}) for _ in range(100)] == [0] * 100
