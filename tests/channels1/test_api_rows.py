"""Of what Channels 1 promised, what no other test has shown; `rows` says where the rest is."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

import txchannels
from txchannels.django import dispatch, exceptions
from txchannels.django.asgi import ChannelLayerManager, channel_layers
from txchannels.django.dispatch import Dispatcher
from txchannels.django.exceptions import ConsumeLater, DenyConnection, RequestTimeout, ResponseLater
from txchannels.django.handler import AsgiHandler
from txchannels.django.message import pending_message_store
from txchannels.django.routing import Router, route
from txchannels.django.sessions import http_session
from txchannels.django.test import ChannelTestCase, Client, WSClient, apply_routes
from txchannels.django.test.layers import layers_for_tests

REPLY = "sockets!a"


@pytest.fixture
def run(layer, monkeypatch):
    """Dispatches one message of a socket to a consumer."""
    monkeypatch.setattr(dispatch, "RETRY_SECONDS", 0)

    def run(consumer, channel="websocket.receive", found=None, **fields):
        router = Router([route(channel, consumer)])
        dispatcher = Dispatcher(channel_layers["default"], router, consumer_found=found)
        dispatcher(channel, {"reply_channel": REPLY, "order": 1, **fields})
        assert not pending_message_store.active

    return run


def fail(message):
    raise ValueError("not today")


# 6: names, messages, consumers


def test_the_package_has_its_names_and_version_without_settings():
    bare = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    code = (
        "import txchannels.django as channels, sys; assert 'django.conf' not in sys.modules;"
        "from txchannels.django import Channel, Group, route, route_class, include, "
        "channel_layers, DEFAULT_CHANNEL_LAYER; print(channels.__version__, DEFAULT_CHANNEL_LAYER)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(txchannels.__file__).parents[1],
        env=bare,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == [txchannels.__version__, "default"]


@pytest.mark.parametrize(
    "value", [ConsumeLater, ConsumeLater(), DenyConnection(), {"text": "x"}, 0]
)
def test_what_a_consumer_returns_is_ignored(run, layer, caplog, value):
    run(lambda message: value)
    assert layer.on("websocket.receive") == []
    assert layer.on(REPLY) == [{"consumed": 1}]
    assert caplog.records == []


def test_there_is_no_exception_of_channels_2():
    assert not hasattr(exceptions, "StopConsumer")


def test_a_layer_without_a_routing_has_no_routes_of_its_own():
    entry = {"BACKEND": "txchannels.layers.memory.MemoryLayer"}
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        assert ChannelLayerManager()["default"].router.channels == set()


# 7: the worker


def test_a_message_of_which_nothing_is_left_is_answered_and_confirmed(run, layer, caplog):
    def spoil(message):
        message.content.clear()
        message.content = message.channel_name = message.channel_layer = None
        raise ValueError("spoilt")

    for channel, answer in (
        ("websocket.connect", {"accept": False}),
        ("http.request", {"status": 500}),
        ("websocket.receive", None),
    ):
        run(spoil, channel)
        *answers, confirmed = layer.on(REPLY)
        assert confirmed == {"consumed": 1}
        assert [one.items() >= answer.items() for one in answers] == [True] * bool(answer)
        layer.waiting.clear()
    assert len(caplog.records) == 3
    assert {record.args[1:] for record in caplog.records} == {
        (channel, REPLY) for channel in ("websocket.connect", "http.request", "websocket.receive")
    }


class Refusing(logging.Handler):
    """A site's handler of log records that cannot handle tracebacks."""

    def __init__(self, error: type[BaseException], *, always: bool) -> None:
        super().__init__()
        self.error = error
        self.is_always = always

    def emit(self, record):
        if self.is_always or record.exc_info:
            raise self.error("the log is full")


@pytest.mark.parametrize("error", [RecursionError, SystemExit, ValueError])
@pytest.mark.parametrize("always", [False, True])
def test_a_log_handler_that_fails_costs_the_traceback_alone(run, layer, caplog, error, always):
    logger = logging.getLogger("django.channels")
    handler = Refusing(error, always=always)
    logger.addHandler(handler)
    try:
        run(fail, "websocket.connect")
    finally:
        logger.removeHandler(handler)
    assert layer.on(REPLY) == [{"accept": False}, {"consumed": 1}]
    if not always:
        last = caplog.records[-1].getMessage()
        assert "test_api_rows.fail on websocket.connect" in last
        assert f"ValueError (to log its traceback failed: {error.__name__})" in last


def test_what_is_to_follow_the_sends_may_fail(run, layer, caplog):
    def consumer(message):
        def exit_afterwards():
            raise SystemExit(5)

        message.reply_channel.send({"text": "a"})
        pending_message_store.call_afterwards(exit_afterwards)

    run(consumer)
    assert layer.on(REPLY) == [{"text": "a"}, {"consumed": 1}]
    assert "Error after a message on websocket.receive" in caplog.text


class Nameless:
    """A consumer of which nothing can be learnt."""

    def __call__(self, message):
        raise ValueError("not today")

    def __getattr__(self, name):
        raise ZeroDivisionError(name)


def test_a_consumer_without_a_name_is_one_failure(run, layer, caplog):
    found = []
    run(Nameless(), "websocket.connect", found=found.append)
    assert layer.on(REPLY) == [{"accept": False}, {"consumed": 1}]
    [record] = caplog.records
    assert record.args[0] == "(which has no name)"


def test_failures_are_told_to_the_loggers_of_channels_1(run, caplog):
    run(fail)
    assert {record.name for record in caplog.records} == {"django.channels"}
    assert dispatch.logger.name == "django.channels"
    assert inspect.getmodule(AsgiHandler).logger.name == "django.request"


# 8: sessions


@pytest.mark.usefixtures("database")
def test_a_browsers_session_need_not_exist(make_message):
    """What a cookie says is not looked up before it is needed."""
    message = make_message(
        "websocket.connect", path="/", headers=[[b"cookie", b"sessionid=" + b"x" * 32]]
    )
    assert http_session(lambda message: dict(message.http_session.items()))(message) == {}


# 9: views


urlpatterns = [
    path("later/", lambda request: fail_with(ResponseLater)),
    path("slow/", lambda request: fail_with(RequestTimeout)),
]
asked: list[str] = []


def fail_with(error):
    raise error


class Curious:
    """Middleware that is asked about exceptions."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        asked.append(type(exception).__name__)
        return HttpResponse("mended")


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.Curious"])
@pytest.mark.parametrize(("where", "statuses"), [("/later/", []), ("/slow/", [408])])
def test_middleware_is_not_asked_about_what_concerns_the_client(make_message, where, statuses):
    asked.clear()
    message = make_message("http.request", path=where, method="GET")
    assert [answer["status"] for answer in AsgiHandler()(message)] == statuses
    assert asked == []


def test_the_size_of_pieces_is_the_handlers(make_message):
    class Small(AsgiHandler):
        chunk_size = 2

    answers = list(Small.encode_response(HttpResponse("abcde")))
    assert [(one["content"], one["more_content"]) for one in answers] == [
        (b"ab", True),
        (b"cd", True),
        (b"e", False),
    ]
    assert list(Small.chunk_bytes(b"")) == [(b"", True)]


# 13: tools for tests


def answer_all(message, **kwargs):
    message.reply_channel.send({"text": message["text"] + message["path"]})


def test_arguments_of_the_clients_are_in_the_order_of_channels_1():
    with layers_for_tests(), apply_routes(route("websocket.receive", answer_all)):
        socket, client = WSClient(), Client()
        socket.send_and_consume("websocket.receive", {}, "text", "/path", True, False)
        assert socket.receive(json=False) == "text/path"
        assert socket.send_and_consume("nowhere", {}, None, "/", False) is None
        assert client.send_and_consume("nowhere", {}, False) is None
        socket.send("websocket.receive", {}, "text", "/path")
        socket.consume("websocket.receive", True, False)
        assert socket.receive(False) == "text/path"
        client.send("websocket.receive", {"text": "a", "path": "b"})
        client.consume("websocket.receive", True)
        assert client.receive() == {"text": "ab"}


def test_arguments_that_cases_take_by_place():
    parameters = list(inspect.signature(ChannelTestCase.get_next_message).parameters)
    assert parameters == ["self", "channel", "alias", "require"]
