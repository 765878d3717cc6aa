"""What docs/users.md shows is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.template import Context, Engine
from django.test import override_settings

from txchannels.django.exceptions import DenyConnection
from txchannels.django.request import AsgiRequest
from txchannels.django.users import LOGGED_OUT, attach_socket, configuration, disconnect

pytestmark = pytest.mark.usefixtures("database")

PAGE = (Path(__file__).parents[2] / "docs" / "users.md").read_text()


def code(language, number=0):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[number]


def defined(number, **names):
    space = dict(names)
    exec(compile(code("python", number), "users.md", "exec"), space)
    return space


@pytest.fixture
def user():
    return User.objects.create_user("ada", password="lovelace")


@pytest.fixture
def request_of(make_message):
    def make(user, session):
        fields = {"path": "/", "query_string": b"", "headers": [], "method": "GET"}
        request = AsgiRequest(make_message("http.request", **fields))
        request.user, request.session = user, session
        return request

    return make


def test_a_user_is_banned(user, layer):
    defined(0)["ban"]("ada")
    assert [message for _, message in layer.sent_to_groups] == [{"close": LOGGED_OUT}]


def test_an_event_stream_belongs_to_a_login(user, layer, request_of):
    from tests.django.test_users import joined, logged_in

    news = defined(1)["news"]
    session = logged_in(user)
    assert news(request_of(user, session)).status_code == 200
    assert len(joined(layer)) == 2
    assert news(request_of(AnonymousUser(), SessionStore())).status_code == 403
    SessionStore(session.session_key).flush()
    assert news(request_of(user, session)).status_code == 403


def test_a_consumer_with_tokens(user, layer, make_message):
    answers = [user, user]
    names = {"attach_socket": attach_socket, "DenyConnection": DenyConnection}
    connect = defined(2, user_of_token=lambda message: answers.pop(), **names)["connect"]
    connect(make_message("websocket.connect"))
    assert layer.on("sockets!a") == [{"accept": True}]
    for answers[:] in ([None], [None, user]):
        with pytest.raises(DenyConnection):
            connect(make_message("websocket.connect"))


def test_the_template():
    engine = Engine(
        libraries={
            "txchannels": "txchannels.django.templatetags.txchannels",
            "static": "django.templatetags.static",
        }
    )
    with override_settings(STATIC_URL="/static/"):
        text = engine.from_string(code("html")).render(Context({"room": User(pk=7)}))
    assert 'data-socket="/chat/?room=7"' in text
    assert '<script src="/static/txchannels/websocketbridge.min.js"></script>' in text


def test_the_figures_of_the_page_are_the_codes():
    assert f"The close code is {LOGGED_OUT}." in PAGE
    assert f"code={LOGGED_OUT}" in PAGE
    assert disconnect.__defaults__ == (LOGGED_OUT,)
    with override_settings():
        assert f"`{configuration.joins_users()}` | Whether" in PAGE
        assert f'`"{configuration.logout_closes()}"` | Whose' in PAGE
