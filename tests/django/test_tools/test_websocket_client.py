"""`WSClient`: a browser's cookies, login, headers and frames."""

from __future__ import annotations

import sys
import warnings

import pytest
from django.contrib.auth import get_user_model
from django.http import parse_cookie
from django.test import override_settings

from txchannels.django import route
from txchannels.django.auth import (
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
)
from txchannels.django.request import AsgiRequest
from txchannels.django.sessions import enforce_ordering, http_session
from txchannels.django.test import HttpClient, WSClient, apply_routes
from txchannels.django.test.layers import layers_for_tests

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def layers():
    with layers_for_tests() as layers:
        yield layers


@pytest.fixture
def alice(database):
    return get_user_model().objects.create_user("alice", password="secret")


def accept(message, **kwargs):
    message.reply_channel.send({"accept": True})


def sent(client, channel="jobs", *args, **kwargs):
    """The content of the message that `send` makes."""
    client.send(channel, *args, **kwargs)
    return client.get_next_message(channel).content


# Cookies and headers


def test_cookies_are_read_by_django_as_they_were_set():
    client = WSClient()
    client.set_cookie("foo", "not-bar")
    client.set_cookie("foo", "bar")
    client.set_cookie("qux", "qu;x")
    assert client.get_cookies() == {"foo": "bar", "qux": "qu;x"}
    assert parse_cookie(client.headers["cookie"].decode()) == client.get_cookies()


def test_headers_are_sent_with_the_connect_and_read_by_a_request():
    client = WSClient()
    client.set_header("Host", "example.com")
    client.set_cookie("foo", "bar")
    client.send("websocket.connect")
    request = AsgiRequest(client.get_next_message("websocket.connect"))
    assert request.META["HTTP_HOST"] == "example.com"
    assert request.COOKIES == {"foo": "bar"}


def test_headers_are_a_copy():
    client = WSClient()
    client.set_header("x-a", "1")
    client.headers["x-a"] = b"2"
    assert client.headers == {"x-a": b"1"}


@pytest.mark.parametrize("name", ["cookie", "Cookie"])
def test_cookies_are_no_header(name):
    with pytest.raises(ValueError, match="set_cookie"):
        WSClient().set_header(name, "a=b")


# The messages


def test_a_connect_has_what_the_daemon_says_of_a_handshake():
    client = WSClient()
    content = sent(client, "websocket.connect", path="/room/?key=a%20b&key=c")
    assert content == {
        "reply_channel": client.reply_channel,
        "scheme": "ws",
        "path": "/room/",
        "query_string": b"key=a%20b&key=c",
        "root_path": "",
        "headers": [],
        "client": ["127.0.0.1", 50_000],
        "server": ["testserver", 80],
        "subprotocols": [],
    }


def test_a_frame_has_neither_headers_nor_query():
    client = WSClient()
    client.set_header("x-a", "1")
    assert sent(client, "websocket.receive", text="hi", path="/room/?a=b") == {
        "reply_channel": client.reply_channel,
        "path": "/room/",
        "text": "hi",
        "bytes": None,
    }


def test_a_binary_frame_has_no_text():
    content = sent(WSClient(), "websocket.receive", {"bytes": b"\0"})
    assert (content["text"], content["bytes"]) == (None, b"\0")


@pytest.mark.parametrize(
    ("text", "encoded"), [({"a": 1}, '{"a": 1}'), ([1], "[1]"), ("a", "a"), (0, "0"), ("", "")]
)
def test_what_is_no_text_is_sent_as_json(text, encoded):
    assert sent(WSClient(), "websocket.receive", text=text)["text"] == encoded


def test_text_is_not_given_twice():
    with pytest.raises(ValueError, match="argument, too"):
        WSClient().send("websocket.receive", {"text": "a"}, text="b")


def test_content_wins_and_is_not_changed():
    content = {"path": "/mine/", "headers": [[b"host", b"a"]]}
    made = sent(WSClient(), "websocket.connect", content, path="/other/")
    assert (made["path"], made["headers"]) == ("/mine/", [[b"host", b"a"]])
    assert content == {"path": "/mine/", "headers": [[b"host", b"a"]]}


def test_an_ordered_client_numbers_its_messages():
    client = WSClient(ordered=True)
    assert [sent(client)["order"] for _ in range(3)] == [0, 1, 2]
    assert client.order == 3
    with pytest.raises(ValueError, match="leave order out"):
        client.send("jobs", {"order": 7})


def test_other_clients_do_not():
    assert "order" not in sent(WSClient())
    assert sent(WSClient(), "jobs", {"order": 7})["order"] == 7


def test_ordered_consumers_run_with_an_ordered_client(database):
    @enforce_ordering
    def receive(message):
        message.reply_channel.send({"text": message["text"]})

    client = WSClient(ordered=True)
    with apply_routes(
        [
            route("websocket.connect", enforce_ordering(accept)),
            route("websocket.receive", receive),
        ]
    ):
        client.send_and_consume("websocket.connect")
        client.send("websocket.receive", text="1")
        client.send_and_consume("websocket.receive", text="2")
        client.consume("websocket.receive")
    assert client.receive() == 1
    assert client.receive() == 2


# Replies


def test_replies_are_decoded():
    client = WSClient()
    for text in ('{"a": 1}', "plain"):
        client.channel_layer.send(client.reply_channel, {"text": text})
    assert client.receive() == {"a": 1}
    assert client.receive(json=False) == "plain"
    assert client.receive() is None


def test_a_reply_without_text_is_all_there_is():
    client = WSClient()
    client.channel_layer.send(client.reply_channel, {"close": 4001})
    assert client.receive() == {"close": 4001}


def test_what_is_no_json_is_shown():
    client = WSClient()
    client.channel_layer.send(client.reply_channel, {"text": "plain"})
    with pytest.raises(ValueError, match=r"'plain' is no JSON.*json=False"):
        client.receive()


# Acceptance


def test_a_connect_must_be_accepted_and_the_acceptance_is_taken():
    client = WSClient()
    with apply_routes(route("websocket.connect", accept)):
        client.send_and_consume("websocket.connect", path="/a/")
    assert client.receive() is None


@pytest.mark.parametrize("answer", [{"close": True}, {"text": "hi"}, {"accept": False}])
def test_another_answer_fails_and_is_shown(answer):
    with (
        apply_routes(
            route("websocket.connect", lambda message: message.reply_channel.send(answer))
        ),
        pytest.raises(AssertionError, match=f"answered {answer!r}"),
    ):
        WSClient().send_and_consume("websocket.connect")


def test_no_answer_fails():
    with (
        apply_routes(route("websocket.connect", lambda message: None)),
        pytest.raises(AssertionError, match="was not answered"),
    ):
        WSClient().send_and_consume("websocket.connect")


def test_check_accept_allows_any_answer():
    client = WSClient()
    with apply_routes(
        route("websocket.connect", lambda message: message.reply_channel.send({"close": True}))
    ):
        client.send_and_consume("websocket.connect", check_accept=False)
    assert client.receive() == {"close": True}


def test_what_comes_with_the_acceptance_can_be_received():
    answer = {"accept": True, "subprotocol": "chat", "text": '"hi"'}
    client = WSClient()
    with apply_routes(
        route("websocket.connect", lambda message: message.reply_channel.send(answer))
    ):
        client.send_and_consume("websocket.connect")
    assert client.receive() == "hi"
    assert client.receive() is None


# Sessions and users


def test_the_browsers_session_is_found_by_consumers(database):
    seen = []

    @http_session
    def look(message):
        seen.append(message.http_session.get("cart"))

    client = WSClient()
    client.session["cart"] = 3
    client.session.save()
    with apply_routes(route("websocket.connect", look)):
        client.send_and_consume("websocket.connect", check_accept=False)
    assert seen == [3]


def test_a_session_needs_its_app(database):
    with (
        override_settings(
            INSTALLED_APPS=[
                "django.contrib.auth",
                "django.contrib.contenttypes",
                "txchannels.django",
            ]
        ),
        pytest.raises(OSError, match=r"django\.contrib\.sessions"),
    ):
        _ = WSClient().session


def who(client, decorate, connect=True):
    """The name that a consumer sees."""
    seen = []

    @decorate
    def look(message):
        seen.append(message.user.username)

    channel = "websocket.connect" if connect else "websocket.receive"
    with apply_routes(route(channel, look)):
        client.send_and_consume(channel, check_accept=False)
    return seen[0]


def test_a_user_can_be_logged_in_without_credentials(alice):
    client = WSClient()
    client.force_login(alice)
    assert who(client, http_session_user) == "alice"


def test_the_channels_own_session_knows_the_user_after_the_connect(alice):
    client = WSClient()
    client.force_login(alice)
    assert who(client, channel_session_user, connect=False) == ""
    assert who(client, channel_session_user_from_http) == "alice"
    assert who(client, channel_session_user, connect=False) == "alice"


def test_a_user_can_log_in(alice):
    client = WSClient()
    assert not client.login(username="alice", password="wrong")
    assert who(client, http_session_user) == ""
    assert client.login(username="alice", password="secret")
    assert who(client, http_session_user) == "alice"


def test_another_user_can_log_in_after_one(alice):
    client = WSClient()
    client.force_login(alice)
    client.force_login(get_user_model().objects.create_user("bob"), backend=BACKEND)
    assert who(client, http_session_user) == "bob"


def test_a_logged_out_client_is_anonymous(alice):
    client = WSClient()
    client.force_login(alice)
    client.logout()
    assert who(client, http_session_user) == ""
    client.logout()


def test_no_backend_that_finds_users_is_an_error(alice):
    with (
        override_settings(AUTHENTICATION_BACKENDS=[]),
        pytest.raises(ValueError, match="AUTHENTICATION_BACKENDS"),
    ):
        WSClient().force_login(alice)


# Its old names


def test_the_old_name_warns():
    with pytest.warns(DeprecationWarning, match="WSClient"):
        client = HttpClient(ordered=True)
    assert isinstance(client, WSClient)


def test_the_old_module_warns(monkeypatch):
    import importlib

    monkeypatch.delitem(sys.modules, "txchannels.django.tests", raising=False)
    with pytest.warns(DeprecationWarning, match="txchannels.django.test"):
        module = importlib.import_module("txchannels.django.tests")
    assert module.WSClient is WSClient
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.reload(module)
