"""`channel_session`, `http_session` and both together; ordering has its own file."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import override_settings
from django.utils import timezone

from txchannels.django.exceptions import ConsumeLater
from txchannels.django.sessions import (
    channel_and_http_session,
    channel_session,
    http_session,
    session_for_reply_channel,
)

pytestmark = pytest.mark.usefixtures("database")


def stored(reply_channel="sockets!a"):
    """What the socket's session holds in the database."""
    return dict(session_for_reply_channel(reply_channel).items())


@pytest.fixture
def browser():
    """A session of a browser, stored."""
    session = SessionStore()
    session["colour"] = "blue"
    session.create()
    return session


@pytest.fixture
def handshake(make_message):
    def make(cookie=None, query_string=b"", **fields):
        headers = [[b"host", b"example.com"]]
        if cookie is not None:
            headers.append([b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()])
        return make_message(
            "websocket.connect",
            **{"path": "/", "headers": headers, "query_string": query_string, "order": 0} | fields,
        )

    return make


# The channel session


def test_a_sockets_session_is_found_by_its_reply_channel():
    digest = hashlib.sha1(b"sockets!a").hexdigest()
    key = session_for_reply_channel("sockets!a").session_key
    assert key == "chn" + digest[:29]
    assert len(key) == 32


def test_a_channel_session_lasts_from_message_to_message(make_message):
    @channel_session
    def write(message):
        message.channel_session["room"] = "lobby"

    @channel_session
    def read(message):
        return message.channel_session["room"]

    write(make_message())
    assert read(make_message()) == "lobby"
    with pytest.raises(KeyError):
        read(make_message(reply_channel="sockets!b"))


def test_methods_and_keyword_arguments_pass_through(make_message):
    class Consumers:
        @channel_session
        def receive(self, message, room):
            """What it does."""
            return self, message.channel_session.session_key is not None, room

    consumers = Consumers()
    assert consumers.receive(make_message(), room="x") == (consumers, True, "x")
    assert Consumers.receive.__name__ == "receive"
    assert Consumers.receive.__doc__ == "What it does."


@pytest.mark.parametrize("decorator", [channel_session, http_session, channel_and_http_session])
def test_without_a_message_a_consumer_cannot_be_called(decorator):
    with pytest.raises(ValueError, match="no Message"):
        decorator(lambda *args: None)("x", "y")


def test_without_a_reply_channel_there_is_no_session(make_message):
    with pytest.raises(ValueError, match="reply channel"):
        channel_session(lambda message: None)(make_message(reply_channel=None))


def test_a_change_is_saved_also_when_the_consumer_raises(make_message):
    @channel_session
    def consumer(message):
        message.channel_session["n"] = 1
        raise RuntimeError("after the change")

    with pytest.raises(RuntimeError):
        consumer(make_message())
    assert stored() == {"n": 1}


def test_an_unchanged_session_is_not_saved(make_message, monkeypatch):
    channel_session(lambda message: None)(make_message())
    monkeypatch.setattr(SessionStore, "save", None)
    channel_session(lambda message: message.channel_session.get("n"))(make_message())


def test_a_session_that_the_consumer_flushes_stays_flushed(make_message):
    @channel_session
    def consumer(message):
        message.channel_session["n"] = 1
        message.channel_session.flush()

    consumer(make_message())
    assert Session.objects.count() == 0


def test_a_session_that_was_deleted_meanwhile_stays_deleted(make_message, caplog):
    @channel_session
    def consumer(message):
        message.channel_session["n"] = 1
        Session.objects.all().delete()

    consumer(make_message())
    assert Session.objects.count() == 0
    assert "deleted" in caplog.text


def test_nested_decorators_share_one_session(make_message):
    @channel_session
    @channel_session
    def consumer(message):
        message.channel_session["n"] = 1

    consumer(make_message())
    assert stored() == {"n": 1}


def test_an_expired_session_starts_anew_under_its_key(make_message):
    @channel_session
    def consumer(message):
        message.channel_session["n"] = message.channel_session.get("n", 0) + 1

    consumer(make_message())
    consumer(make_message())
    assert stored() == {"n": 2}
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    consumer(make_message())
    assert stored() == {"n": 1}


def test_a_session_that_somebody_else_creates_now_is_used(make_message, monkeypatch):
    save = SessionStore.save

    def save_after_another(self, must_create=False):
        monkeypatch.setattr(SessionStore, "save", save)
        other = session_for_reply_channel("sockets!a")
        other.save(must_create=True)
        other["n"] = 1
        other.save()
        save(self, must_create)

    monkeypatch.setattr(SessionStore, "save", save_after_another)
    assert channel_session(lambda message: message.channel_session["n"])(make_message()) == 1


def test_a_session_that_cannot_be_created_now_is_tried_later(make_message, monkeypatch):
    def refuse(self, must_create=False):
        raise CreateError

    monkeypatch.setattr(SessionStore, "save", refuse)
    with pytest.raises(ConsumeLater):
        channel_session(lambda message: None)(make_message())


def test_sockets_cannot_keep_sessions_in_cookies(make_message):
    engine = "django.contrib.sessions.backends.signed_cookies"
    with override_settings(SESSION_ENGINE=engine), pytest.raises(ValueError, match="cookies"):
        channel_session(lambda message: None)(make_message())


@pytest.mark.parametrize("engine", ["cache", "cached_db", "file"])
def test_sockets_may_have_an_engine_of_their_own(make_message, engine, tmp_path):
    @channel_session
    def consumer(message):
        message.channel_session["n"] = message.channel_session.get("n", 0) + 1

    with override_settings(
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        CHANNEL_SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}",
        SESSION_FILE_PATH=str(tmp_path),
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "LOCATION": engine,
            }
        },
    ):
        consumer(make_message())
        consumer(make_message())
        assert stored() == {"n": 2}


# The HTTP session


def test_the_browsers_session_is_found_by_its_cookie(handshake, browser):
    @http_session
    def consumer(message):
        return message.http_session["colour"]

    message = handshake(browser.session_key)
    assert consumer(message) == "blue"
    assert "method" not in message


def test_the_query_parameter_wins_over_the_cookie(handshake, browser):
    consumer = http_session(lambda message: message.http_session["colour"])
    query_string = f"session_key={browser.session_key}".encode()
    assert consumer(handshake("x" * 32, query_string)) == "blue"


def test_without_either_there_is_no_http_session(handshake):
    assert http_session(lambda message: message.http_session)(handshake()) is None


def test_a_message_that_is_not_like_a_request_is_refused(make_message):
    with pytest.raises(ValueError, match="Cannot parse HTTP message"):
        http_session(lambda message: None)(make_message(text="x"))


def test_a_changed_http_session_is_saved(handshake, browser):
    @http_session
    def consumer(message):
        message.http_session["colour"] = "green"

    consumer(handshake(browser.session_key))
    assert SessionStore(browser.session_key)["colour"] == "green"


def test_a_changed_http_session_is_not_saved_when_the_consumer_raises(handshake, browser):
    @http_session
    def consumer(message):
        message.http_session["colour"] = "green"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        consumer(handshake(browser.session_key))
    assert SessionStore(browser.session_key)["colour"] == "blue"


def test_nested_decorators_share_one_http_session(handshake, browser):
    @http_session
    @http_session
    def consumer(message):
        message.http_session["colour"] = "green"

    consumer(handshake(browser.session_key))
    assert SessionStore(browser.session_key)["colour"] == "green"


# Both


@channel_and_http_session
def both(message):
    return message.http_session and message.http_session["colour"]


def test_later_messages_have_the_session_of_the_connect(handshake, make_message, browser):
    assert both(handshake(browser.session_key)) == "blue"
    assert stored() == {settings.SESSION_COOKIE_NAME: browser.session_key}
    assert both(make_message(text="x")) == "blue"


def test_without_a_cookie_there_is_only_the_channel_session(handshake, make_message):
    assert both(handshake()) is None
    assert both(make_message(text="x")) is None
    assert stored() == {}


def test_with_an_http_session_around_it_is_taken_over(handshake, make_message, browser):
    assert http_session(both)(handshake(browser.session_key)) == "blue"
    assert both(make_message(text="x")) == "blue"


def test_a_change_of_a_later_message_is_saved(handshake, make_message, browser):
    @channel_and_http_session
    def consumer(message):
        message.http_session["colour"] = "green"

    both(handshake(browser.session_key))
    consumer(make_message(text="x"))
    assert SessionStore(browser.session_key)["colour"] == "green"
