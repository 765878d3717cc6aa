"""Event streams: a response that goes on with what groups are sent, to the last client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.eventsource import Source
from tests.protocols.exchanges import Response, Server, Wire, get, post, read_responses
from tests.protocols.sockets import mask_frame, read_frames
from txchannels.settings import WebSocketSettings

START: dict[str, Any] = {"status": 200, "events": {}}


class Stream:
    """One client of an event stream, in the group `room`."""

    def __init__(
        self, server: Server, request: bytes = get(), *, first: Any = START, joins: bool = True
    ) -> None:
        self.server = server
        self.wire = Wire(server, request)
        self.request = server.requests[-1]
        self.channel = self.request["reply_channel"]
        if joins:
            server.hub.group_add("room", self.channel)
        if first is not None:
            self.reply(first)

    def reply(self, message: Any) -> None:
        self.server.send(self.request, message)

    @property
    def response(self) -> Response:
        return read_responses(self.wire.sent)[0]

    @property
    def source(self) -> Source:
        return Source().feed(self.response.body)

    @property
    def texts(self) -> list[str]:
        return [event.data for event in self.source.events]

    def lose(self) -> None:
        self.wire.lose()


def send(server: Server, *messages: Any, group: str = "room") -> None:
    """All before the reactor comes round."""
    for message in messages:
        server.hub.send_group(group, message)
    server.flush()


def limit(server: Server, **limits: Any) -> None:
    server.site.websocket = WebSocketSettings(**limits)


@pytest.fixture
def server() -> Server:
    return Server()


def open_socket(server: Server) -> Wire:
    """A WebSocket in the same group."""
    connects: list[Any] = []
    server.hub.subscribe(
        ["websocket.connect"], lambda channel, message: connects.append(message)
    ).request(10**9)
    fields = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    wire = Wire(server, get("/chat", *fields))
    server.hub.group_add("room", connects[-1]["reply_channel"])
    server.send(connects[-1], {"accept": True})
    wire.transport.sent.clear()
    return wire


# What it is


def test_a_group_s_messages_go_to_sockets_and_event_streams_alike(server: Server) -> None:
    stream = Stream(server)
    socket = open_socket(server)
    send(server, {"text": "one", "id": 1}, {"text": "two", "event": "news"}, {"text": ""})
    assert stream.texts == ["one", "two", ""]
    assert [event.name for event in stream.source.events] == ["message", "news", "message"]
    assert [event.last_id for event in stream.source.events] == ["1", "1", "1"]
    assert read_frames(socket.sent) == [(0x81, b"one"), (0x81, b"two"), (0x81, b"")]


def test_its_head_keeps_caches_and_proxies_from_holding_it(server: Server) -> None:
    response = Stream(server).response
    assert response.status == 200
    assert response.field("Content-Type") == "text/event-stream"
    assert response.field("Cache-Control") == "no-store"
    assert response.field("X-Accel-Buffering") == "no"
    assert response.field("Transfer-Encoding") == "chunked"
    assert response.field("Content-Length") is None
    assert not response.is_whole


def test_the_application_s_fields_are_kept_but_for_those_that_cannot_hold(server: Server) -> None:
    headers = [
        [b"Content-Length", b"0"],
        [b"content-type", b"text/html"],
        [b"Content-Encoding", b"gzip"],
        [b"cache-control", b"no-cache"],
        [b"Set-Cookie", b"a=1"],
        [b"Set-Cookie", b"b=2"],
    ]
    response = Stream(server, first={**START, "headers": headers}).response
    assert response.field("Content-Type") == "text/event-stream"
    assert response.field("Cache-Control") == "no-cache"
    assert response.field("Content-Encoding") is None
    assert response.field("Content-Length") is None
    assert [value for name, value in response.fields if name == "Set-Cookie"] == ["a=1", "b=2"]


def test_http_1_0_reads_it_until_it_is_closed(server: Server) -> None:
    stream = Stream(server, get(version="1.0"))
    send(server, {"text": "a"})
    assert stream.response.field("Transfer-Encoding") is None
    assert stream.response.field("Connection") == "close"
    assert stream.texts == ["a"]
    stream.reply({"close": True})
    assert stream.wire.is_closed


def test_head_is_answered_with_the_head_alone_and_holds_nothing(server: Server) -> None:
    stream = Stream(server, get(method="HEAD"))
    [response] = stream.wire.responses("HEAD")
    assert response.field("Content-Type") == "text/event-stream"
    assert len(server.site.feeds) == 0
    assert server.hub.group_channels("room") == []
    send(server, {"text": "a"})
    assert stream.wire.responses("HEAD") == [response]


def test_a_request_with_a_body_may_ask_for_one(server: Server) -> None:
    stream = Stream(server, post(b"topic=a"))
    send(server, {"text": "a"})
    assert stream.texts == ["a"]


def test_a_body_that_nobody_reads_is_no_reason_to_end_it() -> None:
    server = Server(inline_body_bytes=4)
    wire = Wire(server, get("/", "Content-Length: 12", method="POST"), b"first")
    request = server.requests[-1]
    server.hub.group_add("room", request["reply_channel"])
    wire.feed(b"-second")
    server.send(request, START)
    server.advance(100)
    server.hub.sweep()
    server.flush()
    send(server, {"text": "a"})
    assert not wire.is_aborted
    assert [event.data for event in Source().feed(wire.response().body).events] == ["a"]


def test_the_client_is_told_when_to_come_back(server: Server) -> None:
    assert Stream(server).source.retry == 3000
    assert Stream(server, first={**START, "events": {"retry": 0.5}}).source.retry == 500


def test_what_is_sent_to_the_reply_channel_is_for_its_client_alone(server: Server) -> None:
    one, other = Stream(server), Stream(server)
    one.reply({"text": "own", "id": "9"})
    send(server, {"text": "all"})
    assert one.texts == ["own", "all"]
    assert other.texts == ["all"]


def test_a_batch_costs_each_stream_one_write(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream(server)
    writes: list[bytes] = []
    outlet = stream.wire.transport.protocol._outlet
    monkeypatch.setattr(outlet, "_send", lambda data: writes.append(data) or len(data))
    send(server, *[{"text": str(number)} for number in range(10)])
    assert len(writes) == 1


# What it may never be


@pytest.mark.parametrize(
    "message",
    [
        {"text": "a"},
        {"bytes": b"a"},
        {"text": "a", "close": True},
        {"close": 4000},
        {"status": 200, "content": b"forged"},
        {"status": 200, "events": {}},
        {"content": b"forged"},
        {"more_content": False},
        {},
    ],
)
def test_a_group_s_message_starts_and_changes_no_ordinary_response(
    server: Server, errors: list[str], message: Any
) -> None:
    stream = Stream(server, first=None)
    send(server, message)
    assert stream.wire.sent == b""
    server.answer(b"o", more=True)
    send(server, message)
    server.stream(b"wn", more=False)
    send(server, message)
    assert stream.response.body == b"own"
    assert stream.response.is_whole
    assert len(stream.wire.responses()) == 1
    assert server.count("http.group_message") >= bool(message)
    stream.lose()
    server.assert_nothing_left()


def test_a_mistake_before_the_response_is_answered_and_after_its_start_dropped(
    server: Server, errors: list[str]
) -> None:
    early = Stream(server, first=None)
    early.reply({"text": "a"})
    assert early.response.status == 500
    late = Stream(server, first=None)
    late.reply({"status": 200, "content": b"a", "more_content": True})
    late.reply({"text": "b"})
    late.reply({"content": b"c"})
    assert (late.response.body, late.response.is_whole) == (b"ac", True)
    assert server.count("http.group_message") == 1
    assert len(errors) == 2


@pytest.mark.parametrize(
    "first",
    [
        {"status": 404, "events": {}},
        {"status": 200, "events": {}, "content": b"a"},
        {"status": 200, "events": {}, "poll": {}},
        {"status": 200, "events": True},
        {"status": 200, "events": {"hartbeat": 1}},
        {"status": 200, "events": {"heartbeat": "1"}},
        {"status": 200, "events": {"heartbeat": -1}},
        {"status": 200, "events": {"retry": float("nan")}},
        {"status": 200, "events": {"retry": True}},
        {"status": 200, "events": {}, "headers": [[b"a b", b"c"]]},
        {"status": 200, "events": {}, "headers": [[b"a", b"c\r\nd: e"]]},
        {"status": 200, "events": {}, "headers": [5]},
    ],
)
def test_what_asks_for_no_stream_that_there_is_is_answered_500(
    server: Server, errors: list[str], first: Any
) -> None:
    stream = Stream(server, first=first)
    assert stream.response.status == 500
    assert len(errors) == 1
    assert len(server.site.feeds) == 0
    assert server.count("http.bad_response") == 1


@pytest.mark.parametrize("replay", [5, [5], ["a"], [{"bytes": b"a"}], [{"text": "a", "id": "\n"}]])
def test_a_history_that_cannot_be_sent_breaks_the_stream_off(
    server: Server, errors: list[str], replay: Any
) -> None:
    stream = Stream(server, first={**START, "replay": replay})
    assert stream.wire.is_aborted
    stream.lose()
    server.assert_nothing_left()
    assert len(errors) == 1


def test_bytes_and_mistakes_are_dropped_and_counted_and_harm_nothing(
    server: Server, errors: list[str]
) -> None:
    streams = [Stream(server) for _ in range(3)]
    socket = open_socket(server)
    send(server, {"text": "a"}, {"bytes": b"b"}, {"text": "c"}, {"text": "d", "id": "1\n2"})
    streams[0].reply({"bytes": b"e"})
    streams[0].reply({"content": b"f", "more_content": False})
    send(server, {"text": "g"})
    for stream in streams:
        assert stream.texts == ["a", "c", "g"]
    assert server.count("events.refused") == 3 * 2 + 2
    assert len(errors) == 4  # each message once, however many clients there are
    assert len(read_frames(socket.sent)) == 5


# What comes before it is live


def test_what_is_sent_before_the_response_begins_is_held_for_it(server: Server) -> None:
    stream = Stream(server, first=None)
    send(server, {"text": "1"}, {"text": "2"})
    send(server, {"text": "3"})
    assert stream.wire.sent == b""
    stream.reply(START)
    send(server, {"text": "4"})
    assert stream.texts == ["1", "2", "3", "4"]


def test_what_was_missed_comes_first_and_nothing_twice(server: Server) -> None:
    stream = Stream(server, first=None)
    send(server, {"text": "c", "id": 3}, {"text": "d", "id": 4}, {"text": "without"})
    missed = [{"text": "b", "id": "2"}, {"text": "c", "id": "3"}]
    stream.reply({**START, "replay": missed, "more_content": True})
    send(server, {"text": "e", "id": "5"})
    stream.reply({"replay": [{"text": "d", "id": 4}], "more_content": True})
    stream.reply({"text": "to it alone"})
    assert stream.texts == ["b", "c", "d"]
    stream.reply({"more_content": False})
    assert stream.texts == ["b", "c", "d", "without", "e", "to it alone"]
    send(server, {"text": "b", "id": "2"}, {"text": "f", "id": "6"})
    assert stream.texts[6:] == ["f"]
    server.advance(100)
    send(server, {"text": "b", "id": "2"})
    assert stream.texts[7:] == ["b"]


@pytest.mark.parametrize(
    "forged",
    [
        {"replay": [{"text": "forged"}], "more_content": True},
        {"more_content": False},
        {"status": 200, "content": b"forged"},
    ],
)
def test_a_group_s_message_is_no_part_of_what_was_missed(
    server: Server, errors: list[str], forged: Any
) -> None:
    stream = Stream(server, first={**START, "more_content": True})
    send(server, {"text": "live"}, forged)
    assert stream.texts == []
    stream.reply({"replay": [{"text": "missed"}], "more_content": False})
    assert stream.texts == ["missed", "live"]
    assert server.count("events.refused") == 1
    assert len(errors) == 1


def test_an_order_that_is_not_that_of_the_ids_loses_nothing(server: Server) -> None:
    stream = Stream(server, first={**START, "replay": [{"text": "7", "id": "7"}]})
    send(server, {"text": "6", "id": "6"}, {"text": "8", "id": "8"})
    assert stream.texts == ["7", "6", "8"]


def test_more_than_can_be_held_ends_the_stream_so_that_its_client_asks_anew(
    server: Server,
) -> None:
    limit(server, max_unsent_bytes=1_000)
    stream = Stream(server, first=None)
    for number in range(20):
        send(server, {"text": f"{number:0100}", "id": number})
    stream.reply(START)
    assert stream.response.is_whole
    assert stream.source.last_id == str(len(stream.texts) - 1)
    assert 0 < len(stream.texts) < 10
    assert server.count("events.held_too_much") == 20 - len(stream.texts)
    assert server.hub.group_channels("room") == []


def test_the_same_holds_while_the_history_is_read(server: Server) -> None:
    limit(server, max_unsent_bytes=1_000)
    stream = Stream(server, first={**START, "more_content": True})
    for number in range(20):
        send(server, {"text": f"{number:0100}", "id": number})
    stream.reply({"more_content": False})
    assert stream.response.is_whole
    assert 0 < len(stream.texts) < 10


def test_a_long_history_flows_as_the_client_reads_it(server: Server) -> None:
    stream = Stream(server, first={**START, "more_content": True})
    stream.wire.transport.socket.room = 0
    stream.reply({"replay": [{"text": "a"}], "more_content": True})
    assert not server.site.layer.offer(stream.channel, {"replay": [], "more_content": True})
    stream.wire.transport.take()
    server.flush()
    stream.reply({"replay": [{"text": "b"}], "more_content": False})
    assert stream.texts == ["a", "b"]


def test_who_sends_to_a_live_stream_never_waits_for_its_client(server: Server) -> None:
    stream = Stream(server, first={**START, "more_content": True})
    stream.wire.transport.socket.room = 0
    stream.reply({"more_content": False})
    send(server, {"text": "a"})
    stream.reply({"text": "b"})
    assert server.site.layer.offer(stream.channel, {"text": "c"})
    server.flush()
    stream.wire.transport.take()
    assert stream.texts == ["a", "b", "c"]


# Its end


def test_a_close_is_told_and_ends_the_response_and_the_connection_goes_on(server: Server) -> None:
    stream = Stream(server)
    send(server, {"text": "last", "close": 4001})
    send(server, {"text": "late"})
    assert [event[::2] for event in stream.source.events] == [
        ("last", "message"),
        ("4001", "close"),
    ]
    assert stream.response.is_whole
    stream.wire.feed(get("/next"))
    server.answer(b"next")
    assert [one.status for one in stream.wire.responses()] == [200, 200]
    assert server.requests[-1]["path"] == "/next"


def test_a_client_that_leaves_is_in_no_group_at_once_and_the_application_hears_of_it(
    server: Server,
) -> None:
    server.listen_to_disconnects()
    stream, other = Stream(server), Stream(server)
    stream.lose()
    assert server.hub.group_channels("room") == [other.channel]
    assert server.gone == [{"reply_channel": stream.channel, "path": "/"}]
    other.lose()
    server.assert_nothing_left()
    assert len(server.site.feeds) == 0


def test_a_client_that_leaves_before_the_response_begins_leaves_nothing(server: Server) -> None:
    stream = Stream(server, first=None)
    send(server, {"text": "a"})
    stream.lose()
    server.assert_nothing_left()


def test_the_access_log_tells_of_it_when_it_is_over(server: Server) -> None:
    stream = Stream(server)
    send(server, {"text": "a"})
    assert server.log.requests == []
    stream.lose()
    [told] = server.log.requests
    assert 200 in told


def test_a_second_response_breaks_it_off(server: Server) -> None:
    stream = Stream(server)
    stream.reply({"status": 500, "content": b"failed"})
    assert stream.wire.is_aborted


def test_a_worker_that_dies_over_the_history_breaks_it_off_and_later_is_too_late(
    server: Server,
) -> None:
    half = Stream(server, first={**START, "more_content": True})
    half.reply({"lost": 0})
    assert half.wire.is_aborted
    whole = Stream(server)
    whole.reply({"lost": 0})
    send(server, {"text": "a"})
    assert whole.texts == ["a"]


# Time


def test_a_stream_may_be_silent_for_ever_and_beats(server: Server) -> None:
    stream = Stream(server)
    server.advance(1_000)
    assert 1_000 / 16 <= stream.source.beats <= 1_000 / 11.25
    assert not stream.wire.is_aborted
    send(server, {"text": "a"})
    assert stream.texts == ["a"]


def test_it_beats_as_often_as_it_is_told_only_when_it_is_silent(server: Server) -> None:
    often = Stream(server, first={**START, "events": {"heartbeat": 4}})
    never = Stream(server, first={**START, "events": {"heartbeat": 0}})
    server.advance(40)
    assert 40 / 5 - 1 <= often.source.beats <= 40 / 3
    assert never.source.beats == 0
    before = often.source.beats
    for _ in range(40):
        send(server, {"text": "a"})
        server.advance(1)
    assert often.source.beats == before


def test_heartbeats_of_many_are_spread(server: Server) -> None:
    streams = [Stream(server) for _ in range(60)]
    send(server, {"text": "all at once"})
    seconds = set()
    for second in range(17):
        before = sum(stream.source.beats for stream in streams)
        server.advance(1)
        if sum(stream.source.beats for stream in streams) > before:
            seconds.add(second)
    assert len(seconds) >= 3
    assert all(stream.source.beats for stream in streams)


def test_one_that_is_too_old_ends_so_that_its_client_comes_back(server: Server) -> None:
    limit(server, max_lifetime_seconds=30)
    stream = Stream(server)
    server.advance(29)
    assert not stream.response.is_whole
    server.advance(3)
    assert stream.response.is_whole
    assert server.count("events.lifetime") == 1


def test_a_client_that_vanishes_is_noticed_by_the_system(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(
        "tests.protocols.sockets.Kernel.setsockopt",
        lambda self, *given: said.append(given),
        raising=False,
    )
    Stream(server, first={"status": 200, "content": b"ordinary"})
    assert said == []
    Stream(server)
    assert [given[-1] for given in said] == [60_000]


# Slow clients


def test_a_client_that_does_not_read_is_dropped_and_the_others_get_everything(
    server: Server,
) -> None:
    limit(server, max_unsent_bytes=10_000)
    slow, *others = [Stream(server) for _ in range(4)]
    slow.wire.transport.socket.room = 0
    for number in range(200):
        send(server, {"text": f"{number:0100}"})
    assert slow.wire.is_aborted
    assert server.count("events.unsent_bytes") == 1
    slow.lose()
    for stream in others:
        assert [int(text) for text in stream.texts] == list(range(200))
    assert len(server.hub.group_channels("room")) == 3


def test_one_that_reads_slowly_gets_everything_in_order(server: Server) -> None:
    stream = Stream(server)
    stream.wire.transport.socket.room = 0
    for number in range(50):
        send(server, {"text": str(number)})
        stream.wire.transport.take(7)
    stream.wire.transport.take()
    assert [int(text) for text in stream.texts] == list(range(50))


def test_one_that_takes_nothing_for_too_long_is_dropped(server: Server) -> None:
    stream = Stream(server)
    stream.wire.transport.socket.room = 0
    send(server, {"text": "a"})
    server.advance(59)
    assert not stream.wire.is_aborted
    server.advance(3)
    assert stream.wire.is_aborted


def test_what_a_client_sends_meanwhile_waits_for_its_end(server: Server) -> None:
    stream = Stream(server)
    stream.wire.feed(get("/second"))
    assert len(server.requests) == 1
    assert stream.wire.transport.is_paused
    stream.reply({"close": True})
    assert server.requests[-1]["path"] == "/second"


def test_one_that_hangs_up_unread_is_noticed(server: Server) -> None:
    stream = Stream(server)
    stream.wire.feed(get("/second"))
    stream.wire.transport.socket.is_hung_up = True
    server.advance(2)
    assert stream.wire.is_aborted


# A stop


def test_a_stop_ends_streams_and_tells_them_to_come_back_spread(server: Server) -> None:
    streams = [Stream(server) for _ in range(50)]
    server.site.stop(10)
    assert server.site.close_sockets()
    retries = set()
    for stream in streams:
        assert stream.response.is_whole
        assert stream.wire.is_closed
        assert stream.source.retry is not None
        assert 1500 <= stream.source.retry <= 4500
        retries.add(stream.source.retry)
    assert len(retries) > 10


def test_many_are_ended_a_few_at_a_time_and_served_until_then(server: Server) -> None:
    streams = [Stream(server) for _ in range(300)]
    server.site.stop(10)
    ended = [stream for stream in streams if stream.response.is_whole]
    assert len(ended) == 100
    send(server, {"text": "still"})
    assert sum(stream.texts == ["still"] for stream in streams) == 200
    server.clock.advance(0.2)
    server.site.close_sockets()
    assert sum(stream.response.is_whole for stream in streams) == pytest.approx(200, abs=2)
    server.site.stop()
    assert all(stream.response.is_whole for stream in streams)


def test_one_that_begins_after_the_stop_gets_its_history_and_ends(server: Server) -> None:
    stream = Stream(server, first=None)
    server.site.stop(10)
    stream.reply({**START, "replay": [{"text": "a"}]})
    assert stream.texts == ["a"]
    assert stream.response.is_whole
    assert stream.wire.is_closed


def test_sockets_take_ids_and_names_for_what_is_not_theirs(server: Server) -> None:
    socket = open_socket(server)
    send(server, {"text": "a", "id": 1, "event": "x"}, {"id": 2}, {"text": "b", "close": True})
    assert [payload for _, payload in read_frames(socket.sent)][:2] == [b"a", b"b"]
    socket.feed(mask_frame(8, b"\x03\xe8"))
