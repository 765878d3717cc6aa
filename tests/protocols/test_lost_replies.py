"""A reply that was lost with the layer's server is not waited for as long as a slow view is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.protocols.exchanges import Server, Wire, get, post
from tests.protocols.sockets import World
from txchannels.errors import ChannelClosed

PATIENCE = 15


def front(**http: object) -> Server:
    """A site whose requests are run elsewhere."""
    server = Server(**http)
    run_elsewhere(server)
    return server


def run_elsewhere(server: Server | World) -> None:
    server.site.layer.is_here = lambda channel: False


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_what_is_unanswered_after_a_gap_is_answered_504(told: list[str]) -> None:
    server = front()
    wire = Wire(server, get("/one"))
    server.advance(40)
    server.site.messages_lost()
    server.advance(PATIENCE)
    assert not wire.sent
    server.advance(1)
    response = wire.response()
    assert response.status == 504
    assert response.body.startswith(b"504 Gateway Timeout")
    assert b"The answer was lost" in response.body
    assert server.count("http.reply_lost") == server.count("http.504") == 1
    assert [request[4] for request in server.log.requests] == [504]
    [line] = told
    assert "1 requests are answered 504" in line
    assert "within 15 s" in line
    assert "--lost-reply-timeout" in line


def test_each_outage_is_told_once_however_many_they_are(told: list[str]) -> None:
    server = front()
    wires = [Wire(server, get()) for _ in range(3)]
    server.site.messages_lost()
    server.advance(PATIENCE + 10)
    assert [wire.statuses for wire in wires] == [[504]] * 3
    assert len(told) == 1
    assert "3 requests" in told[0]


def test_a_reply_that_comes_before_is_delivered() -> None:
    server = front()
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(PATIENCE)
    server.answer(b"late")
    assert wire.response().body == b"late"
    server.advance(30)
    assert wire.statuses == [200]
    assert server.count("http.reply_lost") == 0


def test_a_reply_that_comes_after_harms_nothing() -> None:
    server = front()
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(PATIENCE + 1)
    with pytest.raises(ChannelClosed):
        server.answer(b"much too late")
    assert wire.statuses == [504]


def test_the_connection_serves_the_next_request() -> None:
    server = front()
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(PATIENCE + 1)
    wire.feed(get())
    server.answer(b"hello")
    assert wire.statuses == [504, 200]
    wire.lose()
    server.assert_nothing_left()


def test_what_is_asked_after_the_gap_has_all_its_time() -> None:
    server = front()
    server.site.messages_lost()
    wire = Wire(server, get())
    server.advance(PATIENCE + 10)
    assert not wire.sent
    server.answer(b"slow")
    assert wire.statuses == [200]


def test_a_second_gap_does_not_begin_the_patience_anew() -> None:
    server = front()
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(10)
    server.site.messages_lost()
    server.advance(6)
    assert wire.statuses == [504]


def test_a_host_that_runs_its_requests_itself_waits_as_ever() -> None:
    server = Server()
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(100)
    assert not wire.sent


def test_what_runs_requests_here_but_no_sockets_waits_as_ever() -> None:
    server = Server()
    server.site.layer.is_here = lambda channel: channel == "http.request"
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(100)
    assert not wire.sent


def test_what_runs_sockets_here_but_no_requests_does_not() -> None:
    server = Server()
    server.site.layer.is_here = lambda channel: channel == "websocket.receive"
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(PATIENCE + 1)
    assert wire.statuses == [504]


def test_the_patience_is_a_setting_and_0_is_none() -> None:
    server = front(lost_reply_timeout_seconds=3)
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(4)
    assert wire.statuses == [504]
    server = front(lost_reply_timeout_seconds=0)
    wire = Wire(server, get())
    server.site.messages_lost()
    server.advance(119)
    assert not wire.sent


def test_what_was_patient_for_long_is_answered_by_its_own_timeout() -> None:
    server = front(response_timeout_seconds=20)
    wire = Wire(server, get())
    server.advance(15)
    server.site.messages_lost()
    server.advance(6)
    assert wire.statuses == [503]


def test_a_response_that_has_begun_goes_on() -> None:
    server = front()
    wire = Wire(server, get())
    server.answer(b"begun", more=True)
    server.site.messages_lost()
    server.advance(PATIENCE + 30)
    server.stream(b", ended", more=False)
    assert wire.response().body == b"begun, ended"
    assert wire.response().is_whole


def test_a_response_that_begins_after_the_gap_goes_on() -> None:
    server = front()
    wire = Wire(server, get())
    server.site.messages_lost()
    server.answer(b"begun", more=True)
    server.advance(PATIENCE + 30)
    server.stream(b", ended", more=False)
    assert wire.response().is_whole


def test_a_client_that_still_sends_its_body_is_waited_for() -> None:
    server = front(inline_body_bytes=4, min_body_bytes_per_second=0)
    wire = Wire(server, post(b"12345678")[:-2])
    server.site.messages_lost()
    server.advance(PATIENCE + 30)
    assert not wire.sent


def test_a_view_that_reads_on_after_the_gap_is_known_to_run() -> None:
    server = front(inline_body_bytes=4, min_body_bytes_per_second=0)
    wire = Wire(server, post(b"12345678")[:-2])
    server.advance(1)
    server.site.messages_lost()
    server.advance(5)
    wire.feed(b"78")
    server.advance(PATIENCE + 10)
    assert not wire.sent
    server.answer(b"read")
    assert wire.statuses == [200]


def test_a_client_that_left_is_forgotten() -> None:
    server = front()
    wire = Wire(server, get())
    server.site.messages_lost()
    wire.lose()
    server.advance(PATIENCE + 10)
    assert server.count("http.reply_lost") == 0
    server.assert_nothing_left()


def test_sockets_are_not_answered() -> None:
    world = World(connect_timeout_seconds=100)
    run_elsewhere(world)
    connecting, is_open = world.client(), world.open()
    world.site.messages_lost()
    world.advance(PATIENCE + 10)
    assert not connecting.transport.sent
    assert is_open.close_code is None
    assert world.site.counters["http.reply_lost"] == 0


def test_event_streams_and_long_polls_go_on() -> None:
    server = front()
    wires = []
    for kind in ("events", "poll"):
        wires.append(Wire(server, get()))
        answer = {"status": 200, "headers": [], kind: {}, "content": b"", "more_content": False}
        server.send(server.requests[-1], answer)
    server.site.messages_lost()
    server.advance(PATIENCE + 5)
    events, poll = wires
    assert events.response().status == 200
    assert not events.is_closed
    assert not poll.sent
    assert server.count("http.reply_lost") == 0
