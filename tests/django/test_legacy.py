from __future__ import annotations

import pytest
from zope.interface.verify import verifyObject

from txchannels.django.legacy import LegacyLayer
from txchannels.errors import ChannelFull, LayerError, MessageTooLarge
from txchannels.layers.interfaces import IBlockingLayer


class OldLayer:
    """As layers of Channels 1 were, with exceptions of its own; takes a fixed number."""

    class ChannelFull(Exception):
        pass

    class MessageTooLarge(Exception):
        pass

    def __init__(self):
        self.room = 100
        self.sent = []
        self.groups = {}
        self.answers = []
        self.asked = []
        self.custom = "custom"

    def send(self, channel, message):
        if message.get("size"):
            raise self.MessageTooLarge("too large")
        if message.get("down"):
            raise ConnectionError("down")
        if self.room < 1:
            raise self.ChannelFull
        self.room -= 1
        self.sent.append((channel, message))

    def send_group(self, group, message):
        for channel in self.groups[group]:
            self.send(channel, message)

    def receive(self, channels, block=False):
        self.asked.append(block)
        return self.answers.pop(0) if self.answers else (None, None)

    def group_add(self, group, channel):
        self.groups.setdefault(group, []).append(channel)

    def group_discard(self, group, channel):
        self.groups[group].remove(channel)

    def group_channels(self, group):
        return set(self.groups[group])


class Clock:
    def __init__(self):
        self.now = 0.0
        self.on_pause = lambda: None

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds
        self.on_pause()


@pytest.fixture
def old():
    return OldLayer()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def adapted(old, clock):
    return LegacyLayer(old, clock=clock, pause=clock.pause)


def test_it_is_a_blocking_layer(adapted):
    assert verifyObject(IBlockingLayer, adapted)
    assert adapted.extensions == []
    assert adapted.group_expiry == 86400


def test_a_copy_is_sent(adapted, old):
    content = {"list": [1]}
    assert adapted.send("a", content) is True
    content["list"].append(2)
    assert old.sent == [("a", {"list": [1]})]


def test_a_full_channel_is_waited_for_until_there_is_room(adapted, old, clock):
    old.room = 0

    def make_room():
        old.room = clock.now >= 0.2

    clock.on_pause = make_room
    adapted.send("a", {}, wait=1.0)
    assert old.sent == [("a", {})]
    assert 0.2 <= clock.now < 0.3


def test_a_channel_that_stays_full_raises_our_error_when_the_time_is_over(adapted, old, clock):
    old.room = 0
    with pytest.raises(ChannelFull, match="'a' is full") as caught:
        adapted.send("a", {}, wait=1.0)
    assert isinstance(caught.value.__cause__, old.ChannelFull)
    assert 1.0 <= clock.now < 1.1
    with pytest.raises(adapted.ChannelFull):
        adapted.send("a", {})
    assert clock.now < 1.1


def test_too_large_a_message_raises_our_error(adapted, old):
    with pytest.raises(MessageTooLarge):
        adapted.send("a", {"size": True})
    old.groups["g"] = ["a"]
    with pytest.raises(MessageTooLarge):
        adapted.send_group("g", {"size": True})


def test_many_go_out_in_order_and_the_failed_come_back(adapted, old):
    old.groups["g"] = ["b", "c"]
    bad = ("channel", "a", {"size": True})
    down = ("channel", "a", {"down": True})
    failed = adapted.send_many(
        [
            ("channel", "a", {"n": 1}),
            bad,
            down,
            ("group", "g", {"n": 2}),
            ("channel", "a", {"n": 3}),
        ]
    )
    assert old.sent == [("a", {"n": 1}), ("b", {"n": 2}), ("c", {"n": 2}), ("a", {"n": 3})]
    assert [send for send, _ in failed] == [bad, down]
    assert isinstance(failed[0][1], MessageTooLarge)
    assert isinstance(failed[1][1], LayerError)
    assert "ConnectionError: down" in str(failed[1][1])


def test_many_wait_together_no_longer_than_one(adapted, old, clock):
    old.room = 0
    failed = adapted.send_many([("channel", "a", {}), ("channel", "b", {})], wait=1.0)
    assert [type(error) for _, error in failed] == [ChannelFull, ChannelFull]
    assert clock.now < 1.2


def test_a_group_send_is_never_full(adapted, old):
    old.groups["g"] = ["a"]
    old.room = 0
    assert adapted.send_group("g", {}) == 1
    old.room = 1
    assert adapted.send_group("g", {}) == 0


def test_receive_without_block_asks_once(adapted, old):
    old.answers = [("a", {"n": 1})]
    assert adapted.receive(["a"]) == ("a", {"n": 1})
    assert adapted.receive(["a"]) == (None, None)
    assert old.asked == [False, False]


def test_a_blocking_receive_asks_until_something_comes(adapted, old):
    old.answers = [(None, None), (None, None), ("a", {})]
    assert adapted.receive(["a"], block=True) == ("a", {})
    assert old.asked == [True, True, True]


def test_a_blocking_receive_ends_after_its_time(adapted, old, clock):
    assert adapted.receive(["a"], block=True) == (None, None)
    assert 5.0 <= clock.now < 5.1
    assert adapted.receive(["a"], block=True, timeout=0.5) == (None, None)
    assert 5.5 <= clock.now < 5.7
    assert old.asked[-1] is False


def test_layers_that_know_only_receive_many_are_read(clock):
    class Older:
        def receive_many(self, channels, block=False):
            return "a", {"channels": channels}

    assert LegacyLayer(Older()).receive(("a",)) == ("a", {"channels": ["a"]})


def test_the_rest_is_the_layers_own(adapted, old):
    adapted.group_add("g", "a")
    assert adapted.group_channels("g") == ["a"]
    adapted.group_discard("g", "a")
    assert old.groups == {"g": []}
    assert adapted.custom == "custom"
    with pytest.raises(AttributeError):
        _ = adapted.nothing


def test_the_channels_to_receive_from_are_a_list():
    with pytest.raises(TypeError, match="'chat'"):
        LegacyLayer(OldLayer()).receive("chat")
