"""Group messages that could not leave their host: counted, booked, and said now and then."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher

from tests.servers import wait_until
from txchannels.layers.redis import losses
from txchannels.layers.redis.losses import Losses


def test_losses_are_said_once_in_some_seconds_and_all_counted():
    clock = Clock()
    lost = Losses(clock.seconds)
    assert [lost.note() for _ in range(5)] == [True] + 4 * [False]
    clock.advance(losses.REPORT_SECONDS)
    assert [lost.note() for _ in range(2)] == [True, False]
    assert lost.count == 7


def test_a_group_message_that_cannot_leave_is_booked_and_said(site):
    host, events = site.host(), []
    channel = host.open("a")
    host.threads.group_add("room", channel)
    globalLogPublisher.addObserver(events.append)
    try:
        host.call(host.hub.links[0].lose, "for the test")
        assert [host.threads.send_group("room", {"n": n}) for n in range(3)] == [0, 0, 0]
    finally:
        globalLogPublisher.removeObserver(events.append)
    wait_until(lambda: host.numbers(channel) == [0, 1, 2], "members here get them")
    assert host.hub.kept_here == 3
    book = host.hub.accounts()["#groups"]
    assert (book.sent, book.dropped["unavailable"], book.pending) == (3, 3, 0)
    said = [event for event in events if "stays on this host" in (event["log_format"] or "")]
    assert [(event["log_level"], event["group"], event["count"]) for event in said] == [
        (LogLevel.warn, "room", 1)
    ]
    assert "unavailable: for the test" in str(said[0]["reason"])


def test_a_group_message_that_waited_to_be_sent_when_the_server_was_lost_is_counted(site):
    host = site.host()

    def send_and_lose():
        host.hub.send_group("room", {"n": 0})
        host.hub.links[0].lose("for the test")

    host.call(send_and_lose)
    assert host.hub.kept_here == 1
