"""Who logs out, gets a new password, is deactivated or deleted: their sockets are closed."""

from __future__ import annotations

import asyncio

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY, authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.sessions.backends import cache, db, signed_cookies
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps

from txchannels.django.asgi import channel_layers
from txchannels.django.auth import channel_session_user_from_http
from txchannels.django.channel import Channel
from txchannels.django.users import LOGGED_OUT, attach_socket, receivers
from txchannels.django.users.names import LOGIN_KEY, user_groups, user_key
from txchannels.errors import LayerUnavailable

pytestmark = pytest.mark.usefixtures("database")

ENGINES = [db, cache]


@pytest.fixture
def ada():
    return User.objects.create_user("ada", password="lovelace")


@pytest.fixture
def bob():
    return User.objects.create_user("bob", password="builder")


class Browser:
    """Visits the site with cookies, and opens sockets."""

    def __init__(self, layer, make_message, engine):
        self._layer = layer
        self._make_message = make_message
        self._engine = engine
        self._sockets = 0
        self.key = None

    def request(self):
        request = HttpRequest()
        if self.key is not None:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = self.key
        request.session = self._engine.SessionStore(self.key)
        user_id = request.session.get(SESSION_KEY)
        request.user = AnonymousUser() if user_id is None else User.objects.get(pk=user_id)
        return request

    def keep(self, request):
        """What Django's middleware does at the end of a request."""
        if request.session.is_empty():
            self.key = None
        else:
            request.session.save()
            self.key = request.session.session_key

    def visit(self, view, *arguments):
        request = self.request()
        view(request, *arguments)
        self.keep(request)

    def login(self, user):
        self.visit(lambda request: login(request, user, settings.AUTHENTICATION_BACKENDS[0]))

    def logout(self):
        self.visit(logout)

    def open_socket(self):
        """The name of a new socket's reply channel."""
        self._sockets += 1
        name = f"sockets!{id(self)}.{self._sockets}"
        cookie = f"{settings.SESSION_COOKIE_NAME}={self.key}".encode()
        message = self._make_message(
            "websocket.connect", name, path="/", query_string=b"", headers=[[b"cookie", cookie]]
        )
        channel_session_user_from_http(lambda message: None)(message)
        return name


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__.rpartition(".")[2])
def new_browser(request, layer, make_message):
    engine = request.param
    with override_settings(
        SESSION_ENGINE=engine.__name__,
        CHANNEL_SESSION_ENGINE="django.contrib.sessions.backends.db",
    ):
        yield lambda: Browser(layer, make_message, engine)


@pytest.fixture
def closed(layer):
    """Whether a socket was told to close; forgets what was told before."""

    def look(*names):
        told = {
            group for group, message in layer.sent_to_groups if message == {"close": LOGGED_OUT}
        }
        assert len(told) == len({group for group, _ in layer.sent_to_groups})
        return [any(name in layer.groups[group] for group in told) for name in names]

    return look


# Logging out


def test_logging_out_closes_the_sockets_of_that_login_alone(new_browser, ada, bob, closed):
    here, there, other = new_browser(), new_browser(), new_browser()
    for browser, user in ((here, ada), (there, ada), (other, bob)):
        browser.login(user)
    sockets = [here.open_socket(), here.open_socket(), there.open_socket(), other.open_socket()]
    here.logout()
    assert closed(*sockets) == [True, True, False, False]


def test_or_of_all_logins_of_the_user(new_browser, ada, bob, closed):
    here, there, other = new_browser(), new_browser(), new_browser()
    for browser, user in ((here, ada), (there, ada), (other, bob)):
        browser.login(user)
    sockets = [here.open_socket(), there.open_socket(), other.open_socket()]
    with override_settings(CHANNEL_LOGOUT_CLOSES="user"):
        here.logout()
    assert closed(*sockets) == [True, True, False]


@pytest.mark.parametrize(
    "setting", [{"CHANNEL_LOGOUT_CLOSES": "nothing"}, {"CHANNEL_USER_GROUPS": False}]
)
def test_or_none(new_browser, ada, layer, setting):
    browser = new_browser()
    browser.login(ada)
    browser.open_socket()
    with override_settings(**setting):
        browser.logout()
        ada.set_password("other")
        browser.login(ada)
    assert layer.sent_to_groups == []


def test_sockets_follow_their_login_when_its_session_gets_another_key(new_browser, ada, closed):
    browser = new_browser()
    browser.login(ada)
    socket = browser.open_socket()
    before = browser.key
    browser.visit(lambda request: request.session.cycle_key())
    assert browser.key != before
    later = browser.open_socket()
    assert closed(socket) == [False]
    browser.logout()
    assert closed(socket, later) == [True, True]


def test_a_login_from_before_it_had_a_name_is_known_by_its_key(new_browser, ada, closed):
    browser = new_browser()
    browser.login(ada)
    browser.visit(lambda request: request.session.pop(LOGIN_KEY))
    socket = browser.open_socket()
    browser.logout()
    assert closed(socket) == [True]


def test_nobody_who_logs_out_closes_nothing(new_browser, layer, ada):
    other = new_browser()
    other.login(ada)
    other.open_socket()
    browser = new_browser()
    browser.logout()
    browser.visit(lambda request: request.session.update({"basket": 1}))
    browser.logout()
    assert not any(layer.groups[group] for group, _ in layer.sent_to_groups)


def test_it_is_told_when_the_session_is_gone(new_browser, ada, layer, monkeypatch):
    """A socket that connects just before would not be closed, and not see the logout."""
    browser = new_browser()
    browser.login(ada)
    socket = browser.open_socket()
    seen = []
    wrapper = channel_layers["default"]
    monkeypatch.setattr(
        wrapper, "send_group", lambda group, message: seen.append(browser.request().user.pk)
    )
    browser.logout()
    assert seen == [None]
    assert socket


def test_it_is_told_when_the_transaction_is_committed(new_browser, ada, layer, closed):
    browser = new_browser()
    browser.login(ada)
    socket = browser.open_socket()
    if isinstance(browser.request().session, db.SessionStore):
        with transaction.atomic():
            browser.logout()
            assert layer.sent_to_groups == []
    else:
        browser.logout()
    assert closed(socket) == [True]


def test_a_logout_that_is_rolled_back_closes_nothing(make_message, layer, ada):
    browser = Browser(layer, make_message, db)
    browser.login(ada)
    browser.open_socket()
    with transaction.atomic():
        browser.logout()
        transaction.set_rollback(True)
    assert layer.sent_to_groups == []


def test_an_asynchronous_logout_closes_them_too(make_message, layer, ada, closed):
    browser = Browser(layer, make_message, cache)
    with override_settings(SESSION_ENGINE=cache.__name__, CHANNEL_SESSION_ENGINE=db.__name__):
        browser.login(ada)
        socket = browser.open_socket()
        request = browser.request()
        if not hasattr(request.session, "aflush"):
            pytest.skip("this Django has no asynchronous sessions")
        from django.contrib.auth import alogout

        asyncio.run(alogout(request))
    assert closed(socket) == [True]
    assert request.session.is_empty()


def test_logging_in_as_another_closes_the_sockets_of_the_first(new_browser, ada, bob, closed):
    browser = new_browser()
    sockets = []
    for user in (ada, bob, ada):
        browser.login(user)
        assert closed(*sockets) == [True] * len(sockets)
        sockets.append(browser.open_socket())
    assert closed(*sockets) == [True, True, False]


def test_logging_in_again_keeps_them(new_browser, ada, closed):
    browser = new_browser()
    browser.login(ada)
    socket = browser.open_socket()
    browser.login(ada)
    assert closed(socket) == [False]
    browser.logout()
    assert closed(socket) == [True]


def test_sessions_in_cookies_have_logins_of_their_own(make_message, layer, ada, bob, closed):
    with override_settings(
        SESSION_ENGINE=signed_cookies.__name__, CHANNEL_SESSION_ENGINE=db.__name__
    ):
        browsers = [Browser(layer, make_message, signed_cookies) for _ in range(2)]
        for browser, user in zip(browsers, (ada, bob), strict=True):
            browser.login(user)
        sockets = [browser.open_socket() for browser in browsers]
        browsers[0].visit(lambda request: request.session.update({"basket": 1}))
        browsers[0].logout()
    assert closed(*sockets) == [True, False]


def test_a_request_without_a_session_harms_nothing(ada, layer, closed):
    from django.contrib.auth.signals import user_logged_in, user_logged_out

    attach_socket(Channel("sockets!x"), ada)
    strange = HttpRequest()
    strange.session = {}
    for signal in (user_logged_in, user_logged_out):
        signal.send(sender=User, request=strange, user=ada)
        signal.send(sender=User, request=HttpRequest(), user=ada)
        signal.send(sender=User, request=None, user=ada)
    assert layer.sent_to_groups == []
    with override_settings(CHANNEL_LOGOUT_CLOSES="user"):
        user_logged_out.send(sender=User, request=None, user=ada)
    assert closed("sockets!x") == [True]


def test_a_layer_that_is_away_keeps_nobody_from_logging_out(
    new_browser, ada, monkeypatch, caplog, layer
):
    def fail(group, message):
        raise LayerUnavailable("away")

    browser = new_browser()
    browser.login(ada)
    monkeypatch.setattr(channel_layers["default"], "send_group", fail)
    browser.logout()
    assert browser.key is None
    assert "could not be closed" in caplog.text


# Users who are shut out


def told(layer):
    return [group for group, message in layer.sent_to_groups if message == {"close": LOGGED_OUT}]


def group_of(user):
    return user_groups(user_key(user))[0]


def set_password(user):
    user.set_password("other")
    user.save()


def set_no_password(user):
    user.set_unusable_password()
    user.save(update_fields=["password"])


def deactivate(user):
    user.is_active = False
    user.save()


@pytest.mark.parametrize("change", [set_password, set_no_password, deactivate])
def test_a_user_who_is_shut_out_is_disconnected(ada, layer, change):
    name = group_of(ada)
    change(ada)
    assert told(layer) == [name]
    ada.save()
    assert told(layer) == [name]


@isolate_apps("django.contrib.auth")
def test_so_is_one_who_is_saved_as_a_model_made_of_the_users(ada, layer, monkeypatch):
    class Member(User):
        class Meta:
            proxy = True
            app_label = "auth"

    monkeypatch.setattr(receivers.apps, "get_models", lambda: [Session, User, Member])
    receivers.connect_receivers()
    set_password(Member.objects.get(pk=ada.pk))
    assert told(layer) == [group_of(ada)]


def test_a_user_who_is_deleted_is_disconnected(ada, bob, layer):
    names = [group_of(ada), group_of(bob)]
    ada.delete()
    User.objects.all().delete()
    assert told(layer) == names


def test_what_shuts_nobody_out_disconnects_nobody(ada, layer):
    ada.email = "ada@example.com"
    ada.save()
    ada.save(update_fields=["email"])
    User.objects.create_user("new", password="x").save()
    deactivated = User(username="off", is_active=False)
    deactivated.save()
    deactivated.save()
    assert authenticate(username="ada", password="lovelace") == ada
    Group.objects.create(name="x").delete()
    assert layer.sent_to_groups == []


def test_a_login_asks_for_nothing_more(ada):
    with CaptureQueriesContext(connection) as queries:
        ada.save(update_fields=["last_login"])
    assert len(queries) == 1


def test_the_own_browser_of_a_new_password_comes_back(new_browser, ada, closed):
    browser = new_browser()
    browser.login(ada)
    socket = browser.open_socket()

    def change(request):
        request.user.set_password("other")
        request.user.save()
        update_session_auth_hash(request, request.user)

    browser.visit(change)
    later = browser.open_socket()
    assert closed(socket) == [True]
    browser.logout()
    assert closed(later) == [True]


def test_it_is_told_after_the_commit(ada, layer):
    with transaction.atomic():
        set_password(ada)
        assert told(layer) == []
    assert told(layer) == [group_of(ada)]


def test_switched_off_nobody_is_looked_at(ada, layer):
    with override_settings(CHANNEL_USER_GROUPS=False):
        with CaptureQueriesContext(connection) as queries:
            set_password(ada)
        ada.delete()
    assert len(queries) == 1
    assert layer.sent_to_groups == []


def test_a_mistake_in_the_settings_is_found_at_the_start():
    from django.apps import apps

    with (
        override_settings(CHANNEL_LOGOUT_CLOSES="everything"),
        pytest.raises(ImproperlyConfigured, match="CHANNEL_LOGOUT_CLOSES"),
    ):
        apps.get_app_config("txchannels").ready()
