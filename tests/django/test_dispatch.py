"""One message, one consumer: whatever that does is bounded to it, and told."""

from __future__ import annotations

import logging

import pytest
from django.db import connection
from django.urls import get_script_prefix, set_script_prefix

from txchannels.django import dispatch as dispatch_module
from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.channel import Channel, Group
from txchannels.django.dispatch import Dispatcher
from txchannels.django.exceptions import ChannelSocketException, ConsumeLater, DenyConnection
from txchannels.django.message import pending_message_store
from txchannels.django.routing import Router, route
from txchannels.django.signals import consumer_finished, consumer_started

REPLY = "sockets!a"


@pytest.fixture
def run(layer, caplog, monkeypatch):
    """Dispatches one message to a consumer; keyword arguments are its fields."""
    monkeypatch.setattr(dispatch_module, "RETRY_SECONDS", 0)
    caplog.set_level(logging.WARNING, logger="django.channels")

    def run(consumer, channel="websocket.receive", reply_channel=REPLY, retries=10, **fields):
        content = {**fields, **({"reply_channel": reply_channel} if reply_channel else {})}
        routing = [route(channel, consumer)] if consumer else []
        Dispatcher(channel_layers["default"], Router(routing), retries)(channel, content)
        assert not pending_message_store.active

    return run


@pytest.fixture
def signals():
    """The names of the signals that were sent."""
    sent = []

    def started(sender, environ, **_):
        assert environ == {}
        sent.append(("started", sender))

    def finished(sender, **_):
        sent.append(("finished", sender))

    consumer_started.connect(started)
    consumer_finished.connect(finished)
    yield sent
    consumer_started.disconnect(started)
    consumer_finished.disconnect(finished)


def fail(message):
    raise ValueError("not today")


# Sends


def test_sends_go_out_together_when_the_consumer_ends_and_consumed_is_the_last(run, layer):
    def consumer(message):
        message.reply_channel.send({"text": "1"})
        Group("room").send({"text": "2"})
        Channel("news").send({"text": "3"})
        assert layer.batches == []

    run(consumer, order=4)
    assert layer.batches == [
        [
            ("channel", REPLY, {"text": "1"}),
            ("group", "room", {"text": "2"}),
            ("channel", "news", {"text": "3"}),
            ("channel", REPLY, {"consumed": 4}),
        ]
    ]


def test_what_is_sent_immediately_goes_out_at_once(run, layer):
    def consumer(message):
        message.reply_channel.send({"text": "1"})
        message.reply_channel.send({"text": "2"}, immediately=True)
        assert layer.on(REPLY) == [{"text": "2"}]

    run(consumer, order=0)
    assert layer.on(REPLY) == [{"text": "2"}, {"text": "1"}, {"consumed": 0}]


def test_a_message_without_an_order_or_a_reply_channel_is_not_confirmed(run, layer):
    run(lambda message: None)
    run(lambda message: None, reply_channel=None, order=3)
    assert layer.on(REPLY) == []


def test_a_consumer_may_change_its_message(run, layer):
    def consumer(message):
        message.content.clear()

    run(consumer, order=5)
    assert layer.on(REPLY) == [{"consumed": 5}]


def test_sends_of_a_consumer_that_fails_go_out_too(run, layer):
    def consumer(message):
        message.reply_channel.send({"text": "1"})
        fail(message)

    run(consumer, order=1)
    assert layer.on(REPLY) == [{"text": "1"}, {"consumed": 1}]


def test_a_layer_that_fails_harms_neither_the_others_nor_the_thread(run, layer, caplog):
    class Broken(type(layer)):
        def send_many(self, sends, *, wait=0.0):
            raise OSError("gone")

    other = ChannelLayerWrapper(Broken(), "other", [])

    def consumer(message):
        Channel("news", channel_layer=other).send({})

    run(consumer, order=1)
    assert layer.on(REPLY) == [{"consumed": 1}]
    [record] = caplog.records
    assert "1 queued messages" in record.getMessage()
    assert record.exc_info


# Failures


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_a_consumer_raises_is_logged_once_with_all_that_helps(run, layer, caplog, error):
    def consumer(message):
        raise error("not today")

    run(consumer, order=2)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    text = record.getMessage()
    for part in (consumer.__qualname__, "websocket.receive", REPLY):
        assert part in text
    assert record.exc_info[0] is error
    assert record.exc_info[2] is not None
    assert layer.on(REPLY) == [{"consumed": 2}]


@pytest.mark.parametrize("channel", ["http.request", "websocket.connect", "websocket.disconnect"])
def test_the_path_of_a_failure_is_logged_cut_and_escaped(run, caplog, channel):
    def consumer(message):
        message.content.clear()
        fail(message)

    run(consumer, channel, path="/caf\u00e9/\u202e\n/")
    run(consumer, channel, path="/" + 1000 * "x")
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith(f"reply channel {REPLY}, path '/caf\u00e9/\\u202e\\n/':")
    assert second.endswith(f"path '/{198 * 'x'}:")


@pytest.mark.parametrize(
    ("channel", "fields"),
    [("news", {"path": "/a/"}), ("http.request", {}), ("websocket.connect", {"path": 5})],
)
def test_a_failure_without_a_path_names_none(run, caplog, channel, fields):
    run(fail, channel, **fields)
    [record] = caplog.records
    assert record.getMessage().endswith(f"on {channel}, reply channel {REPLY}:")


def test_a_request_whose_consumer_fails_is_answered_500(run, layer):
    run(fail, "http.request")
    [answer] = layer.on(REPLY)
    assert answer["status"] == 500
    assert answer["more_content"] is False


def test_a_handshake_whose_consumer_fails_is_rejected(run, layer):
    run(fail, "websocket.connect", order=0)
    assert layer.on(REPLY) == [{"accept": False}, {"consumed": 0}]


def test_a_handshake_whose_consumer_fails_after_it_has_accepted_is_rejected(run, layer):
    def consumer(message):
        message.reply_channel.send({"accept": True})
        Channel("news").send({"somebody": "tried"})
        raise ValueError("not today")

    run(consumer, "websocket.connect", order=0)
    assert layer.on(REPLY) == [{"accept": False}, {"accept": True}, {"consumed": 0}]
    assert layer.on("news") == [{"somebody": "tried"}]


def test_a_failure_where_nobody_waits_for_an_answer_is_only_logged(run, layer, caplog):
    run(fail, "http.request", reply_channel=None)
    run(fail, "news", reply_channel=None)
    assert layer.batches == []
    assert len(caplog.records) == 2


def test_a_message_that_no_route_takes_is_logged_and_consumed(run, layer, caplog, signals):
    run(None, order=3)
    [record] = caplog.records
    assert "Could not find match for message on websocket.receive" in record.getMessage()
    assert layer.on(REPLY) == [{"consumed": 3}]
    assert signals == []


def test_a_route_that_fails_is_logged_and_answered(layer, caplog):
    class Route:
        def channel_names(self):
            return {"websocket.connect"}

        match = staticmethod(fail)

    router = Router([Route()])
    Dispatcher(channel_layers["default"], router)(
        "websocket.connect", {"reply_channel": REPLY, "order": 0}
    )
    [record] = caplog.records
    assert "its route failed" in record.getMessage()
    assert layer.on(REPLY) == [{"accept": False}, {"consumed": 0}]


# What consumers raise to say something


def test_a_denied_connection_is_closed(run, layer, caplog):
    def consumer(message):
        raise DenyConnection

    run(consumer, "websocket.connect", order=0)
    assert layer.on(REPLY) == [{"close": True}, {"consumed": 0}]
    assert caplog.records == []


def test_denying_elsewhere_is_an_error_of_that_consumer(run, layer, caplog):
    def consumer(message):
        raise DenyConnection

    run(consumer, order=1)
    assert layer.on(REPLY) == [{"consumed": 1}]
    assert caplog.records[0].exc_info[0] is ValueError


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_socket_exception_whose_run_fails_is_logged_once_and_answered(run, layer, caplog, error):
    class Failing(ChannelSocketException):
        def run(self, message):
            raise error("no")

    def consumer(message):
        raise Failing

    run(consumer, "websocket.connect", order=0)
    [record] = caplog.records
    assert record.exc_info[0] is error
    assert layer.on(REPLY) == [{"accept": False}, {"consumed": 0}]


def later(message):
    raise ConsumeLater


def test_a_message_for_later_is_put_back_and_not_consumed(run, layer):
    run(later, order=1, text="x")
    assert layer.on(REPLY) == []
    assert layer.on("websocket.receive") == [
        {"order": 1, "text": "x", "reply_channel": REPLY, "__retries__": 1}
    ]


def test_a_consumer_knows_its_last_chance(run):
    doomed = []

    def consumer(message):
        doomed.append(message.__doomed__)

    run(consumer, retries=2)
    run(consumer, retries=2, __retries__=1)
    run(consumer, retries=2, __retries__=2)
    run(consumer, retries=0)
    assert doomed == [False, False, True, True]


def test_a_message_that_was_put_back_too_often_is_given_up_and_consumed(run, layer, caplog):
    run(later, retries=2, __retries__=2, order=1)
    assert layer.on("websocket.receive") == []
    assert layer.on(REPLY) == [{"consumed": 1}]
    [record] = caplog.records
    assert "Exceeded number of retries" in record.getMessage()


def test_a_message_that_cannot_be_put_back_is_consumed(run, layer, caplog):
    layer.full.add("websocket.receive")
    run(later, order=1)
    assert layer.on(REPLY) == [{"consumed": 1}]
    [record] = caplog.records
    assert "Could not put back" in record.getMessage()


def test_a_message_that_was_spoilt_before_it_is_put_back_is_logged(run, layer, caplog, monkeypatch):
    monkeypatch.setattr(
        channel_layers["default"], "send", lambda *given, **named: fail(None), raising=False
    )
    run(later, order=1)
    assert layer.on(REPLY) == [{"consumed": 1}]
    assert caplog.records[0].exc_info[0] is ValueError


# Around a message


def test_signals_are_sent_before_and_after_whatever_happens(run, signals):
    def consumer(message):
        assert signals == [("started", Dispatcher)]
        fail(message)

    run(consumer)
    assert signals == [("started", Dispatcher), ("finished", Dispatcher)]


def test_sends_have_gone_out_when_finished_is_sent(run, layer):
    def finished(sender, **_):
        seen.append(len(layer.on("news")))

    seen = []
    consumer_finished.connect(finished)
    try:
        run(lambda message: Channel("news").send({}))
    finally:
        consumer_finished.disconnect(finished)
    assert seen == [1]


@pytest.mark.parametrize("signal", [consumer_started, consumer_finished])
def test_a_receiver_that_fails_is_logged_once_and_the_message_consumed(run, layer, caplog, signal):
    def receiver(sender, **_):
        raise ValueError("no")

    signal.connect(receiver)
    try:
        run(lambda message: None, order=1)
    finally:
        signal.disconnect(receiver)
    [record] = caplog.records
    assert record.exc_info[0] is ValueError
    assert layer.on(REPLY) == [{"consumed": 1}]


def test_database_connections_are_clean_around_every_message(run, database):
    def consumer(message):
        seen.append(connection.close_at)
        connection.ensure_connection()

    seen = []
    closed = []
    close = connection.close_if_unusable_or_obsolete
    connection.close_if_unusable_or_obsolete = lambda: closed.append(len(seen)) or close()
    try:
        run(consumer)
    finally:
        del connection.close_if_unusable_or_obsolete
    assert closed == [0, 1]


class Databases:
    """Takes the part of `ThreadConnections`."""

    def __init__(self, fails=()):
        self.calls = []
        self.fails = fails

    def before_message(self):
        self.calls.append("before")
        if "before" in self.fails:
            raise ValueError("before")

    def after_message(self):
        self.calls.append("after")
        if "after" in self.fails:
            raise ValueError("after")


@pytest.mark.parametrize("fails", [(), ("before",), ("after",)])
def test_the_threads_connections_are_seen_to_whatever_fails(layer, caplog, fails):
    databases = Databases(fails)

    def consumer(message):
        databases.calls.append("consumer")

    router = Router([route("websocket.receive", consumer)])
    Dispatcher(channel_layers["default"], router, databases=databases)(
        "websocket.receive", {"reply_channel": REPLY, "order": 1}
    )
    middle = [] if "before" in fails else ["consumer"]
    assert databases.calls == ["before", *middle, "after"]
    assert len(caplog.records) == len(fails)
    assert layer.on(REPLY) == [{"consumed": 1}]


# Where the site hangs


def test_reverse_in_a_consumer_knows_where_the_site_hangs(layer):
    seen = []
    routes = Router([route("websocket.receive", lambda message: seen.append(get_script_prefix()))])
    set_script_prefix("/elsewhere")
    try:
        dispatcher = Dispatcher(channel_layers["default"], routes, script_name="/shop")
        dispatcher("websocket.receive", {"reply_channel": REPLY})
    finally:
        set_script_prefix("/")
    assert seen == ["/shop/"]
