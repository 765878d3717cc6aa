from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.django.routings import site
from txchannels.django import include, route, route_class
from txchannels.django.exceptions import DenyConnection
from txchannels.django.handler import ViewConsumer
from txchannels.django.routing import Router
from txchannels.django.signals import gap


def one(message, **kwargs):
    pass


def two(message, **kwargs):
    pass


class Chat:
    def __init__(self, message, **kwargs):
        pass

    @classmethod
    def channel_names(cls):
        return {"websocket.connect", "websocket.receive"}


# Routes


def test_a_message_goes_to_the_consumer_of_its_channel(make_message):
    router = Router([route("a", one), route(["b", b"c"], two)])
    assert router.channels == {"a", "b", "c"}
    assert router.match(make_message("a")) == (one, {})
    assert router.match(make_message("b")) == (two, {})
    assert router.match(make_message("c")) == (two, {})
    assert router.match(make_message("d")) is None


def test_every_filter_must_match_the_start_of_its_field(make_message):
    router = Router([route("a", one, path=r"/chat", method="POST$")])
    assert router.match(make_message("a", path="/chat/x", method="POST")) == (one, {})
    assert router.match(make_message("a", path="/chat/x", method="POSTS")) is None
    assert router.match(make_message("a", path="/x/chat", method="POST")) is None
    assert router.match(make_message("a", path="/chat/x")) is None


def test_named_groups_become_keyword_arguments_also_unmatched_ones(make_message):
    router = Router([route("a", one, path=r"^/(?P<room>\w+)/(?P<page>\d+)?", method="(?P<m>.*)")])
    found = router.match(make_message("a", path="/lobby/", method="GET"))
    assert found == (one, {"room": "lobby", "page": None, "m": "GET"})


@pytest.mark.parametrize(
    "pattern", ["x=(?P<x>.)", b"x=(?P<x>.)", re.compile("X=(?P<x>.)", re.IGNORECASE)]
)
@pytest.mark.parametrize("value", ["x=1", b"x=1"])
def test_filters_and_fields_may_be_text_or_bytes(make_message, pattern, value):
    router = Router([route("a", one, query_string=pattern)])
    assert router.match(make_message("a", query_string=value)) == (one, {"x": "1"})


def test_bytes_that_are_no_text_harm_nobody(make_message):
    router = Router([route("a", one, query_string="x=")])
    assert router.match(make_message("a", query_string=b"x=\xff")) == (one, {})
    assert router.match(make_message("a", query_string=b"\xff")) is None


@pytest.mark.parametrize(
    ("value", "found"), [(None, False), ([], False), (1000, True), (3000, False)]
)
def test_fields_that_are_no_text(make_message, value, found):
    router = Router([route("a", one, code="1000")])
    assert (router.match(make_message("a", code=value)) is not None) is found


def test_a_group_without_a_name_is_refused():
    with pytest.raises(ValueError, match="group without a name"):
        route("a", one, path=r"/(\w+)/(?P<page>\d+)")


def test_a_filter_that_is_no_regular_expression_is_named():
    with pytest.raises(ImproperlyConfigured, match=r"path='\(' is no regular expression"):
        route("a", one, path="(")


def test_the_first_match_wins(make_message):
    router = Router([route("a", one, path="/x"), route("a", two), route("a", one)])
    assert router.match(make_message("a", path="/x"))[0] is one
    assert router.match(make_message("a", path="/y"))[0] is two


def test_a_consumer_may_be_a_dotted_path(make_message):
    router = Router([route("a", "tests.django.routings.site.consumer")])
    assert router.match(make_message("a"))[0] is site.consumer


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("tests.django.routings.site.nothing", "'tests.django.routings.site' has no 'nothing'"),
        ("tests.nowhere.consumer", "no module 'tests.nowhere'"),
        ("nodots", "not a dotted path"),
        ("tests.django.routings.site.number", "not callable: 3"),
    ],
)
def test_a_consumer_that_does_not_exist_is_named_with_its_channel(path, fault):
    with pytest.raises(ImproperlyConfigured, match=f"consumer for news.*{fault}"):
        route("news", path)


def test_what_the_import_raised_is_chained():
    with pytest.raises(ImproperlyConfigured) as caught:
        route("news", "tests.nowhere.consumer")
    assert isinstance(caught.value.__cause__, ImportError)


def test_an_import_error_inside_the_consumers_module_is_left_alone():
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        route("news", "tests.django.routings.broken.consumer")
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        Router("tests.django.routings.broken.routing")


# Classes


def test_a_class_names_its_channels(make_message):
    router = Router([route_class(Chat, path="^/(?P<room>.*)")])
    assert router.channels == {"websocket.connect", "websocket.receive"}
    assert router.match(make_message("websocket.receive", path="/x")) == (Chat, {"room": "x"})


def test_a_class_that_names_none_is_refused():
    with pytest.raises(ValueError, match="channel_names"):
        route_class(one)
    with pytest.raises(ValueError, match="channel_names"):
        route_class("tests.django.routings.site.consumer")


def test_a_class_may_be_a_dotted_path():
    assert route_class(f"{__name__}.Chat").channel_names() == Chat.channel_names()


# Includes


def test_an_include_cuts_off_what_it_matched(make_message):
    inner = [route("a", one, path=r"^/(?P<room>\w+)$"), route("a", two, path="^$")]
    router = Router([include(inner, path="^/chat")])
    assert router.channels == {"a"}
    assert router.match(make_message("a", path="/chat/x")) == (one, {"room": "x"})
    assert router.match(make_message("a", path="/chat")) == (two, {})
    assert router.match(make_message("a", path="/x")) is None
    assert router.match(make_message("a")) is None


def test_the_message_stays_as_it_came(make_message):
    router = Router([include([route("a", one, path="^/x")], path="^/chat")])
    message = make_message("a", path="/chat/x")
    assert router.match(message) is not None
    assert message["path"] == "/chat/x"


def test_named_groups_of_an_include_are_merged_and_inner_ones_win(make_message):
    inner = [route("a", one, path=r"^/(?P<room>\w+)")]
    router = Router([include(inner, path=r"^/(?P<site>\w+)", method="(?P<room>.*)")])
    found = router.match(make_message("a", path="/s/lobby", method="GET"))
    assert found == (one, {"site": "s", "room": "lobby"})


def test_includes_nest(make_message):
    router = Router([include([include([route("a", one, path="^/c$")], path="^/b")], path="^/a")])
    assert router.match(make_message("a", path="/a/b/c")) == (one, {})
    assert router.match(make_message("a", path="/a/c")) is None


def test_an_include_without_a_match_leaves_the_message_to_later_routes(make_message):
    router = Router([include([route("a", one, path="^/x$")], path="^/chat"), route("a", two)])
    assert router.match(make_message("a", path="/chat/y")) == (two, {})


@pytest.mark.parametrize("name", ["as_list", "as_dict"])
def test_a_routing_may_be_a_dotted_path_of_a_list_or_dict(make_message, name):
    path = f"tests.django.routings.site.{name}"
    for router in (Router(path), Router([include(path)])):
        assert router.match(make_message("news")) == (site.consumer, {})


@pytest.mark.parametrize(
    ("routing", "fault"),
    [
        ("tests.nowhere.routing", "no module 'tests.nowhere'"),
        ("tests.django.routings.site.number", r"'tests\.django\.routings\.site\.number' must be"),
        (
            "tests.django.routings.site",
            r"site' is a module; .* such as tests\.django\.routings\.site\.channel_routing",
        ),
        (3, "must be a list of routes or a dict"),
        ([one], "which is no route"),
        ({"news": 3}, "consumer for news is not callable"),
    ],
)
def test_what_is_no_routing_is_refused(routing, fault):
    with pytest.raises(ImproperlyConfigured, match=fault):
        Router(routing)


# The router


def test_a_route_of_ones_own_kind_is_asked(make_message):
    mine = SimpleNamespace(
        match=lambda message: (one, {"n": 1}) if message.get("mine") else None,
        channel_names=lambda: {"a"},
    )
    router = Router([mine, route("a", two)])
    assert router.match(make_message("a", mine=True)) == (one, {"n": 1})
    assert router.match(make_message("a")) == (two, {})


def test_a_route_can_be_added(make_message):
    router = Router([])
    router.add_route(route("a", one))
    assert router.channels == {"a"}
    assert router.match(make_message("a")) == (one, {})


def test_by_default_http_goes_to_the_views(make_message):
    router = Router([route("http.request", one, path="^/mine")])
    router.check_default()
    assert router.match(make_message("http.request", path="/mine"))[0] is one
    assert isinstance(router.match(make_message("http.request", path="/"))[0], ViewConsumer)


def test_the_consumer_of_http_can_be_given(make_message):
    router = Router([])
    router.check_default(http_consumer=two)
    assert router.match(make_message("http.request"))[0] is two


def test_a_site_that_routes_websockets_accepts_those_that_it_does_not_connect(make_message, layer):
    router = Router([route("websocket.receive", one)])
    router.check_default()
    message = make_message("websocket.connect")
    consumer, kwargs = router.match(message)
    consumer(message, **kwargs)
    assert layer.on("sockets!a") == [{"accept": True}]
    message = make_message("websocket.disconnect")
    assert router.match(message)[0](message) is None
    assert router.match(make_message("websocket.receive"))[0] is one


def test_a_site_without_websockets_denies_them(make_message):
    router = Router([route("http.request", one)])
    router.check_default()
    message = make_message("websocket.connect")
    with pytest.raises(DenyConnection):
        router.match(message)[0](message)


def test_the_default_routes_come_once(make_message):
    router = Router([])
    router.check_default()
    router.check_default()
    message = make_message("websocket.connect")
    with pytest.raises(DenyConnection):
        router.match(message)[0](message)
    assert router.channels == {
        "http.request",
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
        "txchannels.gap",
        "asgi.delay",
        "txchannels.delay",
    }


def test_a_gap_becomes_a_signal(make_message):
    told = []

    def receiver(signal, sender, **gap):
        told.append(gap)

    gap.connect(receiver)
    router = Router([])
    router.check_default()
    message = make_message("txchannels.gap", None, since=1.0, until=2.5)
    router.match(message)[0](message)
    gap.disconnect(receiver)
    assert told == [{"since": 1.0, "until": 2.5, "channel_layer": "default"}]


def test_a_site_may_route_gaps_itself(make_message):
    router = Router([route("txchannels.gap", one, since="^9")])
    router.check_default()
    assert router.match(make_message("txchannels.gap", None, since=9.0)) == (one, {})
    assert router.match(make_message("txchannels.gap", None, since=1.0)) is None
