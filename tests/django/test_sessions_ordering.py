from __future__ import annotations

import random
import threading

import pytest
from django.test import override_settings

from txchannels.django.asgi import ChannelLayerManager
from txchannels.django.channel import Channel
from txchannels.django.exceptions import ConsumeLater
from txchannels.django.message import Message
from txchannels.django.sessions import (
    enforce_ordering,
    requeue_messages,
    session_for_reply_channel,
    wait_channel_name,
)
from txchannels.errors import ChannelFull

pytestmark = pytest.mark.usefixtures("database")

WAITING = "__wait__.sockets?a"


class Seen(list):
    """A consumer that notes the orders it was called with, in order."""

    def __init__(self):
        super().__init__()
        self.ordered = enforce_ordering(lambda message: self.append(message["order"]))


@pytest.fixture
def seen():
    return Seen()


def due(reply_channel="sockets!a"):
    return session_for_reply_channel(reply_channel).get("__channels_next_order", 0)


def test_the_wait_channel_is_a_single_reader_one():
    assert wait_channel_name("sockets!a") == WAITING


def test_messages_in_order_are_handled_at_once(make_message, seen, layer):
    for order in range(3):
        seen.ordered(make_message(order=order))
    assert seen == [0, 1, 2]
    assert layer.on(WAITING) == []


def test_a_message_that_comes_too_early_waits_and_goes_back_when_it_is_due(
    make_message, seen, layer
):
    seen.ordered(make_message(order=0))
    seen.ordered(make_message(order=3, text="three"))
    seen.ordered(make_message("websocket.disconnect", order=2))
    assert seen == [0]
    assert [content["order"] for content in layer.on(WAITING)] == [3, 2]
    seen.ordered(make_message(order=1))
    assert seen == [0, 1]
    assert layer.on(WAITING) == []
    assert layer.on("websocket.receive") == [
        {"order": 3, "text": "three", "reply_channel": "sockets!a"}
    ]
    assert layer.on("websocket.disconnect") == [{"order": 2, "reply_channel": "sockets!a"}]


def test_what_waits_goes_back_in_its_order(make_message, seen, layer):
    for order in (4, 2, 3, 1, 0):
        seen.ordered(make_message(order=order))
    assert [content["order"] for content in layer.on("websocket.receive")] == [1, 2, 3, 4]


def test_sockets_do_not_wait_for_each_other(make_message, seen):
    seen.ordered(make_message(order=0))
    seen.ordered(make_message(order=1, reply_channel="sockets!b"))
    seen.ordered(make_message(order=1))
    assert seen == [0, 1]


def test_without_the_connect_nothing_runs(make_message, seen):
    seen.ordered(make_message(order=1))
    assert seen == []


def test_a_message_that_became_due_while_it_was_put_to_wait_goes_back(make_message, seen, layer):
    seen.ordered(make_message(order=0))
    send = layer.send

    def send_after_the_other_consumer(channel, content, *, wait=0.0):
        if channel == WAITING:
            layer.send = send
            channel_layer.send = send
            seen.ordered(make_message(order=1))
        return send(channel, content)

    message = make_message(order=2)
    channel_layer = message.channel_layer
    channel_layer.send = send_after_the_other_consumer
    seen.ordered(message)
    assert seen == [0, 1]
    assert [content["order"] for content in layer.on("websocket.receive")] == [2]


def test_a_consumer_that_raises_does_not_stall_its_socket(make_message, layer):
    @enforce_ordering
    def consumer(message):
        if message["order"] == 0:
            raise RuntimeError("first")
        return message["order"]

    consumer(make_message(order=2))
    with pytest.raises(RuntimeError, match="first"):
        consumer(make_message(order=0))
    assert due() == 1
    assert consumer(make_message(order=1)) == 1
    assert [content["order"] for content in layer.on("websocket.receive")] == [2]


def test_a_message_for_later_keeps_its_turn(make_message):
    attempts = []

    @enforce_ordering
    def consumer(message):
        attempts.append(message["order"])
        if len(attempts) == 1:
            raise ConsumeLater

    with pytest.raises(ConsumeLater):
        consumer(make_message(order=0))
    assert due() == 0
    consumer(make_message(order=0))
    assert due() == 1


def test_a_message_that_will_not_come_again_gives_its_turn_up(make_message):
    @enforce_ordering
    def consumer(message):
        raise ConsumeLater

    message = make_message(order=0)
    message.__doomed__ = True
    with pytest.raises(ConsumeLater):
        consumer(message)
    assert due() == 1


def test_a_message_that_was_passed_by_is_dropped(make_message, seen, layer, caplog):
    seen.ordered(make_message(order=0))
    seen.ordered(make_message(order=0))
    assert seen == [0]
    assert layer.on(WAITING) == []
    assert "its turn is over" in caplog.text


def test_a_consumer_may_flush_the_session(make_message):
    @enforce_ordering
    def consumer(message):
        message.channel_session.flush()

    consumer(make_message(order=0))
    assert due() == 1
    consumer(make_message("websocket.disconnect", order=1))
    assert due() == 0


def test_a_session_is_not_saved_again_over_the_next_consumers(make_message, monkeypatch):
    @enforce_ordering
    def first(message):
        message.channel_session["n"] = 1

    @enforce_ordering
    def second(message):
        message.channel_session["n"] = 2

    waiting = [make_message(order=1)]

    def run_what_waits(message):
        if waiting:
            second(waiting.pop())

    monkeypatch.setattr("txchannels.django.sessions.ordering.requeue_messages", run_what_waits)
    first(make_message(order=0))
    assert session_for_reply_channel("sockets!a")["n"] == 2
    assert due() == 2


def test_messages_without_an_order_are_refused(make_message, seen):
    with pytest.raises(ValueError, match="'order'"):
        seen.ordered(make_message())


def test_too_many_waiting_is_told(make_message, seen, layer):
    layer.full.add(WAITING)
    with pytest.raises(ChannelFull, match="cannot wait for its turn"):
        seen.ordered(make_message(order=5))


def test_what_finds_its_channel_full_goes_on_waiting(make_message, layer):
    layer.send(WAITING, {"order": 1, "original_channel": "full"})
    layer.send(WAITING, {"order": 2, "original_channel": "free"})
    layer.full.add("full")
    with pytest.raises(ChannelFull, match="Cannot put a waiting message back"):
        requeue_messages(make_message())
    assert layer.on("free") == [{"order": 2}]
    assert layer.on(WAITING) == [{"order": 1, "original_channel": "full"}]


def test_what_can_wait_nowhere_is_lost_alone_and_said_so(make_message, layer, caplog):
    layer.waiting[WAITING].extend(
        [{"order": 1, "original_channel": "full"}, {"order": 2, "original_channel": "free"}]
    )
    layer.full = {"full", WAITING}
    with pytest.raises(ChannelFull):
        requeue_messages(make_message())
    assert layer.on("free") == [{"order": 2}]
    assert "Lost message 1" in caplog.text


def test_it_can_be_written_with_and_without_parentheses(make_message):
    calls = []

    class Consumers:
        @enforce_ordering()
        def method(self, message):
            """What it does."""
            calls.append(message["order"])

    Consumers().method(make_message(order=0))
    assert calls == [0]
    assert Consumers.method.__doc__ == "What it does."


def test_slight_ordering_is_gone():
    with pytest.raises(ValueError, match="slight"):
        enforce_ordering(slight=True)


def test_messages_that_threads_take_in_any_order_are_handled_in_theirs(layer):
    """The memory layer, four workers, and sessions in the cache, which threads share."""
    channel_layer = ChannelLayerManager()["default"]
    orders = list(range(40))
    handled = []

    @enforce_ordering
    def consumer(message):
        handled.append(message["order"])

    def work():
        while len(handled) < len(orders):
            channel, content = channel_layer.receive(["websocket.receive"], True, 0.05)
            if channel is not None:
                consumer(Message(content, channel, channel_layer))

    with override_settings(CHANNEL_SESSION_ENGINE="django.contrib.sessions.backends.cache"):
        for order in random.Random(1).sample(orders, len(orders)):
            Channel("websocket.receive", channel_layer=channel_layer).send(
                {"reply_channel": "sockets!threads", "order": order}
            )
        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert handled == orders
