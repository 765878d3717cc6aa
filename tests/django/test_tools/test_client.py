"""`Client`: messages are sent, consumed and read in the test's own thread."""

from __future__ import annotations

import functools
import threading

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from txchannels.django import Channel, Group, channel_layers, route
from txchannels.django.asgi import ChannelLayerWrapper
from txchannels.django.exceptions import ConsumeLater, DenyConnection
from txchannels.django.handler import ViewConsumer
from txchannels.django.message import pending_message_store
from txchannels.django.sessions import channel_session
from txchannels.django.signals import consumer_finished, consumer_started
from txchannels.django.test import Client, apply_routes
from txchannels.django.test.layers import layers_for_tests
from txchannels.errors import ChannelFull
from txchannels.layers.memory import MemoryLayer


@pytest.fixture(autouse=True)
def layers():
    with layers_for_tests() as layers:
        yield layers


def reply(message, **kwargs):
    message.reply_channel.send({"text": message.content.get("text", ""), **kwargs})
    return "returned"


def fail(message):
    message.reply_channel.send({"text": "before"})
    raise ValueError("not today")


def test_a_message_goes_to_its_consumer_and_the_reply_comes_back():
    client = Client()
    with apply_routes([route("jobs", reply)]):
        client.send("jobs", {"text": "a"})
        assert client.consume("jobs") == "returned"
    assert client.receive() == {"text": "a"}
    assert client.receive() is None


def test_send_and_consume_is_both():
    with apply_routes(route("jobs", reply)):
        client = Client()
        assert client.send_and_consume("jobs", {"text": "b"}) == "returned"
        assert client.receive() == {"text": "b"}


def test_named_groups_of_the_route_are_arguments():
    client = Client()
    with apply_routes(route("jobs", reply, path=r"^/(?P<room>\w+)/$")):
        client.send_and_consume("jobs", {"path": "/lobby/"})
    assert client.receive() == {"text": "", "room": "lobby"}


def test_the_sent_content_is_not_changed():
    content = {"text": "a"}
    Client().send("jobs", content)
    assert content == {"text": "a"}


def test_a_reply_channel_in_the_content_wins():
    client, other = Client(), Client()
    with apply_routes(route("jobs", reply)):
        client.send_and_consume("jobs", {"reply_channel": other.reply_channel})
    assert client.receive() is None
    assert other.receive() == {"text": ""}


def test_each_client_has_a_reply_channel_such_as_the_daemon_makes():
    one, other = Client(), Client()
    assert one.reply_channel != other.reply_channel
    assert "!" in one.reply_channel


def test_a_client_reads_only_its_own_messages_in_order():
    client = Client()
    neighbour = client.reply_channel + "x"  # of the same process, for the layer
    for name, text in [
        (neighbour, "1"),
        (client.reply_channel, "2"),
        (neighbour, "3"),
        (client.reply_channel, "4"),
    ]:
        Channel(name).send({"text": text})
    assert client.receive() == {"text": "2"}
    assert [client.get_next_message(neighbour)["text"] for _ in range(2)] == ["1", "3"]
    assert client.receive() == {"text": "4"}


# What is missing


def test_no_message_fails_and_says_where_there_are_some():
    client = Client()
    client.send("jobs", {})
    with pytest.raises(AssertionError, match=r"no message on 'job'; messages wait on: jobs"):
        client.consume("job")


def test_no_message_at_all_says_so():
    with pytest.raises(AssertionError, match="none waits on any other"):
        Client().consume("jobs")


def test_no_route_fails_and_shows_the_message():
    client = Client()
    with (
        apply_routes(route("jobs", reply, path="^/a/")),
        pytest.raises(AssertionError, match=r"'default' matches the message on 'jobs'.*'/b/'"),
    ):
        client.send_and_consume("jobs", {"path": "/b/"})


@pytest.mark.parametrize(
    ("routing", "told"),
    [
        ({"websocket.receive": "^/chat/$"}, "socket and ignores its frames: see routing)"),
        ({"websocket.connect": "^/chat/$"}, "socket and ignores its frames: see routing)"),
        ({"websocket.receive": "^/$"}, "(a daemon accepts such a socket: see routing)"),
    ],
)
def test_a_socket_that_a_daemon_accepts_by_itself_is_told(routing, told):
    routes = [route(channel, reply, path=path) for channel, path in routing.items()]
    with apply_routes(routes), pytest.raises(AssertionError, match="No route") as failed:
        Client().send_and_consume("websocket.connect", {"path": "/"})
    assert str(failed.value).endswith(told)


@pytest.mark.parametrize("channel", ["websocket.connect", "jobs"])
def test_nothing_is_told_of_what_a_daemon_does_not_accept(channel):
    with (
        apply_routes(route("jobs", reply, path="^/a/$")),
        pytest.raises(AssertionError, match="No route") as failed,
    ):
        Client().send_and_consume(channel, {"path": "/"})
    assert "daemon" not in str(failed.value)


def test_fail_on_none_allows_both():
    client = Client()
    with apply_routes([]):
        assert client.consume("jobs", fail_on_none=False) is None
        assert client.send_and_consume("jobs", {}, fail_on_none=False) is None


def test_the_default_routes_are_not_there():
    with apply_routes([]), pytest.raises(AssertionError, match="No route"):
        Client().send_and_consume("websocket.connect", {"path": "/"})


# What consumers do


def test_the_consumer_runs_in_the_tests_own_thread():
    threads = []
    with apply_routes(route("jobs", lambda message: threads.append(threading.current_thread()))):
        Client().send_and_consume("jobs")
    assert threads == [threading.current_thread()]


def test_what_it_raises_reaches_the_test_and_what_it_sent_is_sent():
    client = Client()
    with apply_routes(route("jobs", fail)), pytest.raises(ValueError, match="not today"):
        client.send_and_consume("jobs")
    assert client.receive() == {"text": "before"}
    assert not pending_message_store.active


@pytest.mark.parametrize("raised", [ConsumeLater, SystemExit, KeyboardInterrupt])
def test_nothing_that_it_raises_is_swallowed(raised):
    def consumer(message):
        raise raised

    with apply_routes(route("jobs", consumer)), pytest.raises(raised):
        Client().send_and_consume("jobs")
    assert not pending_message_store.active


def test_a_denied_connection_is_closed():
    def deny(message):
        raise DenyConnection

    client = Client()
    with apply_routes(route("websocket.connect", deny)):
        client.send_and_consume("websocket.connect")
    assert client.receive() == {"close": True}


def test_a_denial_elsewhere_is_an_error_and_leaves_nothing_behind():
    def deny(message):
        raise DenyConnection

    with apply_routes(route("jobs", deny)), pytest.raises(ValueError, match="DenyConnection"):
        Client().send_and_consume("jobs")
    assert not pending_message_store.active


def test_sends_wait_for_the_consumers_end():
    seen = []

    def consumer(message):
        message.reply_channel.send({"text": "a"})
        seen.append(client.receive())

    client = Client()
    with apply_routes(route("jobs", consumer)):
        client.send_and_consume("jobs")
    assert seen == [None]
    assert client.receive() == {"text": "a"}


def test_a_consumer_can_send_to_another_which_is_run_when_asked_for():
    def begin(message):
        Channel("more").send({"reply_channel": message.reply_channel.name, "text": "b"})

    client = Client()
    with apply_routes([route("jobs", begin), route("more", reply)]):
        client.send_and_consume("jobs")
        assert client.receive() is None
        client.consume("more")
    assert client.receive() == {"text": "b"}


def test_a_consumer_cannot_consume():
    client = Client()

    def consumer(message):
        client.send_and_consume("jobs")

    with apply_routes(route("jobs", consumer)), pytest.raises(RuntimeError, match="is running"):
        client.send_and_consume("jobs")


def test_a_full_channel_is_an_error_at_once(settings_layer):
    settings_layer(capacity=2)

    def consumer(message):
        for _ in range(3):
            Channel("full").send({})

    with apply_routes(route("jobs", consumer)), pytest.raises(ChannelFull, match="full"):
        Client().send_and_consume("jobs")


@pytest.fixture
def settings_layer(monkeypatch):
    """Makes test layers whose TEST_CONFIG is what it is given."""
    from django.conf import settings

    contexts = []

    def use(**config):
        entry = {"BACKEND": "txchannels.layers.memory.MemoryLayer", "TEST_CONFIG": config}
        monkeypatch.setattr(settings, "CHANNEL_LAYERS", {"default": entry}, raising=False)
        contexts.append(layers_for_tests())
        contexts[-1].__enter__()

    yield use
    for context in contexts:
        context.__exit__(None, None, None)


# Around them


def test_signals_are_sent_and_close_no_connection(monkeypatch):
    sent = []

    def record(sender, signal, **more):
        sent.append(signal)

    for signal in (consumer_started, consumer_finished):
        signal.connect(record)
    closing = {}

    def look(message):
        for signal in (consumer_started, consumer_finished, request_started, request_finished):
            live = signal._live_receivers(None)
            receivers = live[0] if isinstance(live, tuple) else live
            closing[signal] = close_old_connections in receivers

    with apply_routes(route("jobs", look)):
        Client().send_and_consume("jobs")
    for signal in (consumer_started, consumer_finished):
        signal.disconnect(record)
    assert sent == [consumer_started, consumer_finished]
    assert len(closing) == 4
    assert not any(closing.values())


def test_the_receivers_that_close_connections_are_back_afterwards():
    before = [len(signal.receivers) for signal in (consumer_started, consumer_finished)]
    djangos = [len(signal.receivers) for signal in (request_started, request_finished)]
    with apply_routes(route("jobs", fail)), pytest.raises(ValueError, match="today"):
        Client().send_and_consume("jobs")
    assert [len(signal.receivers) for signal in (consumer_started, consumer_finished)] == before
    assert [len(signal.receivers) for signal in (request_started, request_finished)] == djangos


def test_a_receiver_that_the_site_has_disconnected_stays_so():
    from txchannels.django.signals import CLOSE_AFTER

    assert consumer_finished.disconnect(dispatch_uid=CLOSE_AFTER)
    try:
        with apply_routes(route("jobs", reply)):
            Client().send_and_consume("jobs")
        assert not consumer_finished.disconnect(dispatch_uid=CLOSE_AFTER)
    finally:
        consumer_finished.connect(close_old_connections, dispatch_uid=CLOSE_AFTER)


# Groups, layers, routes, sessions


def test_a_client_can_join_a_group():
    client = Client()
    client.join_group("room")
    Group("room").send({"text": "all"})
    assert client.receive() == {"text": "all"}


def test_the_consumer_of_a_channel_is_found_without_a_message():
    with apply_routes([route("jobs", reply), route("other", fail, path="^/a/")]):
        assert Client().get_consumer_by_channel("jobs") is reply
        assert Client().get_consumer_by_channel("other") is None
        assert Client().get_consumer_by_channel("unknown") is None


def test_a_message_can_be_taken_without_its_consumer():
    client = Client()
    client.send("jobs", {"text": "a"})
    message = client.get_next_message("jobs")
    assert message["text"] == "a"
    assert message.channel.name == "jobs"
    assert message.reply_channel.name == client.reply_channel
    assert client.get_next_message("jobs") is None


def test_a_client_uses_the_layer_that_stands_there_now():
    client = Client()
    with layers_for_tests() as layers:
        assert client.channel_layer is layers["default"] is channel_layers["default"]
        client.send("jobs", {})
    assert client.get_next_message("jobs") is None


def test_a_view_runs_as_a_consumer():
    client = Client()
    request = {
        "method": "GET",
        "path": "/missing/",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [[b"host", b"example.com"]],
    }
    from django.test import override_settings

    with (
        override_settings(ROOT_URLCONF="tests.webapp.urls"),
        apply_routes(route("http.request", ViewConsumer())),
    ):
        client.send_and_consume("http.request", request)
    assert client.receive()["status"] == 404


def test_the_channel_session_can_be_looked_at(database):
    @channel_session
    def count(message):
        message.channel_session["count"] = message.channel_session.get("count", 0) + 1

    client = Client()
    with apply_routes(route("jobs", count)):
        client.send_and_consume("jobs")
        client.send_and_consume("jobs")
    assert client.channel_session["count"] == 2


def test_a_lost_send_fails_the_test_on_a_layer_of_its_own_too(layers):
    """One that the test itself has put in place, and that only logs what it loses."""
    lossy = ChannelLayerWrapper(MemoryLayer(channel_capacity={"news": 1}), "default", [])
    lossy.send_many = functools.partial(_without_waiting, lossy.blocking.send_many)

    def send_two(message):
        Channel("news").send({})
        Channel("news").send({})

    before = channel_layers.set("default", lossy)
    try:
        with apply_routes(route("jobs", send_two)), pytest.raises(ChannelFull, match="news"):
            Client().send_and_consume("jobs")
    finally:
        channel_layers.set("default", before)


def _without_waiting(send_many, sends, *, wait):
    return send_many(sends)
