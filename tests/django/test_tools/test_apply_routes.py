"""`apply_routes`: as a context, on functions, on classes; nested; everything is as before."""

from __future__ import annotations

import asyncio
import unittest

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from txchannels.django import channel_layers, route
from txchannels.django.test import Client, apply_routes
from txchannels.django.test.layers import layers_for_tests

TWO_LAYERS = {
    alias: {"BACKEND": "txchannels.layers.memory.MemoryLayer", "ROUTING": []}
    for alias in ("default", "other")
}


@pytest.fixture(autouse=True)
def layers():
    with layers_for_tests() as layers:
        yield layers


def first(message):
    """A consumer."""


def second(message):
    """Another."""


def found(channel="jobs", alias="default"):
    return Client(alias).get_consumer_by_channel(channel)


@pytest.mark.parametrize(
    "routes",
    [
        route("jobs", first),
        [route("jobs", first)],
        (route("jobs", first),),
        [[route("a", second)], [route("jobs", first), [route("b", second)]]],
        {"jobs": first},
    ],
    ids=["a route", "a list", "a tuple", "lists in lists", "a dict"],
)
def test_what_routes_may_be(routes):
    with apply_routes(routes):
        assert found() is first
    assert found() is None


def test_a_dotted_path_is_a_routing():
    with apply_routes("tests.django.routings.site.as_list"):
        assert channel_layers["default"].router.channels == {"news"}


def test_what_is_no_route_is_named_and_nothing_is_changed():
    before = channel_layers["default"]
    with pytest.raises(ImproperlyConfigured, match="first"), apply_routes([first]):
        pass
    assert channel_layers["default"] is before


def test_the_sites_own_routes_are_away_meanwhile():
    with apply_routes(route("jobs", first)), apply_routes(route("more", second)):
        assert (found("jobs"), found("more")) == (None, second)


def test_nested_ones_end_in_turn_also_the_same_one():
    routes = apply_routes(route("jobs", first))
    with routes:
        with apply_routes(route("jobs", second)), routes:
            assert found() is first
        assert found() is first
    assert found() is None


def test_an_error_inside_ends_it():
    with pytest.raises(KeyError), apply_routes(route("jobs", first)):
        raise KeyError
    assert found() is None


def test_messages_stay_where_they_are():
    Client().send("jobs", {"text": "a"})
    with apply_routes(route("jobs", first)):
        assert Client().get_next_message("jobs")["text"] == "a"


@apply_routes([route("jobs", first)])
def test_a_function_is_decorated():
    assert found() is first


def test_a_decorated_function_gets_its_arguments_and_returns():
    @apply_routes(route("jobs", first))
    def function(value, *, more):
        return value, more, found()

    assert function(1, more=2) == (1, 2, first)
    assert function.__name__ == "function"


def test_a_coroutine_function_is_decorated():
    @apply_routes(route("jobs", first))
    async def function():
        await asyncio.sleep(0)
        return found()

    assert asyncio.run(function()) is first
    assert found() is None


@override_settings(CHANNEL_LAYERS=TWO_LAYERS)
def test_aliases_say_which_layers():
    with layers_for_tests():
        with apply_routes(route("jobs", first), aliases=["other"]):
            assert (found(alias="default"), found(alias="other")) == (None, first)
        with apply_routes(route("jobs", first), "other"):
            assert (found(alias="default"), found(alias="other")) == (None, first)
        with apply_routes(route("jobs", first), ["default", "other"]):
            assert (found(alias="default"), found(alias="other")) == (first, first)
        assert (found(alias="default"), found(alias="other")) == (None, None)


def test_an_unknown_alias_is_named():
    with pytest.raises(ValueError, match="'nowhere'"), apply_routes([], aliases=["nowhere"]):
        pass


@apply_routes(route("jobs", first))
class TestAPlainClass:
    def test_its_tests_are_decorated(self):
        assert found() is first

    @apply_routes(route("jobs", second))
    def test_a_methods_own_routes_are_inside(self):
        # the class's come last, as with any decorators: around the method's
        assert found() is second

    def helper(self):
        return found()

    def test_helpers_are_not(self):
        with layers_for_tests():
            assert self.helper() is None


class Base(unittest.TestCase):
    seen = None

    def setUp(self):
        self.seen = found()


@apply_routes(route("jobs", first))
class TestACase(Base):
    def tearDown(self):
        assert found() is first

    def test_they_are_there_from_set_up_to_tear_down(self):
        assert self.seen is first
        assert found() is first

    @apply_routes(route("jobs", second))
    def test_a_methods_own_win(self):
        assert found() is second


class TestADerivedCase(TestACase):
    def setUp(self):
        super().setUp()
        self.own = found()

    def test_they_are_inherited(self):
        assert self.own is first


def test_the_base_of_a_decorated_case_is_not_changed():
    case = Base("setUp")
    case.setUp()
    assert case.seen is None
