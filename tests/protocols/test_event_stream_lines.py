"""Messages as the lines of an event stream, and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.eventsource import Seen, Source
from txchannels.protocols.eventstream import (
    HEARTBEAT,
    Event,
    encode_events,
    encode_json,
    encode_retry,
    read_event,
)
from txchannels.protocols.replies import IllegalReply

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
tricky = st.text(st.sampled_from("a:\r\n \u2028\x85\x0b\ufeff\xe9"), max_size=20) | texts
lines = tricky.map(lambda text: text.translate({0: None, 10: None, 13: None}))
ids = tricky.map(lambda text: text.translate(dict.fromkeys([*range(32), 127])))


def as_lines(text: str) -> str:
    """What an event stream can carry of *text*: any line's end is one."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(st.tuples(tricky, ids, lines), max_size=5), st.integers(1, 20))
def test_what_a_browser_reads_is_what_was_sent(
    sent: list[tuple[str, str, str]], piece: int
) -> None:
    messages = [{"text": text, "id": key, "event": name} for text, key, name in sent]
    encoded = encode_events(map(read_event, messages))
    source = Source().feed(encode_retry(3))
    for at in range(0, len(encoded), piece):
        source.feed(encoded[at : at + piece])
    wanted = [Seen(as_lines(text), key, name or "message") for text, key, name in sent]
    assert source.events == [one for one in wanted if one.name != "heartbeat"]


@given(st.lists(st.tuples(tricky, ids, lines), max_size=5))
def test_json_carries_every_text_as_it_is(sent: list[tuple[str, str, str]]) -> None:
    messages = [{"text": text, "id": key, "event": name} for text, key, name in sent]
    wanted = []
    for text, key, name in sent:
        wanted.append({"data": text, "id": key, **({"event": name} if name else {})})
    assert json.loads(encode_json(map(read_event, messages))) == wanted


def test_an_empty_text_is_an_event() -> None:
    assert Source().feed(encode_events([Event("")])).events == [Seen("")]


def test_an_id_alone_moves_the_cursor_and_is_no_event() -> None:
    source = Source().feed(encode_events([read_event({"id": 7}), Event("a")]))
    assert source.events == [Seen("a", "7")]
    assert json.loads(encode_json([Event(id="7"), Event("a")])) == [{"data": "a"}]


def test_an_empty_id_forgets_the_last() -> None:
    source = Source().feed(encode_events([Event("a", "7"), Event("b", "")]))
    assert [event.last_id for event in source.events] == ["7", ""]


def test_what_says_nothing_is_nothing() -> None:
    assert encode_events([read_event({})]) == b""
    assert encode_events([]) == b""


@pytest.mark.parametrize(("close", "code"), [(True, "1000"), (4001, "4001")])
def test_a_close_is_an_event_of_that_name_and_the_last(close: Any, code: str) -> None:
    event = read_event({"text": "bye", "close": close})
    assert Source().feed(encode_events([event])).events == [Seen("bye"), Seen(code, "", "close")]
    assert json.loads(encode_json([event])) == [{"data": "bye"}, {"data": code, "event": "close"}]


def test_what_concerns_sockets_alone_is_ignored() -> None:
    assert read_event({"accept": True, "subprotocol": "a", "close": False}) == Event()
    assert read_event({"text": "a", "bytes": None}) == Event("a")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"bytes": b"a"}, "bytes"),
        ({"bytes": b""}, "bytes"),
        ({"text": 5}, "'text' must be str, not int"),
        ({"text": "\ud800"}, "not Unicode"),
        ({"text": "a", "id": "1\n2"}, "'id' must be one line"),
        ({"text": "a", "id": "1\r"}, "'id' must be one line"),
        ({"text": "a", "id": "\0"}, "'id' must be one line"),
        ({"text": "a", "id": 1.5}, "'id' must be str, not float"),
        ({"text": "a", "id": True}, "'id' must be str, not bool"),
        ({"text": "a", "event": "a\nb"}, "'event' must be one line"),
        ({"text": "a", "event": 5}, "'event' must be str"),
        ({"close": "now"}, "'close' must be True or a code"),
        ({"status": 200}, "no 'status'"),
        ({"txet": "a"}, "no 'txet'"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(message: Any, said: str) -> None:
    with pytest.raises(IllegalReply, match=said):
        read_event(message)


def test_a_heartbeat_is_no_event_of_the_page_s() -> None:
    source = Source().feed(HEARTBEAT * 2)
    assert (source.events, source.beats) == ([], 2)


def test_the_time_to_come_back_is_in_milliseconds() -> None:
    assert Source().feed(encode_retry(2.5)).retry == 2500
