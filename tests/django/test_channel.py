from __future__ import annotations

import pytest

from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.channel import Channel, Group
from txchannels.django.message import pending_message_store
from txchannels.errors import ChannelFull, MessageTooLarge


def test_outside_a_consumer_a_message_goes_out_at_once(layer):
    Channel("news").send({"text": "x"})
    assert layer.on("news") == [{"text": "x"}]


def test_inside_a_consumer_sends_go_out_together_in_order_when_it_ends(layer, consumer_runs):
    Channel("news").send({"n": 1})
    Group("all").send({"n": 2})
    Channel("news").send({"n": 3})
    assert layer.on("news") == []
    pending_message_store.send_all()
    assert layer.batches == [
        [("channel", "news", {"n": 1}), ("group", "all", {"n": 2}), ("channel", "news", {"n": 3})]
    ]


def test_immediately_does_not_wait_for_the_consumer(layer, consumer_runs):
    Channel("news").send({"n": 1}, immediately=True)
    Group("all").send({"n": 2}, immediately=True)
    assert layer.on("news") == [{"n": 1}]
    assert layer.sent_to_groups == [("all", {"n": 2})]


def test_what_is_changed_after_a_send_is_not_sent(layer, consumer_runs):
    content = {"list": [1]}
    Channel("news").send(content)
    Group("all").send(content)
    content["list"].append(2)
    pending_message_store.send_all()
    assert layer.on("news") == [{"list": [1]}]
    assert layer.sent_to_groups == [("all", {"list": [1]})]


def test_bytes_names_are_decoded(layer):
    channel = Channel(b"news")
    assert channel.name == "news"
    assert Group(b"all").name == "all"


@pytest.mark.parametrize("name", ["", "a b", "a!b!c", "ends?", "x" * 100, "é", None, 3])
def test_a_channel_that_no_layer_can_have_is_refused(layer, name):
    with pytest.raises(TypeError):
        Channel(name)


@pytest.mark.parametrize("name", ["", "a!b", "a?b", "x" * 100])
def test_a_group_that_no_layer_can_have_is_refused(layer, name):
    with pytest.raises(TypeError):
        Group(name)


@pytest.mark.parametrize("content", ["text", b"bytes", None, [("a", 1)]])
def test_only_dicts_can_be_sent(layer, content):
    with pytest.raises(TypeError, match="dict"):
        Channel("news").send(content)
    with pytest.raises(ValueError, match="dict"):
        Group("all").send(content)


def test_what_no_layer_carries_is_refused_where_it_is_sent(layer, consumer_runs):
    with pytest.raises(TypeError, match="object"):
        Channel("news").send({"x": object()})
    with pytest.raises(MessageTooLarge):
        Group("all").send({"x": b"x" * 2**21})


def test_a_full_channel_is_told_to_the_sender_outside_a_consumer(layer):
    layer.full.add("news")
    with pytest.raises(ChannelFull):
        Channel("news").send({})


def test_channels_join_and_leave_groups_at_once_by_object_or_name(layer, consumer_runs):
    group = Group("all")
    group.add(Channel("sockets!a"))
    group.add("sockets!b")
    group.add(b"sockets!c")
    assert layer.groups["all"] == ["sockets!a", "sockets!b", "sockets!c"]
    group.discard(Channel("sockets!a"))
    group.discard("sockets!b")
    group.discard(b"sockets!c")
    assert layer.groups["all"] == []


def test_a_bad_name_cannot_join_a_group(layer):
    with pytest.raises(TypeError):
        Group("all").add("a b")


def test_the_alias_names_the_layer(layer):
    other = type(layer)()
    old = channel_layers.set("other", ChannelLayerWrapper(other, "other", []))
    try:
        Channel("news", alias="other").send({"n": 1})
        Group("all", "other").send({"n": 2})
    finally:
        channel_layers.set("other", old)
    assert other.on("news") == [{"n": 1}]
    assert other.sent_to_groups == [("all", {"n": 2})]
    assert layer.on("news") == []


def test_a_layer_that_is_given_wins_over_the_alias(layer):
    mine = ChannelLayerWrapper(type(layer)(), "mine", [])
    Channel("news", alias="nowhere", channel_layer=mine).send({"n": 1})
    assert mine.channel_layer.on("news") == [{"n": 1}]


def test_texts_show_the_name(layer):
    assert (str(Channel("news")), repr(Channel("news"))) == ("news", "<Channel 'news'>")
    assert (str(Group("all")), repr(Group("all"))) == ("all", "<Group 'all'>")
