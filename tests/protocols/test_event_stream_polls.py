"""Long polls: a response that is held until there is something to say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocols.exchanges import Response, Server, Wire, get
from txchannels.settings import WebSocketSettings

START: dict[str, Any] = {"status": 200, "poll": {}}


class Poll:
    """One poll, in the group `room`."""

    def __init__(
        self, server: Server, request: bytes = get(), *, first: Any = START, wire: Any = None
    ) -> None:
        self.server = server
        self.wire = wire or Wire(server)
        self.wire.feed(request)
        self.request = server.requests[-1]
        server.hub.group_add("room", self.request["reply_channel"])
        if first is not None:
            self.reply(first)

    def reply(self, message: Any) -> None:
        self.server.send(self.request, message)

    @property
    def response(self) -> Response:
        [*_, last] = self.wire.responses()
        return last

    @property
    def texts(self) -> list[str]:
        return [event["data"] for event in json.loads(self.response.body)]


def send(server: Server, *messages: Any) -> None:
    for message in messages:
        server.hub.send_group("room", message)
    server.flush()


@pytest.fixture
def server() -> Server:
    return Server()


def test_it_is_held_until_a_message_comes_and_the_next_poll_goes_the_same_way(
    server: Server,
) -> None:
    poll = Poll(server)
    server.advance(20)
    assert poll.wire.sent == b""
    send(server, {"text": "w\xf6rld", "id": 5, "event": "news"})
    assert json.loads(poll.response.body) == [{"data": "w\xf6rld", "id": "5", "event": "news"}]
    assert poll.response.status == 200
    assert poll.response.field("Content-Type") == "application/json"
    assert poll.response.field("Cache-Control") == "no-store"
    assert poll.response.field("Last-Event-ID") == "5"
    assert server.hub.group_channels("room") == []
    again = Poll(server, wire=poll.wire)
    send(server, {"text": "b"})
    assert again.texts == ["b"]
    assert again.response.field("Last-Event-ID") is None


def test_what_comes_together_is_one_answer(server: Server) -> None:
    poll = Poll(server)
    send(server, {"text": "a"}, {"text": "b", "id": "7"}, {"text": "c"})
    assert poll.texts == ["a", "b", "c"]
    assert poll.response.field("Last-Event-ID") == "7"


def test_what_was_sent_before_the_response_is_its_answer(server: Server) -> None:
    poll = Poll(server, first=None)
    send(server, {"text": "a"}, {"text": "b"})
    poll.reply(START)
    assert poll.texts == ["a", "b"]


def test_what_was_missed_is_answered_at_once_and_nothing_twice(server: Server) -> None:
    poll = Poll(server, first=None)
    send(server, {"text": "b", "id": "2"}, {"text": "c", "id": "3"})
    missed = [{"text": "a", "id": "1"}, {"text": "b", "id": "2"}]
    poll.reply({**START, "replay": missed[:1], "more_content": True})
    assert poll.wire.sent == b""
    poll.reply({"replay": missed[1:], "more_content": False})
    assert poll.texts == ["a", "b", "c"]
    assert poll.response.field("Last-Event-ID") == "3"


def test_after_its_time_it_is_answered_204_and_says_where_to_go_on(server: Server) -> None:
    poll = Poll(server, first={**START, "replay": [{"id": "41"}]})
    server.advance(24)
    assert poll.wire.sent == b""
    server.advance(2)
    assert poll.response.status == 204
    assert poll.response.field("Last-Event-ID") == "41"
    assert poll.response.field("Content-Type") is None
    assert server.hub.group_channels("room") == []


def test_its_time_is_the_application_s_to_say_and_not_that_of_responses(server: Server) -> None:
    short = Poll(server, first={**START, "poll": {"timeout": 3}})
    long = Poll(server, first={**START, "poll": {"timeout": 500}})
    server.advance(5)
    assert short.response.status == 204
    server.advance(490)
    assert long.wire.sent == b""
    server.advance(10)
    assert long.response.status == 204


def test_a_history_that_never_ends_is_answered_503_in_the_time_of_responses(
    server: Server,
) -> None:
    poll = Poll(server, first={**START, "replay": [{"text": "a"}], "more_content": True})
    server.advance(121)
    assert poll.response.status == 503


def test_a_history_that_is_too_long_is_answered_in_parts(server: Server) -> None:
    server.site.websocket = WebSocketSettings(max_unsent_bytes=1_000)
    events = [{"text": f"{number:0100}", "id": number} for number in range(100)]
    poll = Poll(server, first={**START, "replay": events[:50], "more_content": True})
    assert poll.texts == [event["text"] for event in events[:50]]
    assert poll.response.field("Last-Event-ID") == "49"
    assert len(server.site.feeds) == 0


def test_more_than_can_be_held_is_answered_with_what_could(server: Server) -> None:
    server.site.websocket = WebSocketSettings(max_unsent_bytes=1_000)
    poll = Poll(server, first=None)
    for number in range(20):
        send(server, {"text": f"{number:0100}", "id": number})
    poll.reply(START)
    assert 0 < len(poll.texts) < 10
    assert poll.response.field("Last-Event-ID") == str(len(poll.texts) - 1)


def test_head_is_answered_at_once(server: Server) -> None:
    poll = Poll(server, get(method="HEAD"))
    assert [one.status for one in poll.wire.responses("HEAD")] == [204]
    assert server.hub.group_channels("room") == []


def test_a_close_is_an_answer(server: Server) -> None:
    poll = Poll(server)
    send(server, {"close": 4001})
    assert json.loads(poll.response.body) == [{"data": "4001", "event": "close"}]


def test_what_says_nothing_answers_nothing(server: Server, errors: list[str]) -> None:
    poll = Poll(server)
    send(server, {}, {"id": "3"}, {"bytes": b"a"})
    assert poll.wire.sent == b""
    assert server.count("events.refused") == 1
    send(server, {"text": "a"})
    assert poll.texts == ["a"]
    assert poll.response.field("Last-Event-ID") == "3"


def test_the_application_may_answer_it_in_another_way(server: Server) -> None:
    poll = Poll(server)
    poll.reply({"status": 403, "content": b"no", "more_content": True})
    send(server, {"text": "a"})
    poll.reply({"content": b"!"})
    assert (poll.response.status, poll.response.body) == (403, b"no!")
    assert len(server.site.feeds) == 0


def test_a_client_that_leaves_is_in_no_group(server: Server) -> None:
    server.listen_to_disconnects()
    poll = Poll(server)
    poll.wire.lose()
    assert server.hub.group_channels("room") == []
    assert len(server.gone) == 1
    server.assert_nothing_left()
    [told] = server.log.requests
    assert 499 in told


def test_fields_that_cannot_be_sent_are_answered_500(server: Server, errors: list[str]) -> None:
    poll = Poll(server, first={**START, "headers": [[b"a", b"b\r\nc: d"]]})
    send(server, {"text": "a"})
    assert poll.response.status == 500
    assert len(errors) == 1
    late = Poll(server, first={**START, "headers": [[b"a b", b"c"]]})
    server.advance(26)
    assert late.response.status == 500


def test_a_worker_that_dies_over_the_history_is_answered_502(server: Server) -> None:
    poll = Poll(server, first={**START, "more_content": True})
    poll.reply({"lost": 0})
    assert poll.response.status == 502
    held = Poll(server)
    held.reply({"lost": 0})
    send(server, {"text": "a"})
    assert held.texts == ["a"]


def test_a_stop_answers_polls_a_few_at_a_time(server: Server) -> None:
    polls = [Poll(server) for _ in range(200)]
    server.site.stop(10)
    assert sum(bool(poll.wire.sent) for poll in polls) == 100
    server.site.stop()
    for poll in polls:
        assert poll.response.status == 204
        assert poll.wire.is_closed
    send(server, {"text": "late"})
    assert len(server.site.feeds) == 0


def test_all_polls_of_a_group_get_the_same(server: Server) -> None:
    polls = [Poll(server) for _ in range(5)]
    send(server, {"text": "a", "id": 1}, {"text": "b", "id": 2})
    assert len({poll.response.body for poll in polls}) == 1
    assert polls[0].texts == ["a", "b"]
