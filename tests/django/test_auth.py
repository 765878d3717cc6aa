from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import override_settings

from txchannels.django.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from txchannels.django.sessions import session_for_reply_channel

pytestmark = pytest.mark.usefixtures("database")

KEYS = (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)


@pytest.fixture
def user():
    return User.objects.create_user("ada", password="lovelace")


def log_in(session, user):
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()


@pytest.fixture
def browser(user):
    """The session of a browser whose user is logged in."""
    session = SessionStore()
    log_in(session, user)
    session.create()
    return session


@pytest.fixture
def connect(make_message):
    def make(session=None):
        headers = [[b"host", b"example.com"]]
        if session is not None:
            cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
            headers.append([b"cookie", cookie.encode()])
        return make_message("websocket.connect", path="/", query_string=b"", headers=headers)

    return make


def name_of(message):
    return message.user.get_username() if message.user.is_authenticated else None


from_channel = channel_session_user(name_of)
from_http = http_session_user(name_of)
connected = channel_session_user_from_http(name_of)
with_both = channel_and_http_session_user_from_http(name_of)


# Taking a user over


def test_a_user_is_transferred_whole():
    target = {"other": 1}
    transfer_user(dict.fromkeys(KEYS, "x"), target)
    assert target == {"other": 1, **dict.fromkeys(KEYS, "x")}


@pytest.mark.parametrize("missing", KEYS)
def test_half_a_user_is_not_transferred(missing):
    target = {}
    transfer_user({key: "x" for key in KEYS if key != missing}, target)
    assert target == {}


# The HTTP session's user


def test_the_user_of_the_browsers_session(connect, browser):
    assert from_http(connect(browser)) == "ada"


def test_without_a_session_the_user_is_anonymous(connect):
    assert from_http(connect()) is None


def test_nobody_is_asked_for_a_user_that_is_not_used(connect, browser, monkeypatch):
    monkeypatch.setattr("django.contrib.auth.get_user", None)
    assert http_session_user(lambda message: "unused")(connect(browser)) == "unused"


# The channel session's user


def test_a_socket_keeps_the_user_it_connected_with(connect, make_message, browser):
    assert connected(connect(browser)) == "ada"
    assert from_channel(make_message()) == "ada"
    assert from_channel(make_message(reply_channel="sockets!b")) is None


def test_a_socket_without_a_user_is_anonymous(connect, make_message):
    assert connected(connect()) is None
    assert from_channel(make_message()) is None


def test_after_a_change_of_password_the_user_is_anonymous_and_the_session_stays(
    connect, make_message, browser, user
):
    connected(connect(browser))
    session = session_for_reply_channel("sockets!a")
    session["room"] = "lobby"
    session.save()
    user.set_password("other")
    user.save()
    assert from_channel(make_message()) is None
    assert session_for_reply_channel("sockets!a")["room"] == "lobby"
    assert SessionStore(browser.session_key).exists(browser.session_key)


def test_a_backend_that_is_no_longer_used_knows_nobody(connect, make_message, browser):
    connected(connect(browser))
    with override_settings(AUTHENTICATION_BACKENDS=["somewhere.Else"]):
        assert from_channel(make_message()) is None


def test_after_a_change_of_the_secret_key_sessions_keep_their_users_and_keys(
    connect, make_message, browser
):
    connected(connect(browser))
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert from_channel(make_message()) == "ada"
        assert from_http(connect(browser)) == "ada"
        # The browser still has its session: Django gives it a new key at the next request.
        request = HttpRequest()
        request.session = SessionStore(browser.session_key)
        assert get_user(request).get_username() == "ada"
    assert session_for_reply_channel("sockets!a").exists(
        session_for_reply_channel("sockets!a").session_key
    )


# Both sessions


def test_later_messages_have_both_sessions_and_the_user(connect, make_message, browser):
    @channel_and_http_session_user_from_http
    def consumer(message):
        return message.http_session.session_key, name_of(message)

    expected = (browser.session_key, "ada")
    assert consumer(connect(browser)) == expected
    assert consumer(make_message()) == expected
    assert from_channel(make_message()) == "ada"


def test_a_logout_in_the_browser_reaches_the_socket(connect, make_message, browser):
    with_both(connect(browser))
    SessionStore(browser.session_key).flush()
    assert with_both(make_message()) is None


def test_methods_can_be_decorated(connect, browser):
    class Consumers:
        @channel_session_user_from_http
        def connect(self, message, room):
            """What it does."""
            return self, name_of(message), room

    consumers = Consumers()
    assert consumers.connect(connect(browser), room="x") == (consumers, "ada", "x")
    assert Consumers.connect.__doc__ == "What it does."


def test_decorators_may_be_nested(connect, browser):
    @channel_session_user
    @channel_session_user_from_http
    def consumer(message):
        return name_of(message)

    assert consumer(connect(browser)) == "ada"
