from __future__ import annotations

import random
import threading

import pytest
from django.test import override_settings

from txchannels.django.asgi import ChannelLayerManager, channel_layers
from txchannels.django.channel import Channel
from txchannels.django.dispatch import Dispatcher
from txchannels.django.exceptions import ConsumeLater, WebsocketCloseException
from txchannels.django.message import Message
from txchannels.django.routing import Router, route
from txchannels.django.sessions import (
    enforce_ordering,
    requeue_messages,
    session_for_reply_channel,
    wait_channel_name,
)
from txchannels.errors import ChannelFull, LayerUnavailable

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


def test_what_cannot_be_stored_does_not_stall_its_socket(make_message, layer, caplog):
    @enforce_ordering
    def consumer(message):
        message.channel_session["seen"] = message["order"]
        if message["order"] == 1:
            message.channel_session["lock"] = threading.Lock()

    consumer(make_message(order=0))
    consumer(make_message(order=2))
    with pytest.raises(TypeError):
        consumer(make_message(order=1))
    assert due() == 2
    assert [content["order"] for content in layer.on("websocket.receive")] == [2]
    assert session_for_reply_channel("sockets!a")["seen"] == 0
    assert "What a consumer of websocket.receive has put into its session is lost" in caplog.text
    consumer(make_message(order=2))
    assert due() == 3


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


# What a consumer has sent goes before what the next one sends


@pytest.fixture
def dispatch(layer):
    """Hands a message to a consumer, as the daemon does; fields as of `make_message`."""

    def call(consumer, channel="websocket.receive", **fields):
        router = Router([route(channel, consumer)])
        content = {"reply_channel": "sockets!a", **fields}
        Dispatcher(channel_layers["default"], router)(channel, content)

    return call


def texts(layer):
    return [message["text"] for message in layer.on("sockets!a") if "text" in message]


def connected(dispatch):
    dispatch(enforce_ordering(lambda message: None), "websocket.connect", order=0)


def answer(message):
    message.reply_channel.send({"text": str(message["order"])})


def answer_and_fail(message):
    answer(message)
    raise RuntimeError("too bad")


def answer_and_close(message):
    answer(message)
    raise WebsocketCloseException(4000)


@pytest.mark.parametrize("consumer", [answer, answer_and_fail, answer_and_close])
def test_nothing_is_due_before_all_replies_are_out(dispatch, layer, consumer):
    """A worker that takes the next message at that moment answers after these replies."""
    connected(dispatch)
    dispatch(enforce_ordering(answer), order=2)
    seen = []

    def note(call):
        def noted(*arguments, **more):
            seen.append((due(), len(layer.on("websocket.receive"))))
            return call(*arguments, **more)

        return noted

    wrapper = channel_layers["default"]
    wrapper.send_many = note(wrapper.send_many)
    dispatch(enforce_ordering(consumer), order=1)
    assert seen[0] == (1, 0)
    assert due() == 2
    assert texts(layer) == ["1"]
    assert [content["order"] for content in layer.on("websocket.receive")] == [2]


def test_a_close_goes_before_what_the_next_consumer_sends(dispatch, layer):
    connected(dispatch)
    closes = []
    wrapper = channel_layers["default"]
    send = wrapper.send

    def send_and_look(channel, content, *, wait=0.0):
        if channel == "websocket.receive":
            closes.append([one for one in layer.on("sockets!a") if "close" in one])
        return send(channel, content, wait=wait)

    wrapper.send = send_and_look
    dispatch(enforce_ordering(answer), order=2)
    dispatch(enforce_ordering(answer_and_close), order=1)
    assert closes == [[{"close": 4000}]]


def test_what_was_sent_has_arrived_before_the_next_one_is_due(dispatch, layer):
    """A layer that waits for no answer is asked something: its answers come in order."""
    connected(dispatch)
    asked = []
    receive = layer.receive

    def receive_and_look(channels, *arguments, **more):
        asked.append((channels, due(), texts(layer)))
        return receive(channels, *arguments, **more)

    channel_layers["default"].receive = receive_and_look
    dispatch(enforce_ordering(answer), order=1)
    (first, due_then, sent), (second, due_now, _) = asked
    assert (first != second, due_then, sent) == (True, 1, ["1"])
    assert (second, due_now) == ([WAITING], 2)


def test_the_socket_is_told_when_the_next_one_is_due(dispatch, layer):
    """Told sooner, a daemon hands out a message that has to wait for its turn once more."""
    connected(dispatch)
    told = []
    wrapper = channel_layers["default"]
    send_many = wrapper.send_many

    def send_and_look(sends, *arguments, **more):
        told.extend((message, due()) for _, _, message in sends)
        return send_many(sends, *arguments, **more)

    wrapper.send_many = send_and_look
    dispatch(enforce_ordering(answer), order=1)
    assert told == [({"text": "1"}, 1), ({"consumed": 1}, 2)]


def test_a_message_for_later_leaves_the_next_one_waiting(dispatch, layer):
    def later(message):
        answer(message)
        raise ConsumeLater

    connected(dispatch)
    dispatch(enforce_ordering(answer), order=2)
    dispatch(enforce_ordering(later), order=1)
    assert due() == 1
    assert [content["order"] for content in layer.on("websocket.receive")] == [1]


def test_what_cannot_be_sent_back_denies_no_handshake(dispatch, layer, caplog):
    dispatch(enforce_ordering(answer), order=1)
    layer.full.add("websocket.receive")
    connected(dispatch)
    assert {"accept": False} not in layer.on("sockets!a")
    assert "Cannot put a waiting message back" in caplog.text
    assert due() == 1


def test_what_a_consumer_keeps_in_its_session_is_there_when_the_next_one_is_due(dispatch):
    def count(message):
        message.channel_session["count"] = message.channel_session.get("count", 0) + 1

    connected(dispatch)
    dispatch(enforce_ordering(count), order=1)
    dispatch(enforce_ordering(count), order=2)
    assert session_for_reply_channel("sockets!a")["count"] == 2
    assert due() == 3


def test_a_layer_that_gives_no_answer_stalls_no_socket(dispatch, layer):
    connected(dispatch)
    receive = layer.receive

    def refuse_once(*arguments, **more):
        channel_layers["default"].receive = receive
        raise LayerUnavailable("away")

    channel_layers["default"].receive = refuse_once
    dispatch(enforce_ordering(answer), order=1)
    assert due() == 2
