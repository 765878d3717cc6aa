"""Sockets that join their users' groups, and `disconnect`, which closes these."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.functional import SimpleLazyObject

from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
)
from txchannels.django.channel import Channel
from txchannels.django.generic.websockets import WebsocketConsumer
from txchannels.django.users import LOGGED_OUT, attach_socket, disconnect
from txchannels.django.users.configuration import check_settings
from txchannels.django.users.names import user_groups, user_key
from txchannels.errors import LayerUnavailable
from txchannels.layers.names import check_group

pytestmark = pytest.mark.usefixtures("database")

SOCKET = "sockets!a"


@pytest.fixture
def user():
    return User.objects.create_user("ada", password="lovelace")


@pytest.fixture
def browser(user):
    """The session of a browser whose user is logged in."""
    return logged_in(user)


def logged_in(user):
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return session


@pytest.fixture
def connect(make_message):
    def make(session=None, channel="websocket.connect", **fields):
        headers = [[b"host", b"example.com"]]
        if session is not None:
            cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
            headers.append([b"cookie", cookie.encode()])
        return make_message(channel, path="/", query_string=b"", headers=headers, **fields)

    return make


def joined(layer, channel=SOCKET):
    """The groups that *channel* is in."""
    return sorted(name for name, members in layer.groups.items() if channel in members)


def closed(layer):
    """The groups that were closed, and with which codes."""
    assert all(set(message) == {"close"} for _, message in layer.sent_to_groups)
    return [(group, message["close"]) for group, message in layer.sent_to_groups]


def name_of(message):
    return message.user.get_username() if message.user.is_authenticated else None


class Plain(WebsocketConsumer):
    http_user = True

    def connect(self, message, **kwargs):
        self.seen = name_of(message)


class WithSession(Plain):
    http_user = False
    http_user_and_session = True


DECORATED = [
    channel_session_user_from_http(name_of),
    channel_and_http_session_user_from_http(name_of),
    http_session_user(name_of),
    channel_session_user(channel_session_user_from_http(name_of)),
]


# Joining


@pytest.mark.parametrize("consumer", DECORATED)
def test_a_socket_joins_the_groups_of_its_user_and_its_login_once(
    consumer, connect, browser, user, layer
):
    assert consumer(connect(browser)) == "ada"
    login, own = joined(layer)
    assert own == user_groups(user_key(user))[0]
    assert login.startswith("txchannels.login.")
    assert [len(members) for members in layer.groups.values()] == [1, 1]


@pytest.mark.parametrize("kind", [Plain, WithSession])
def test_so_does_that_of_a_generic_consumer(kind, connect, browser, layer):
    kind(connect(browser))
    assert len(joined(layer)) == 2


def test_a_socket_of_nobody_joins_none(connect, layer):
    for consumer in DECORATED:
        assert consumer(connect()) is None
    session = SessionStore()
    session["basket"] = 3
    session.create()
    for consumer in DECORATED:
        assert consumer(connect(session)) is None
    assert joined(layer) == []


def test_half_a_login_is_none(connect, browser, layer):
    del browser[HASH_SESSION_KEY]
    browser.save()
    channel_session_user_from_http(lambda message: None)(connect(browser))
    assert joined(layer) == []


def test_later_messages_and_requests_join_none(connect, make_message, browser, layer):
    http_session_user(name_of)(connect(browser, channel="http.request"))
    channel_session_user(name_of)(make_message())
    assert joined(layer) == []


def test_it_has_joined_before_the_consumer_runs(connect, browser, layer):
    seen = channel_session_user_from_http(lambda message: joined(layer))(connect(browser))
    assert len(seen) == 2


def test_sockets_of_one_user_share_one_group_and_of_one_login_two(connect, user, browser, layer):
    consumer = http_session_user(lambda message: None)
    consumer(connect(browser))
    consumer(connect(browser, reply_channel="sockets!b"))
    consumer(connect(logged_in(user), reply_channel="sockets!c"))
    assert joined(layer) == joined(layer, "sockets!b")
    assert len(set(joined(layer)) & set(joined(layer, "sockets!c"))) == 1


def test_switched_off_nothing_is_joined(connect, browser, user, layer):
    with override_settings(CHANNEL_USER_GROUPS=False):
        for consumer in DECORATED:
            assert consumer(connect(browser)) == "ada"
        assert attach_socket(Channel(SOCKET), user, SessionStore()) is True
    assert joined(layer) == []


def test_a_layer_without_groups_is_left_alone(connect, browser, layer):
    layer.extensions = ()
    assert DECORATED[0](connect(browser)) == "ada"
    disconnect(User.objects.get())
    assert joined(layer) == []
    assert closed(layer) == []


# Whoever logs out while they connect


def test_a_logout_between_the_session_and_the_group_is_seen(connect, browser, layer, monkeypatch):
    """Told before the socket has joined: it has to find out by itself."""
    join = layer.group_add

    def log_out_and_join(group, channel):
        SessionStore(browser.session_key).flush()
        join(group, channel)

    message = connect(browser)
    monkeypatch.setattr(message.channel_layer, "group_add", log_out_and_join)
    assert DECORATED[0](message) is None
    assert joined(layer) == []


def test_so_it_is_by_a_consumer_that_reads_the_session(connect, browser, layer, monkeypatch):
    join = layer.group_add

    def log_out_and_join(group, channel):
        SessionStore(browser.session_key).flush()
        join(group, channel)

    message = connect(browser)
    monkeypatch.setattr(message.channel_layer, "group_add", log_out_and_join)
    consumer = channel_and_http_session_user_from_http(
        lambda message: (name_of(message), dict(message.http_session.items()))
    )
    assert consumer(message) == (None, {})
    assert not SessionStore().exists(browser.session_key)


def test_a_new_password_between_the_session_and_the_group_is_seen(
    connect, browser, user, monkeypatch, layer
):
    join = layer.group_add

    def change_and_join(group, channel):
        user.set_password("other")
        user.save()
        join(group, channel)

    message = connect(browser)
    monkeypatch.setattr(message.channel_layer, "group_add", change_and_join)
    assert DECORATED[0](message) is None


def test_a_session_that_only_changes_meanwhile_keeps_its_socket(
    connect, browser, monkeypatch, layer
):
    join = layer.group_add

    def change_and_join(group, channel):
        session = SessionStore(browser.session_key)
        session["basket"] = 3
        session[HASH_SESSION_KEY] = session[HASH_SESSION_KEY]
        session.save()
        join(group, channel)

    message = connect(browser)
    monkeypatch.setattr(message.channel_layer, "group_add", change_and_join)
    assert DECORATED[0](message) == "ada"
    assert len(joined(layer)) == 2


# Names


def test_the_names_are_legal_and_say_nothing(connect, browser, user, layer):
    DECORATED[0](connect(browser))
    for name in joined(layer):
        assert check_group(name) == name
        assert browser.session_key not in name
    with override_settings(SECRET_KEY="other"):
        assert user_groups(user_key(user)) != user_groups("")
        assert user_groups(user_key(user))[0] not in joined(layer)


@pytest.mark.parametrize(
    "key", ["1", "-7", "", "x" * 500, "ä ö/!?*", "9f1c0c9e-1111-4222-8333-abcdefabcdef"]
)
def test_any_primary_key_has_a_legal_name_of_its_own(key):
    [name] = user_groups(key)
    assert check_group(name) == name
    assert name != user_groups(key + "0")[0]


def test_the_key_is_the_one_that_a_login_stores(user, browser):
    assert user_key(user) == browser[SESSION_KEY]
    assert user_key(SimpleLazyObject(lambda: user)) == browser[SESSION_KEY]


# Disconnecting


def test_all_sockets_of_a_user_are_closed(connect, browser, user, layer):
    DECORATED[0](connect(browser))
    disconnect(user)
    [(group, code)] = closed(layer)
    assert group in joined(layer)
    assert code == LOGGED_OUT == 4401


def test_sockets_that_are_older_than_the_secret_are_closed_too(connect, browser, user, layer):
    DECORATED[0](connect(browser))
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        disconnect(user)
    assert len(closed(layer)) == 2
    assert set(joined(layer)) & {group for group, _ in closed(layer)}


def test_it_goes_out_when_the_consumer_ends(user, layer, consumer_runs):
    disconnect(user)
    assert closed(layer) == []


def test_every_layer_of_the_site_is_told(user, layer):
    other = type(layer)()
    configs = {"other": {"BACKEND": "txchannels.layers.memory.MemoryLayer"}}
    with override_settings(CHANNEL_LAYERS=configs):
        before = channel_layers.set("other", ChannelLayerWrapper(other, "other", []))
        try:
            disconnect(user, 1008)
        finally:
            channel_layers.set("other", before)
    assert closed(layer) == closed(other)
    assert [code for _, code in closed(other)] == [1008]


def test_a_layer_that_is_away_keeps_it_from_no_other(user, layer, monkeypatch):
    def fail(group, message):
        raise LayerUnavailable("away")

    other = type(layer)()
    configs = {"other": {"BACKEND": "txchannels.layers.memory.MemoryLayer"}}
    monkeypatch.setattr(channel_layers["default"], "send_group", fail)
    with override_settings(CHANNEL_LAYERS=configs):
        before = channel_layers.set("other", ChannelLayerWrapper(other, "other", []))
        try:
            with pytest.raises(LayerUnavailable, match="away"):
                disconnect(user)
        finally:
            channel_layers.set("other", before)
    assert len(closed(other)) == 1


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1013, 3000, 4401, 4999])
def test_codes_that_may_be_sent(user, layer, code):
    disconnect(user, code)
    assert [told for _, told in closed(layer)] == [code]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, True, "4401", None])
def test_codes_that_may_not(user, layer, code):
    with pytest.raises(ValueError, match="close code"):
        disconnect(user, code)
    assert closed(layer) == []


def test_nobody_has_no_sockets():
    with pytest.raises(TypeError, match=r"users of the model auth\.User"):
        disconnect(AnonymousUser())
    with pytest.raises(TypeError, match="not to 7"):
        disconnect(7)
    with pytest.raises(ValueError, match="without a primary key"):
        disconnect(User(username="new"))


def test_switched_off_it_says_so(user):
    with (
        override_settings(CHANNEL_USER_GROUPS=False),
        pytest.raises(ImproperlyConfigured, match="CHANNEL_USER_GROUPS is False"),
    ):
        disconnect(user)


# Sockets of other logins


def test_a_socket_is_attached_by_hand(user, layer):
    assert attach_socket(Channel(SOCKET), user) is True
    disconnect(user)
    assert joined(layer) == [group for group, _ in closed(layer)]


def test_it_may_be_attached_to_a_session_too(user, browser, connect, layer):
    assert attach_socket(Channel("sockets!b"), user, browser) is True
    DECORATED[0](connect(browser))
    assert joined(layer) == joined(layer, "sockets!b")


def test_a_session_that_has_ended_is_told(user, browser, layer):
    SessionStore(browser.session_key).flush()
    assert attach_socket(Channel(SOCKET), user, browser) is False
    assert joined(layer) == []


def test_so_is_one_of_another_user(user, layer):
    other = User.objects.create_user("bob")
    assert attach_socket(Channel(SOCKET), user, logged_in(other)) is False
    assert attach_socket(Channel(SOCKET), user, SessionStore()) is False
    assert joined(layer) == []


def test_who_is_no_user_is_attached_to_nothing(layer):
    with pytest.raises(TypeError, match="not to "):
        attach_socket(Channel(SOCKET), AnonymousUser())
    assert joined(layer) == []


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHANNEL_USER_GROUPS", "no"),
        ("CHANNEL_USER_GROUPS", None),
        ("CHANNEL_LOGOUT_CLOSES", "all"),
        ("CHANNEL_LOGOUT_CLOSES", True),
    ],
)
def test_a_setting_that_is_none_of_its_choices_is_named(name, value):
    with (
        override_settings(**{name: value}),
        pytest.raises(ImproperlyConfigured, match=f"{name} must be .* not {value!r}"),
    ):
        check_settings()


def test_the_settings_may_be_missing(caplog):
    with caplog.at_level(logging.DEBUG):
        check_settings()
    assert caplog.text == ""
