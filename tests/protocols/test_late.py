"""What finds its channel full and must not be dropped: it waits, bounded, and goes in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.protocols.sockets import World
from txchannels.errors import ChannelFull, LayerUnavailable
from txchannels.layers.memory import MemoryLayer
from txchannels.layers.reactor import HubReactor
from txchannels.protocols.late import LEAST_LATE, PATH_CHARACTERS, LateMessages

DISCONNECT = "websocket.disconnect"


class Bus:
    """A layer whose application reads when it is told to.

    Attributes:
        got: What the application got, in order.
        counted: The events that were counted.
    """

    def __init__(self, capacity: int = 100, max_connections: int = 1) -> None:
        self.calls: list[Callable[[], None]] = []
        self.layer = self.new_layer(capacity)
        self.got: list[tuple[str, Any]] = []
        self.counted: Counter[str] = Counter()
        self.late = LateMessages(self.layer, max_connections, self.count)
        self.readers: dict[str, Any] = {}

    def new_layer(self, capacity: int) -> HubReactor:
        """Another layer, that the application reads from now on."""
        self.hub = MemoryLayer(channel_capacity={"*": capacity}).hub
        return HubReactor(self.hub, self.calls.append)

    def count(self, what: str) -> None:
        self.counted[what] += 1

    def read(self, channel: str, count: int = 1_000_000) -> None:
        """Let the application take so many messages more."""
        if channel not in self.readers:
            self.readers[channel] = self.hub.subscribe(
                [channel], lambda name, message: self.got.append((name, message["n"]))
            )
        self.readers[channel].request(count)
        while self.calls:
            self.calls.pop(0)()

    def send(self, count: int, channel: str = DISCONNECT, first: int = 0, **more: Any) -> None:
        for number in range(first, first + count):
            self.late.send(channel, {"n": number, **more})

    def numbers(self, channel: str = DISCONNECT) -> list[int]:
        return [number for name, number in self.got if name == channel]


@pytest.fixture
def logged() -> Any:
    """What is logged as information or worse: level and text."""
    found: list[tuple[str, str]] = []

    def observe(event: Any) -> None:
        if event["log_level"] >= LogLevel.info:
            found.append((event["log_level"].name, formatEvent(event)))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def test_ten_thousand_at_once_all_arrive_in_order() -> None:
    bus = Bus(capacity=100)
    bus.send(10_000)
    assert len(bus.late) == 9_900
    while len(bus.late):
        bus.read(DISCONNECT, 70)
    bus.read(DISCONNECT)
    assert bus.numbers() == list(range(10_000))
    assert (bus.late.lost, bus.counted.total()) == (0, 0)
    account = bus.hub.accounts()[DISCONNECT]
    assert (account.sent, account.delivered, account.dropped.total()) == (10_000, 10_000, 0)


def test_as_many_may_wait_as_there_may_be_connections() -> None:
    bus = Bus(capacity=1, max_connections=LEAST_LATE + 500)
    bus.send(LEAST_LATE + 501)
    assert (len(bus.late), bus.late.lost) == (LEAST_LATE + 500, 0)
    bus.send(1)
    assert (len(bus.late), bus.late.lost) == (LEAST_LATE + 500, 1)


def test_what_finds_no_place_is_counted_booked_and_said_once_a_burst(
    logged: list[tuple[str, str]],
) -> None:
    bus = Bus(capacity=10)
    for burst in (1, 2):
        logged.clear()
        bus.got.clear()
        bus.send(10 + LEAST_LATE + 7)
        assert len(bus.late) == LEAST_LATE
        assert bus.late.lost == bus.counted["layer.late_lost"] == 7 * burst
        assert bus.hub.accounts()[DISCONNECT].dropped == {"full": 7 * burst}
        [(level, text)] = logged
        assert level == "error"
        assert f"Messages to {DISCONNECT} are lost" in text
        assert str(LEAST_LATE) in text
        bus.read(DISCONNECT, 10 + LEAST_LATE)
        bus.read(DISCONNECT, 0)
        assert bus.numbers() == list(range(10 + LEAST_LATE)), "the oldest are kept"
        assert logged[1:] == [("info", f"{DISCONNECT} has room again; 7 messages to it were lost")]
        assert len(bus.late) == 0


def test_at_the_bound_room_that_was_made_is_used_by_those_that_have_waited() -> None:
    bus = Bus(capacity=10)
    bus.send(10 + LEAST_LATE)
    bus.read(DISCONNECT, 3)  # too few for the hub to tell of room
    assert len(bus.late) == LEAST_LATE
    bus.send(3, first=10 + LEAST_LATE)
    bus.send(1, first=-1)
    assert (len(bus.late), bus.late.lost) == (LEAST_LATE, 1)
    bus.read(DISCONNECT)
    assert bus.numbers() == list(range(10 + LEAST_LATE + 3))


def test_one_kind_takes_no_place_from_another() -> None:
    bus = Bus(capacity=1)
    bus.send(LEAST_LATE + 2, "http.disconnect")
    assert bus.late.lost == 1
    bus.send(2)
    assert (len(bus.late), bus.late.lost) == (LEAST_LATE + 1, 1)
    bus.read(DISCONNECT)
    assert bus.numbers() == [0, 1]


def test_channels_of_a_kind_share_its_places() -> None:
    """A client can have any number of requests, each with a channel for its body."""
    bus = Bus(capacity=1)
    for number in range(LEAST_LATE + 1):
        bus.send(2, f"http.request.body?{number:x}")
    assert (len(bus.late), bus.late.lost) == (LEAST_LATE, 1)
    bus.read("http.request.body?0")
    bus.send(2, "http.request.body?new")
    assert (len(bus.late), bus.late.lost) == (LEAST_LATE, 1)


def test_long_paths_take_the_place_of_several() -> None:
    """A client chooses its path: memory must not depend on that."""
    bus = Bus(capacity=1)
    bus.send(1)
    bus.send(LEAST_LATE, path="/" * (3 * PATH_CHARACTERS))
    assert len(bus.late) == LEAST_LATE // 4
    assert bus.late.lost == LEAST_LATE - LEAST_LATE // 4
    bus.read(DISCONNECT)
    assert len(bus.late) == 0
    bus.send(LEAST_LATE)
    assert bus.late.lost == LEAST_LATE - LEAST_LATE // 4, "all places are free again"


class Away:
    """A layer that is full at first, and then cannot be reached."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.waiting: list[Callable[[], None]] = []

    def offer(self, channel: str, message: Any) -> bool:
        if self.error is not None:
            raise self.error
        return False

    def send(self, channel: str, message: Any) -> None:
        raise self.error or ChannelFull("full")

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)


def test_a_layer_that_is_away_is_counted_as_such() -> None:
    layer: Any = Away()
    counted: Counter[str] = Counter()
    late = LateMessages(layer, 1, lambda what: counted.update([what]))
    late.send(DISCONNECT, {})
    layer.error = LayerUnavailable("away")
    layer.waiting.pop()()
    assert (len(late), late.lost, layer.waiting) == (0, 0, [])
    late.send(DISCONNECT, {})
    assert counted == {"layer.unavailable": 2}


def test_what_waits_goes_by_the_layer_that_takes_the_place_of_another() -> None:
    bus = Bus(capacity=2)
    bus.send(10)
    former = bus.hub
    bus.late.use(bus.new_layer(capacity=3), 1)
    assert len(bus.late) == 5
    former.subscribe([DISCONNECT], lambda name, message: None).request(2)
    bus.read(DISCONNECT)
    assert bus.numbers() == list(range(2, 10)), "each once, in order"
    assert len(bus.late) == 0


def test_disconnects_of_a_site_wait_within_the_bound() -> None:
    world = World(capacity={DISCONNECT: 1}, reading=0, http={"max_connections": 1})
    for number in range(LEAST_LATE + 4):
        world.site.send_later(DISCONNECT, {"path": "/", "code": 1000, "order": number})
    assert world.site.late_messages == LEAST_LATE
    assert world.site.counters["layer.late_lost"] == world.site.late.lost == 3
