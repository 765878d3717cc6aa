"""A message as text: what JSON can hold is JSON, and bytes come back as bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txchannels.django.delay.content import dump_content, load_content
from txchannels.messages import copy_message

#: How fast the machine is, is not asked.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

KEYS = st.text(max_size=5) | st.sampled_from(["$bytes", "$dict"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.binary(max_size=10)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@UNHURRIED
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_a_layer_carries_comes_back(content):
    assert load_content(dump_content(content)) == copy_message(content)


@UNHURRIED
@given(
    st.dictionaries(
        st.sampled_from(["a", "text", "n"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner),
            max_leaves=8,
        ),
    )
)
def test_what_json_can_hold_is_written_as_json(content):
    assert json.loads(dump_content(content)) == content


@pytest.mark.parametrize(
    "value",
    [
        {"$bytes": "aGVsbG8="},
        {"$bytes": 5},
        {"$bytes": b"raw"},
        {"$dict": {}},
        {"$dict": {"$bytes": "x"}},
        {"$bytes": "x", "more": 1},
        [{"$dict": "x"}],
    ],
)
def test_a_dict_that_looks_like_one_of_ours_stays_what_it_is(value):
    assert load_content(dump_content({"a": value})) == {"a": value}


def test_a_message_with_one_of_our_keys_itself_stays_what_it_is():
    assert load_content(dump_content({"$bytes": "aGVsbG8="})) == {"$bytes": "aGVsbG8="}


def test_text_that_no_database_column_takes_is_escaped():
    text = dump_content({"text": "\0 \ud800 é"})
    assert text.isascii()
    assert "\0" not in text
    assert load_content(text) == {"text": "\0 \ud800 é"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", "null", '{"a": {"$bytes": "!"}}', "[" * 100_000 + "]" * 100_000]
)
def test_what_is_no_message_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        load_content(text)
