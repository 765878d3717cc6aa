"""``{% load txchannels %}`` in templates."""

from __future__ import annotations

import pytest
from django.core.exceptions import DisallowedHost, ImproperlyConfigured
from django.template import Context, Engine, RequestContext, TemplateSyntaxError
from django.template.backends.django import DjangoTemplates
from django.test import RequestFactory, override_settings
from django.urls import set_script_prefix
from django.utils.functional import lazystr

ENGINE = Engine(libraries={"txchannels": "txchannels.django.templatetags.txchannels"})


@pytest.fixture
def script_name():
    """Sets where the site hangs."""
    yield set_script_prefix
    set_script_prefix("/")


def get(**more):
    return RequestFactory().get("/page/", HTTP_HOST="example.com", **more)


def render(text, context=None, request=None):
    template = ENGINE.from_string("{% load txchannels %}" + text)
    context = context or {}
    return template.render(RequestContext(request, context) if request else Context(context))


def url(path, request=None, **context):
    return render("{% websocket_url path %}", {"path": path, **context}, request)


# Where it is


def test_it_is_on_the_host_of_the_page():
    text = "{% websocket_url '/chat/' %}"
    assert render(text, request=get()) == "ws://example.com/chat/"
    request = RequestFactory().get("/", HTTP_HOST="[::1]:8000")
    assert render(text, request=request) == "ws://[::1]:8000/chat/"


def test_a_secure_page_has_secure_sockets():
    assert url("/chat/", get(secure=True)) == "wss://example.com/chat/"


def test_a_proxy_is_believed_as_django_believes_it():
    headers = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "www.sub.example.com"}
    assert url("/chat/", get(**headers)) == "ws://example.com/chat/"
    with override_settings(
        SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"), USE_X_FORWARDED_HOST=True
    ):
        assert url("/chat/", get(**headers)) == "wss://www.sub.example.com/chat/"


def test_a_host_that_is_not_allowed_is_none():
    with pytest.raises(DisallowedHost):
        url("/chat/", RequestFactory().get("/", HTTP_HOST="evil.example"))


def test_the_request_may_be_in_the_context_by_name():
    assert url("/chat/", page=1) == "/chat/"
    template = ENGINE.from_string("{% load txchannels %}{% websocket_url '/chat/' %}")
    assert template.render(Context({"request": get()})) == "ws://example.com/chat/"


def test_without_a_request_it_is_a_path(script_name):
    assert url("/chat/?a=1") == "/chat/?a=1"
    script_name("/shop/")
    assert url("/chat/") == "/shop/chat/"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/chat/", "/shop/chat/"),
        ("/", "/shop/"),
        ("/shop/chat/", "/shop/chat/"),
        ("/shop", "/shop"),
        ("/shop?a=1", "/shop?a=1"),
        ("/shopping/", "/shop/shopping/"),
    ],
)
def test_it_is_below_where_the_site_hangs(script_name, path, expected):
    script_name("/shop/")
    assert url(path, get()) == f"ws://example.com{expected}"


# What is in it


def test_a_query_is_added():
    text = "{% websocket_url '/chat/' room=room after='a&b' %}"
    assert (
        render(text, {"room": "ä ö"}, get())
        == "ws://example.com/chat/?room=%C3%A4+%C3%B6&amp;after=a%26b"
    )
    assert url("/chat/?a=1", get()) == "ws://example.com/chat/?a=1"
    text = "{% websocket_url '/chat/?a=1' ids=ids as found %}{{ found|safe }}"
    assert render(text, {"ids": [1, 2]}, get()) == "ws://example.com/chat/?a=1&ids=1&ids=2"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ch at/ä/", "/ch%20at/%C3%A4/"),
        ("/100%25/", "/100%25/"),
        ("/\\evil.com/", "/%5Cevil.com/"),
        ('/"><script>', "/%22%3E%3Cscript%3E"),
        (lazystr("/lazy/"), "/lazy/"),
    ],
)
def test_the_path_is_encoded_where_it_has_to_be(path, expected):
    assert url(path, get()) == f"ws://example.com{expected}"
    assert url(path) == expected


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("chat/", "must begin with '/'; it is 'chat/'"),
        ("", "must begin with '/'; it is ''"),
        (None, "it is 'None'"),
        ("ws://example.com/", "must begin with '/'"),
        ("//evil.com/", "after two comes a host"),
        ("/chat/#top", "has no fragment"),
    ],
)
def test_what_is_no_path_is_said_to_be_none(path, why):
    with pytest.raises(TemplateSyntaxError, match="websocket_url") as raised:
        url(path, get())
    assert why in str(raised.value)


def test_a_path_is_needed():
    with pytest.raises(TemplateSyntaxError, match="'path'"):
        render("{% websocket_url %}")


# The client


@pytest.fixture
def static_url():
    with override_settings(STATIC_URL="/static/"):
        yield


def test_the_script_of_the_client(static_url):
    tag = '<script src="/static/txchannels/websocketbridge.min.js"></script>'
    assert render("{% websocket_bridge %}") == tag


def test_its_tag_has_attributes(static_url):
    text = "{% websocket_bridge nonce=nonce defer=True async=False id=None %}"
    source = "/static/txchannels/websocketbridge.min.js"
    tag = f'<script src="{source}" nonce="&quot;&amp;" defer></script>'
    assert render(text, {"nonce": '"&'}) == tag


def test_its_source_is_its_own(static_url):
    with pytest.raises(TemplateSyntaxError, match="src of its own"):
        render("{% websocket_bridge src='x.js' %}")


def test_a_site_without_static_files_is_told():
    with (
        override_settings(STATIC_URL=None),
        pytest.raises(ImproperlyConfigured, match="STATIC_URL"),
    ):
        render("{% websocket_bridge %}")


# Finding them


def test_an_installed_site_has_them():
    backend = DjangoTemplates({"NAME": "x", "DIRS": [], "APP_DIRS": False, "OPTIONS": {}})
    text = "{% load txchannels %}{% websocket_url '/chat/' %}"
    assert backend.from_string(text).render({}, get(secure=True)) == "wss://example.com/chat/"
