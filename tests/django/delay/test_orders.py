"""What may be asked of asgi.delay, and what is refused with which words."""

from __future__ import annotations

import pytest

from txchannels.django.delay.orders import MAX_DELAY_MS, BadOrder, Order, read_order

GOOD = {"channel": "out", "delay": 500, "content": {"text": "later"}}


def test_an_order_is_read():
    assert read_order(GOOD) == Order("out", 500, {"text": "later"})


@pytest.mark.parametrize("delay", [0, 1, MAX_DELAY_MS])
def test_a_delay_may_be_none_and_ten_years(delay):
    assert read_order(GOOD | {"delay": delay}).delay == delay


@pytest.mark.parametrize("channel", ["sockets!abc", "http.request.body?xyz", "a.b-c_d"])
def test_any_channel_may_be_the_destination(channel):
    assert read_order(GOOD | {"channel": channel}).channel == channel


def test_further_fields_do_no_harm():
    assert read_order(GOOD | {"reply_channel": "a!b", "__retries__": 3}) == read_order(GOOD)


def test_the_content_is_copied_and_keeps_bytes():
    inner = [b"\xff", 1.5, None]
    order = read_order(GOOD | {"content": {"a": inner}})
    inner.append("more")
    assert order.content == {"a": [b"\xff", 1.5, None]}


@pytest.mark.parametrize("missing", ["channel", "delay", "content"])
def test_all_three_fields_are_needed(missing):
    fields = {key: value for key, value in GOOD.items() if key != missing}
    with pytest.raises(BadOrder, match=f"^'{missing}' is missing"):
        read_order(fields)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("delay", -1, "0 to"),
        ("delay", MAX_DELAY_MS + 1, "ten years"),
        ("delay", 10**400, "0 to"),
        ("delay", "500", "whole number of milliseconds, not str: '500'"),
        ("delay", 0.5, "not float"),
        ("delay", True, "not bool"),
        ("delay", None, "not NoneType"),
        ("channel", "no channel", "'no channel'"),
        ("channel", "", "Channel name"),
        ("channel", "a" * 100, "fewer than 100"),
        ("channel", "a" * 10_000, "fewer than 100"),
        ("channel", "sockets!", "start of many"),
        ("channel", "body?", "Channel name"),
        ("channel", None, "must be text, not NoneType"),
        ("channel", ["out"], "must be text, not list"),
        ("channel", b"out", "must be text, not bytes"),
        ("content", None, "must be a dict"),
        ("content", "text", "must be a dict"),
        ("content", {"a": object()}, "carry only"),
        ("content", {1: 2}, "keys must be text"),
        ("content", {"a": "x" * 2**21}, "bytes"),
    ],
)
def test_what_is_wrong_is_said(field, value, says):
    with pytest.raises(BadOrder) as caught:
        read_order(GOOD | {field: value})
    assert says in str(caught.value)
