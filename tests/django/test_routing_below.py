"""Routes see the path below the place where the site hangs, as Django's URLs do."""

from __future__ import annotations

import pytest
from django.test import override_settings

from txchannels.django import include, route
from txchannels.django.below import below
from txchannels.django.message import Message
from txchannels.django.routing import Router
from txchannels.django.unrouted import accept


def chat(message, room=None):
    pass


def page(message):
    pass


def views(message):
    pass


def make(*routes, root_path=None):
    """The router of a daemon that hangs at *root_path*, or of a program that knows of none."""
    router = Router(list(routes))
    if root_path is not None:
        router.root_path = root_path
    router.check_default(http_consumer=views)
    return router


def match(router, path, channel="websocket.receive", **content):
    message = Message({"path": path, "text": "", **content}, channel, None)
    found = router.match(message)
    assert message.content["path"] == path, "the consumer gets the message as it came"
    return found


@pytest.mark.parametrize(
    ("path", "script_name", "rest"),
    [
        ("/shop/a", "/shop", "/a"),
        ("/shop/a", "/shop/", "/a"),
        ("/shop/", "/shop", "/"),
        ("/shop", "/shop", "/"),
        ("/shopping/a", "/shop", None),
        ("/a", "/shop", None),
        ("/Shop/a", "/shop", None),
        ("", "/shop", None),
        ("/a", "/", "/a"),
        ("/shop/shop/a", "/shop", "/shop/a"),
        ("//shop/a", "/shop", None),
    ],
)
def test_what_is_below(path, script_name, rest):
    assert below(path, script_name) == rest


@pytest.mark.parametrize("path", ["/shop/chat/lobby/", "/chat/lobby/"])
@pytest.mark.parametrize("channel", ["websocket.connect", "websocket.receive", "http.request"])
def test_whether_a_proxy_cuts_the_prefix_off_or_not(path, channel):
    router = make(route(channel, chat, path=r"^/chat/(?P<room>\w+)/$"), root_path="/shop")
    assert match(router, path, channel) == (chat, {"room": "lobby"})


def test_what_a_message_says_of_its_own_server_counts():
    """One that was taken in at another host, which hangs elsewhere."""
    router = make(route("http.request", page, path="^/a$"), root_path="/shop")
    assert match(router, "/store/a", "http.request", root_path="/store") == (page, {})
    assert match(router, "/shop/a", "http.request", root_path="/store")[0] is views
    assert match(router, "/shop/a", "http.request", root_path="") == (page, {})


def test_the_settings_win():
    with override_settings(FORCE_SCRIPT_NAME="/forced/"):
        router = make(route("http.request", page, path="^/a$"))
        assert match(router, "/forced/a", "http.request", root_path="/store") == (page, {})
        assert match(router, "/store/a", "http.request", root_path="/store")[0] is views
        assert match(router, "/forced/a", "http.request") == (page, {})


def test_a_route_with_the_prefix_matches_too_as_in_channels_1():
    router = make(
        route("websocket.receive", chat, path=r"^/shop/chat/$"),
        route("websocket.receive", page, path=r"^/news/$"),
        root_path="/shop",
    )
    assert match(router, "/shop/chat/") == (chat, {})
    assert match(router, "/shop/news/") == (page, {})
    assert match(router, "/shop/shop/chat/") == (chat, {})


def test_the_path_below_comes_first():
    router = make(
        route("websocket.receive", chat, path=r"^/shop/"),
        route("websocket.receive", page, path=r"^/\w+/$"),
        root_path="/shop",
    )
    assert match(router, "/shop/news/") == (page, {})
    assert match(router, "/shop/shop/news/") == (chat, {})


def test_an_include_cuts_off_what_is_below():
    inner = [route("websocket.receive", chat, path=r"^(?P<room>\w+)/$")]
    router = make(include(inner, path="^/chat/"), root_path="/shop")
    assert match(router, "/shop/chat/lobby/") == (chat, {"room": "lobby"})


def test_what_no_route_takes_goes_where_it_goes_without_a_prefix():
    router = make(route("websocket.receive", chat, path=r"^/chat/$"), root_path="/shop")
    assert match(router, "/shop/else", "websocket.connect")[0] is accept
    assert match(router, "/shop/else", "http.request")[0] is views
    assert match(router, "/shop/else") == match(router, "/else")
    bare = Router([route("websocket.receive", chat, path=r"^/chat/$")])
    bare.root_path = "/shop"
    assert match(bare, "/shop/else") is None
    assert match(bare, "/shop/chat/") == (chat, {})


def test_messages_without_a_path_are_not_concerned():
    router = make(route("orders.new", page), root_path="/shop")
    message = Message({"n": 1}, "orders.new", None)
    assert router.match(message) == (page, {})
    message = Message({"path": None}, "orders.new", None)
    assert router.match(message) == (page, {})


def test_a_route_of_ones_own_sees_the_rest_too():
    class Own:
        def match(self, message):
            return (page, {}) if message["path"] == "/a" else None

        def channel_names(self):
            return {"http.request"}

    router = make(Own(), root_path="/shop")
    assert match(router, "/shop/a", "http.request") == (page, {})
