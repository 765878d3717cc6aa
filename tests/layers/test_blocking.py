"""The face for threads: what it refuses, copies, waits for and reports."""

from __future__ import annotations

import threading

import pytest
from zope.interface.verify import verifyObject

from txchannels.errors import ChannelClosed, ChannelFull, MessageTooLarge
from txchannels.layers.blocking import HubBlocking
from txchannels.layers.interfaces import IBlockingLayer

GUARD_SECONDS = 30


@pytest.fixture
def layer(make_layer):
    return make_layer().blocking


def test_it_is_what_the_interface_says(layer):
    assert verifyObject(IBlockingLayer, layer)
    assert {"groups", "flush", "statistics"} == set(layer.extensions)
    assert layer.ChannelFull is ChannelFull
    assert layer.MessageTooLarge is MessageTooLarge
    assert layer.group_expiry == 86_400


def test_a_message_may_be_changed_after_it_was_sent(layer):
    message = {"list": [1]}
    layer.send("chat", message)
    layer.group_add("room", "chat")
    layer.send_group("room", message)
    message["list"].append(2)
    for _ in range(2):
        assert layer.receive(["chat"]) == ("chat", {"list": [1]})


def test_bad_messages_and_names_are_refused_and_not_booked(layer, hub):
    for channel, message in (("chat", []), ("chat", {"a": object()}), ("ch at", {}), (b"chat", {})):
        with pytest.raises(TypeError):
            layer.send(channel, message)
    with pytest.raises(MessageTooLarge):
        layer.send("chat", {"a": b"x" * 2_000_000})
    with pytest.raises(MessageTooLarge):
        layer.send_group("room", {"a": b"x" * 2_000_000})
    for call in (layer.group_add, layer.group_discard):
        with pytest.raises(TypeError):
            call("ro om", "chat")
        with pytest.raises(TypeError):
            call("room", "ch at")
    for call in (layer.group_channels, lambda name: layer.send_group(name, {})):
        with pytest.raises(TypeError):
            call("ro!om")
    assert layer.global_statistics()["messages_count"] == 0


def test_a_full_channel_is_booked_once(layer):
    for _ in range(10):
        layer.send("chat", {})
    with pytest.raises(ChannelFull):
        layer.send("chat", {})
    with pytest.raises(ChannelFull):
        layer.send("chat", {}, wait=0.001)
    assert layer.channel_statistics("chat")["channel_full_count"] == 2


def test_a_wait_that_was_for_nothing_leaves_nothing(make_layer):
    layer = make_layer(capacity=1)
    layer.blocking.send("chat", {})
    with pytest.raises(ChannelFull):
        layer.blocking.send("chat", {}, wait=0.001)
    assert layer.hub._by_name["chat"].waiting_for_room == []


def test_a_send_waits_for_room(make_layer):
    layer = make_layer(capacity=1).blocking
    layer.send("chat", {"n": 0})
    sent = []
    thread = threading.Thread(
        target=lambda: sent.append(layer.send("chat", {"n": 1}, wait=GUARD_SECONDS))
    )
    thread.start()
    assert layer.receive(["chat"], block=True) == ("chat", {"n": 0})
    assert layer.receive(["chat"], block=True, timeout=GUARD_SECONDS) == ("chat", {"n": 1})
    thread.join(GUARD_SECONDS)
    assert sent == [True]


def test_a_send_to_a_paused_socket_waits_and_hears_that_it_has_gone(make_layer):
    hub = make_layer().hub
    inbox = hub.open_inbox("sockets!", lambda batch: None, lambda call: None)
    channel = inbox.open("a")
    inbox.pause(channel)
    waits = threading.Event()
    when_room = hub.when_room

    def tell_that_it_waits(*arguments):
        when_room(*arguments)
        waits.set()

    hub.when_room = tell_that_it_waits
    layer = HubBlocking(hub)
    sent = []
    thread = threading.Thread(
        target=lambda: sent.append(layer.send(channel, {}, wait=GUARD_SECONDS))
    )
    thread.start()
    assert waits.wait(GUARD_SECONDS)
    inbox.close(channel)
    thread.join(GUARD_SECONDS)
    assert sent == [False]


def test_a_batch_goes_out_in_order_and_what_fails_harms_nothing_else(make_layer):
    layer = make_layer(capacity=2)
    inbox = layer.hub.open_inbox("sockets!", lambda batch: None, lambda call: None)
    inbox.close(inbox.open("a"))
    layer.blocking.group_add("room", "chat")
    sends = [
        ("channel", "chat", {"n": 0}),
        ("channel", "sockets!a", {"n": 1}),
        ("group", "room", {"n": 2}),
        ("channel", "chat", {"n": 3}),
        ("channel", "other", {"n": 4}),
        ("group", "room", {"n": 5}),
    ]
    failed = layer.blocking.send_many(sends, wait=0.01)
    assert [(send, type(error)) for send, error in failed] == [
        (sends[1], ChannelClosed),
        (sends[3], ChannelFull),
    ]
    assert layer.hub.take(["chat"])[1]["n"] == 0
    assert layer.hub.take(["chat"])[1]["n"] == 2
    assert layer.hub.take(["other"])[1] == {"n": 4}
    books = layer.hub.accounts()
    assert (books["chat"].sent, books["chat"].dropped["full"], books["chat"].pending) == (4, 2, 0)


def test_a_batch_is_not_copied(make_layer):
    layer = make_layer()
    message = {"n": 0}
    assert layer.blocking.send_many([("channel", "chat", message)]) == []
    assert layer.hub.take(["chat"])[1] is message


def test_receiving_finds_nothing_or_waits(layer):
    assert layer.receive(["chat"]) == (None, None)
    assert layer.receive(["chat"], block=True, timeout=0) == (None, None)
    assert layer.receive(["chat"], block=True, timeout=-1) == (None, None)
    assert layer.receive(["chat"], block=True, timeout=0.01) == (None, None)
    layer.send("chat", {"n": 0})
    assert layer.receive(["other", "chat"], block=True) == ("chat", {"n": 0})


@pytest.mark.parametrize("channels", ["chat", [], ["sockets!a"], [3]])
def test_what_cannot_be_received_from_is_refused(layer, channels):
    with pytest.raises(TypeError):
        layer.receive(channels)


def test_a_receiver_that_gives_up_loses_nothing(make_layer):
    """Receivers with hardly any patience, a sender: every message is received once."""
    layer = make_layer(capacity=2000).blocking
    count, received, lock = 1000, [], threading.Lock()

    def receive():
        while len(received) < count:
            _, message = layer.receive(["chat"], block=True, timeout=0.0001)
            if message is not None:
                with lock:
                    received.append(message["n"])

    threads = [threading.Thread(target=receive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(count):
        layer.send("chat", {"n": n}, wait=GUARD_SECONDS)
    for thread in threads:
        thread.join(GUARD_SECONDS)
    assert sorted(received) == list(range(count))
