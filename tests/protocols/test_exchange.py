from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.exchanges import Server
from txchannels.errors import LayerUnavailable, PeerError
from txchannels.protocols.exchange import Exchange
from txchannels.protocols.request import Head


class Carrier:
    """Records what an exchange asks of its connection."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def write_response(self, exchange: Exchange, *given: Any) -> None:
        exchange.status = given[0]
        self.asked.append(("response", *given))

    def write_chunk(self, exchange: Exchange, *given: Any) -> None:
        self.asked.append(("chunk", *given))

    def write_error(self, exchange: Exchange, status: int, reason: str) -> None:
        exchange.status = status
        self.asked.append(("error", status))
        exchange.end()

    def exchange_broken(self, exchange: Exchange) -> None:
        self.asked.append(("broken",))

    def pause_body(self) -> None:
        self.asked.append(("pause",))

    def resume_body(self) -> None:
        self.asked.append(("resume",))


class DeadLayer:
    """A layer whose server is gone."""

    def send(self, channel: str, message: Any) -> None:
        raise LayerUnavailable("no route")

    def offer(self, channel: str, message: Any) -> bool:
        raise LayerUnavailable("no route")

    def new_channel(self, pattern: str) -> str:
        return pattern + "x"

    def is_wanted(self, channel: str) -> bool:
        return True

    def drop_channel(self, channel: str) -> None: ...


def make(server: Server, target: bytes = b"/") -> tuple[Exchange, Carrier]:
    carrier = Carrier()
    return Exchange(server.site, carrier, Head("GET", target, "1.1", [])), carrier


@pytest.fixture
def server() -> Server:
    return Server(inline_body_bytes=4)


def test_it_should_start_with_enough_of_its_body(server: Server) -> None:
    exchange, _ = make(server)
    exchange.body_received(b"abc")
    assert not exchange.should_start()
    exchange.body_received(b"d")
    assert exchange.should_start()
    short, _ = make(server)
    short.request_received()
    assert short.should_start()


def test_replies_become_a_response(server: Server) -> None:
    exchange, carrier = make(server)
    exchange.request_received()
    exchange.start(None, None, "http")
    exchange.message_received({"status": 200, "content": b"a", "more_content": True})
    exchange.message_received({"content": b"b", "more_content": True})
    exchange.message_received({})
    assert carrier.asked == [
        ("response", 200, (), b"a", True),
        ("chunk", b"b", True),
        ("chunk", b"", False),
    ]


def test_a_reply_without_a_status_is_answered_500_and_counted(server: Server) -> None:
    exchange, carrier = make(server)
    exchange.request_received()
    exchange.start(None, None, "http")
    exchange.message_received({"content": b"a"})
    assert carrier.asked == [("error", 500)]
    assert server.count("http.bad_response") == 1


def test_replies_to_what_is_over_are_ignored(server: Server) -> None:
    exchange, carrier = make(server)
    exchange.request_received()
    exchange.start(None, None, "http")
    exchange.end()
    exchange.message_received({"status": 200})
    exchange.fail(500, "")
    exchange.end()
    assert carrier.asked == []
    server.assert_nothing_left()


def test_a_failure_after_the_response_began_breaks_it(server: Server) -> None:
    exchange, carrier = make(server)
    exchange.request_received()
    exchange.start(None, None, "http")
    exchange.message_received({"status": 200, "more_content": True})
    exchange.fail(408, "slow")
    assert carrier.asked[-1] == ("broken",)
    assert server.count("http.408") == 1


def test_a_request_that_the_layer_does_not_take_is_told_to_nobody(server: Server) -> None:
    server.site.layer = DeadLayer()  # type: ignore[assignment]
    exchange, _ = make(server)
    exchange.body_received(b"abcd")
    with pytest.raises(PeerError) as caught:
        exchange.start(None, None, "http")
    assert caught.value.status == 503
    exchange.end()
    server.assert_nothing_left()


def test_a_body_that_the_layer_does_not_take_is_answered_503(server: Server) -> None:
    exchange, carrier = make(server)
    exchange.body_received(b"abcd")
    exchange.start(None, None, "http")
    server.site.layer = DeadLayer()  # type: ignore[assignment]
    exchange.body_received(b"more")
    assert carrier.asked == [("error", 503)]


@pytest.mark.parametrize(
    ("length", "received", "can"),
    [(None, 0, True), (None, 11, False), (20, 10, True), (21, 10, False)],
)
def test_it_knows_whether_the_rest_of_a_body_can_be_dropped(
    server: Server, length: int | None, received: int, can: bool
) -> None:
    exchange, _ = make(server)
    exchange.head.content_length = length
    exchange.body_received(b"a" * received)
    assert exchange.can_drain(10) is can
    exchange.request_received()
    assert exchange.can_drain(0)
