from __future__ import annotations

import enum
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txchannels.errors import MessageTooLarge
from txchannels.messages import MAX_DEPTH, MAX_MESSAGE_BYTES, copy_message

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


def mutables(value):
    """The identities of all lists and dicts in *value*."""
    if isinstance(value, dict):
        return {id(value)}.union(*map(mutables, value.values()))
    if isinstance(value, list):
        return {id(value)}.union(*map(mutables, value))
    return set()


@given(st.dictionaries(st.text(max_size=9), values))
def test_a_copy_is_equal_and_shares_nothing_changeable(message):
    copied = copy_message(message)
    assert copied == message
    assert not mutables(copied) & mutables(message)


def test_tuples_become_lists():
    assert copy_message({"headers": [(b"a", b"b")]}) == {"headers": [[b"a", b"b"]]}


class Word(str):
    __slots__ = ()

    def __str__(self):
        return self


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Word("x"), "x"),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (bytearray(b"x"), b"x"),
        (memoryview(b"xyz")[::2], b"xz"),
        (OrderedDict(a=1), {"a": 1}),
    ],
)
def test_kinds_of_plain_types_become_plain(value, plain):
    for copied in (copy_message({"a": value})["a"], copy_message({"a": [value]})["a"][0]):
        assert copied == plain
        assert type(copied) is type(plain)


@pytest.mark.parametrize("message", [None, [], "text", 3, [("a", 1)]])
def test_a_message_must_be_a_dict(message):
    with pytest.raises(TypeError, match="must be a dict"):
        copy_message(message)


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ({"a": object()}, r"message\['a'\] is a object"),
        ({"a": {"b": [1, {2}]}}, r"message\['a'\]\['b'\]\[1\] is a set"),
        ({"a": [1j]}, r"message\['a'\]\[0\] is a complex"),
        ({1: "a"}, r"message\[1\] .*keys must be text"),
        ({"a": {b"b": 1}}, r"message\['a'\]\[b'b'\] .*keys must be text"),
        ({"a": 2**63}, r"message\['a'\] .*64 bits"),
        ({"a": [-(2**63) - 1]}, r"message\['a'\]\[0\] .*64 bits"),
    ],
)
def test_what_no_layer_carries_is_refused_and_named(message, where):
    with pytest.raises(TypeError, match=where):
        copy_message(message)


def nested(depth):
    message = {}
    for _ in range(depth - 1):
        message = {"a": message}
    return message


def test_nesting_is_bounded():
    assert copy_message(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(TypeError, match="deeper than"):
        copy_message(nested(MAX_DEPTH + 1))
    endless = {}
    endless["a"] = endless
    with pytest.raises(TypeError, match="deeper than"):
        copy_message(endless)


def test_a_mebibyte_is_carried():
    copy_message({"text": "x" * 2**20})
    copy_message({"bytes": b"x" * 2**20, "headers": [[b"a", b"b"]] * 50})


@pytest.mark.parametrize(
    "message",
    [
        {"a": b"x" * 101},
        {"a": "x" * 101},
        {"a": "€" * 40},
        {"a": b"x" * 60, "b": [b"x" * 60]},
        {"a": [None] * 101},
        {"a": [[]] * 101},
        {"x" * 101: 1},
        {str(n): n for n in range(99)},
    ],
    ids=range(8),
)
def test_a_message_over_the_limit_is_refused(message):
    with pytest.raises(MessageTooLarge, match="100 bytes"):
        copy_message(message, max_bytes=100)


def test_the_limit_counts_bytes_of_text_as_utf8():
    copy_message({"a": "€" * 30}, max_bytes=100)
    copy_message({"a": "\ud800"})
    with pytest.raises(MessageTooLarge):
        copy_message({"a": "€" * (MAX_MESSAGE_BYTES // 3 + 1)})
