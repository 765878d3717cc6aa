from __future__ import annotations

import logging
import threading

from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.channel import Channel
from txchannels.django.message import pending_message_store
from txchannels.errors import ChannelClosed, ChannelFull


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


def test_what_was_lost_is_returned(layer, consumer_runs):
    layer.full.add("full")
    for channel in ("full", "news", "full"):
        Channel(channel).send({})
    errors = pending_message_store.send_all()
    assert [(type(error), str(error)) for error in errors] == [(ChannelFull, "full")] * 2


def test_all_sent_is_no_error(layer, consumer_runs):
    Channel("news").send({})
    assert pending_message_store.send_all() == []


def test_a_client_that_is_gone_is_no_error(layer, consumer_runs, monkeypatch, caplog):
    def is_closed(sends, *, wait):
        return [(send, ChannelClosed(send[1])) for send in sends]

    monkeypatch.setattr(channel_layers["default"], "send_many", is_closed)
    Channel("sockets!a").send({})
    assert pending_message_store.send_all() == []
    assert caplog.text == ""


def test_a_layer_that_fails_costs_only_its_own_messages_and_is_told(
    layer, consumer_runs, monkeypatch, caplog
):
    error = OSError("broken")

    def fail(sends, *, wait):
        raise error

    other = ChannelLayerWrapper(type(layer)(), "other", [])
    monkeypatch.setattr(channel_layers["default"], "send_many", fail)
    Channel("news").send({"n": 1})
    Channel("news", channel_layer=other).send({"n": 2})
    assert pending_message_store.send_all() == [error]
    assert other.on("news") == [{"n": 2}]
    assert "Failed to send 1 queued messages" in caplog.text


def test_what_is_to_follow_the_sends_does_so(layer, consumer_runs):
    seen = []
    pending_message_store.call_afterwards(lambda: seen.append(layer.on("news")))
    Channel("news").send({"n": 1})
    assert seen == []
    pending_message_store.send_all()
    assert seen == [[{"n": 1}]]
    pending_message_store.prepare()
    pending_message_store.send_all()
    assert len(seen) == 1


def test_without_a_consumer_it_follows_at_once(layer):
    seen = []
    pending_message_store.call_afterwards(lambda: seen.append(1))
    assert seen == [1]


def test_what_follows_and_fails_is_told_and_keeps_nothing_else_from_it(
    layer, consumer_runs, caplog
):
    seen = []

    def fail():
        raise ValueError("boom")

    pending_message_store.call_afterwards(fail)
    pending_message_store.call_afterwards(lambda: seen.append(1))
    [error] = pending_message_store.send_all()
    assert isinstance(error, ValueError)
    assert seen == [1]
    assert "boom" in caplog.text


def test_a_consumer_that_never_ended_leaves_nothing_to_the_next(layer, consumer_runs):
    seen = []
    pending_message_store.call_afterwards(lambda: seen.append(1))
    pending_message_store.prepare()
    pending_message_store.send_all()
    assert seen == []


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
