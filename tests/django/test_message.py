from __future__ import annotations

import logging
import threading

from txchannels.django.asgi import ChannelLayerWrapper
from txchannels.django.channel import Channel
from txchannels.django.message import pending_message_store


def test_a_message_reads_like_its_content(make_message):
    message = make_message(text="x", order=3)
    assert message["text"] == "x"
    assert "order" in message
    assert "code" not in message
    assert message.get("code", 7) == 7
    assert set(message) == set(message.keys()) == {"text", "order", "reply_channel"}
    assert ("order", 3) in message.items()
    assert 3 in message.values()
    message["order"] = 4
    assert message.content["order"] == 4


def test_a_message_knows_its_channels(make_message):
    message = make_message()
    assert message.channel.name == "websocket.receive"
    assert message.reply_channel.name == "sockets!a"
    assert make_message(reply_channel=None).reply_channel is None


def test_a_reply_goes_to_the_layer_the_message_came_from(make_message, layer):
    message = make_message()
    message.channel_layer = ChannelLayerWrapper(type(layer)(), "mine", [])
    message.reply_channel.send({"text": "x"})
    assert message.channel_layer.on("sockets!a") == [{"text": "x"}]


def test_a_copy_shares_nothing(make_message):
    message = make_message(list=[1])
    message.copy()["list"].append(2)
    assert message["list"] == [1]


def test_a_full_channel_costs_only_its_own_message(layer, consumer_runs, caplog):
    layer.full.add("full")
    Channel("full").send({"n": 1})
    Channel("news").send({"n": 2})
    with caplog.at_level(logging.ERROR, logger="django.channels"):
        pending_message_store.send_all()
    assert layer.on("news") == [{"n": 2}]
    assert "full" in caplog.text


def test_each_layer_gets_one_batch(layer, consumer_runs):
    other = ChannelLayerWrapper(type(layer)(), "other", [])
    for n in range(2):
        Channel("news").send({"n": n})
        Channel("news", channel_layer=other).send({"n": n})
    pending_message_store.send_all()
    assert [len(batch) for batch in layer.batches] == [2]
    assert [len(batch) for batch in other.batches] == [2]


def test_a_consumer_holds_back_only_the_sends_of_its_own_thread(layer, consumer_runs):
    thread = threading.Thread(target=lambda: Channel("news").send({"n": 1}))
    thread.start()
    thread.join()
    assert layer.on("news") == [{"n": 1}]
