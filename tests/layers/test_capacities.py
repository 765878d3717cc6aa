from __future__ import annotations

import re

import pytest

from txchannels.errors import ConfigurationError
from txchannels.layers.capacities import Capacities, site_capacities


def test_a_channel_that_nothing_names_has_the_default():
    assert Capacities(7).of("chat") == 7
    assert Capacities(7, {"other": 3}).of("chat") == 7


def test_a_glob_matches_the_whole_name():
    capacities = Capacities(7, {"http.*": 3, "chat": 2})
    assert capacities.of("http.request") == 3
    assert capacities.of("xhttp.request") == 7
    assert capacities.of("chat.room") == 7
    assert capacities.of("CHAT") == 7


def test_a_pattern_matches_the_start():
    assert Capacities(7, {re.compile(r"http\."): 3}).of("http.request") == 3
    assert Capacities(7, {re.compile(r"http\.$"): 3}).of("http.request") == 7


def test_the_first_match_wins():
    assert Capacities(7, {"http.*": 3, "http.request": 5}).of("http.request") == 3
    assert Capacities(7, {"http.request": 5, "http.*": 3}).of("http.request") == 5


@pytest.mark.parametrize("value", [0, -1, 1.5, "9", True, None])
def test_a_capacity_must_be_a_positive_whole_number(value):
    with pytest.raises(ConfigurationError, match=r"CONFIG\['channel_capacity'\]\['a'\]"):
        Capacities(7, {"a": value})
    with pytest.raises(ConfigurationError, match=r"CONFIG\['capacity'\]"):
        Capacities(value)


@pytest.mark.parametrize("value", [[("a", 3)], 7, "a", [], 0, ""])
def test_what_is_no_dict_of_capacities_is_refused_by_its_name(value):
    with pytest.raises(ConfigurationError, match=r"CONFIG\['channel_capacity'\].*must be a dict"):
        site_capacities(100, value)


@pytest.mark.parametrize("key", [7, None, re.compile(b"a")])
def test_a_key_must_be_a_glob_or_a_pattern(key):
    with pytest.raises(ConfigurationError, match=r"CONFIG\['channel_capacity'\]\[.*must have"):
        site_capacities(100, {key: 3})


def test_none_is_no_capacities_of_ones_own():
    assert site_capacities(7, None).of("chat") == 7
