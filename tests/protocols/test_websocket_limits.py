"""What a socket may hold up or hold in memory, and for how long."""

from __future__ import annotations

import pytest

from tests.protocols.sockets import World, mask_frame

FULL = {"websocket.receive": 1}


def fill(world: World) -> None:
    """Leave no room in the channel of messages."""
    while world.hub.offer("websocket.receive", {"text": "filler", "bytes": None}):
        pass


# A full channel


@pytest.mark.parametrize("start", [0.0, 1000.0])
def test_a_full_channel_pauses_reading_and_nothing_is_lost(start: float) -> None:
    world = World(capacity=FULL, reading=1, start=start)
    client = world.open()
    fill(world)
    client.text("one", "two", "three")
    assert client.transport.is_paused
    client.text("four")
    assert client.transport.is_paused, "one more message must not start it again"
    world.application.request(10)
    world.flush()
    assert world.received == ["filler", "one"]
    assert not client.transport.is_paused
    for order in (1, 2, 3):
        client.reply({"consumed": order})
    assert world.received == ["filler", "one", "two", "three", "four"]
    assert world.site.counters["websocket.full"] == 1
    assert client.frames == []


def test_a_channel_that_stays_full_closes_with_1013_after_the_timeout_only() -> None:
    world = World(capacity=FULL, reading=1, full_timeout_seconds=10)
    client = world.open()
    fill(world)
    client.text("one")
    world.advance(10)
    assert client.frames == []
    world.advance(1)
    assert client.close_code == 1013
    assert world.site.counters["websocket.1013"] == 1
    assert not client.transport.is_paused, "the client's answer has to be read"
    client.close(1013)
    assert client.transport.is_losing
    client.lose(clean=True)
    world.application.request(10)
    world.flush()
    client.reply({"consumed": 1})
    assert world.received == ["filler", "one"]
    [message] = world.of("websocket.disconnect")
    assert message["code"] == 1013
    world.assert_nothing_left()


def test_room_in_time_resets_the_timeout() -> None:
    world = World(capacity=FULL, reading=1, full_timeout_seconds=10)
    client = world.open()
    for order in range(1, 4):
        fill(world)
        client.text("x")
        world.advance(8)
        world.application.request(2)
        world.flush()
        client.reply({"consumed": order})
        world.messages.clear()
    assert client.frames == []


def test_pings_do_not_drop_a_client_that_is_not_read() -> None:
    world = World(
        capacity=FULL,
        reading=1,
        full_timeout_seconds=100,
        ping_interval_seconds=5,
        ping_timeout_seconds=5,
    )
    client = world.open()
    world.advance(6)
    assert client.frames == [(0x89, b"")]
    fill(world)
    client.text("one")
    world.advance(60)
    world.application.request(10)
    world.flush()
    world.advance(1)
    assert not client.transport.is_aborted
    assert len(client.frames) == 1


def test_the_disconnect_is_not_dropped_for_lack_of_room() -> None:
    world = World(capacity={"websocket.disconnect": 1}, reading=1)
    client = world.open()
    other = world.client()
    world.hub.offer("websocket.disconnect", {"code": 0})
    client.lose()
    assert world.of("websocket.disconnect") == []
    assert world.site.late_messages == 1
    world.application.request(10)
    world.flush()
    assert [message["code"] for message in world.of("websocket.disconnect")] == [0, 1006]
    assert world.hub.accounts()["websocket.disconnect"].dropped.total() == 0
    other.lose()


def test_a_lost_socket_gives_up_what_finds_no_room_and_its_disconnect_still_comes() -> None:
    world = World(capacity=FULL, reading=1, full_timeout_seconds=10)
    client = world.open()
    world.application.request(1)
    fill(world)
    fill(world)
    client.text("one", "two")
    client.lose()
    world.advance(9)
    assert world.site.connections == 1
    world.advance(3)
    assert world.site.counters["websocket.dropped"] == 2
    world.assert_nothing_left()
    world.messages.clear()
    world.application.request(10)
    world.flush()
    assert len(world.of("websocket.disconnect")) == 1


# A client that does not read


def test_what_waits_for_a_client_is_sent_when_it_reads_again() -> None:
    world = World()
    client = world.open()
    client.transport.socket.room = 10
    for number in range(100):
        client.reply({"text": f"message {number}"})
    assert len(client.transport.sent) == 10
    client.transport.take()
    assert client.texts == [f"message {number}" for number in range(100)]
    client.reply({"text": "more"})
    assert client.texts[-1] == "more"


def test_a_client_that_does_not_read_is_dropped_after_so_many_bytes() -> None:
    world = World(max_unsent_bytes=1000)
    client, neighbour = world.open(), world.open()
    client.transport.socket.room = 0
    for number in range(3):
        client.reply({"bytes": b"x" * 300})
        neighbour.reply({"bytes": b"x" * 300})
        assert not client.transport.is_aborted, number
    client.reply({"bytes": b"x" * 300})
    assert client.transport.is_aborted
    assert world.site.counters["websocket.unsent_bytes"] == 1
    client.reply({"text": "nobody gets this"})
    assert world.site.counters["websocket.unsent_bytes"] == 1
    assert len(neighbour.frames) == 3
    client.lose()
    assert [message["code"] for message in world.of("websocket.disconnect")] == [1006]


def test_one_message_over_the_bound_is_sent_to_a_client_that_reads() -> None:
    world = World(max_unsent_bytes=1000)
    client = world.open()
    client.transport.socket.room = 100
    client.reply({"bytes": b"x" * 5000})
    assert not client.transport.is_aborted
    client.transport.take()
    assert client.frames == [(0x82, b"x" * 5000)]


def test_a_client_that_does_not_read_is_dropped_after_so_long() -> None:
    world = World(send_timeout_seconds=10, ping_interval_seconds=0)
    client = world.open()
    client.transport.socket.room = 0
    client.reply({"text": "x"})
    world.advance(10)
    assert not client.transport.is_aborted
    world.advance(1)
    assert client.transport.is_aborted
    assert world.site.counters["websocket.send_timeout"] == 1


def test_a_client_that_reads_slowly_is_not_dropped() -> None:
    world = World(send_timeout_seconds=10, ping_interval_seconds=0)
    client = world.open()
    client.transport.socket.room = 0
    client.reply({"bytes": b"x" * 500_000})
    for _ in range(5):
        world.advance(9)
        client.transport.take(80_000)
    assert not client.transport.is_aborted


def test_pings_to_a_client_that_does_not_read_are_not_answered_into_memory() -> None:
    world = World()
    client = world.open()
    client.transport.socket.room = 0
    client.reply({"text": "x"})
    waiting = client.socket._outlet.unsent_bytes
    for _ in range(400):
        client.feed(mask_frame(9, b"x" * 100))
    assert client.socket._outlet.unsent_bytes == waiting


# Frames that cost more than they say


@pytest.mark.parametrize("opcode", [9, 10])
@pytest.mark.parametrize("start", [b"", mask_frame(1, b"a", fin=False)])
def test_too_many_control_frames_close_and_the_rest_is_not_read(opcode: int, start: bytes) -> None:
    world = World()
    client = world.open()
    control = mask_frame(opcode, b"")
    client.feed(start + control * 500)
    assert client.close_code is None
    client.feed(control + mask_frame(1, b"late"))
    assert client.close_code == 1008
    assert client.frames[-1][1][2:] == b"too many control frames"
    assert world.site.counters["websocket.control_frames"] == 1
    assert world.received == []
    assert client.transport.is_half_closed


def test_control_frames_are_counted_from_check_to_check() -> None:
    world = World()
    client = world.open()
    for _ in range(10):
        client.feed(mask_frame(10) * 500)
        world.advance(1)
    assert client.frames == []


@pytest.mark.parametrize("bytes_sent", [2**20, 2**20 + 1])
def test_what_comes_after_an_error_is_read_up_to_a_bound(bytes_sent: int) -> None:
    world = World()
    client = world.open()
    client.feed(mask_frame(3))
    assert client.close_code == 1002
    client.feed(bytes(2**20))
    client.feed(bytes(bytes_sent - 2**20))
    assert client.transport.is_aborted == (bytes_sent > 2**20)
    client.lose()
    [message] = world.of("websocket.disconnect")
    assert message["code"] == 1002
    world.assert_nothing_left()


def test_what_comes_after_a_refusal_is_read_up_to_a_bound() -> None:
    world = World()
    client = world.client(fields={"Origin": "null"})
    assert client.status == 403
    for _ in range(17):
        client.feed(bytes(65_536))
    assert client.transport.is_aborted
    assert world.site.counters["websocket.linger_bytes"] == 1


def test_a_broken_pipe_is_the_reactor_s_to_find_out() -> None:
    world = World()
    client = world.open()
    client.transport.socket.is_broken = True
    client.reply({"text": "x"})
    client.reply({"text": "y"})
    client.lose()
    assert len(world.of("websocket.disconnect")) == 1
    world.assert_nothing_left()


# Sizes


def test_a_message_over_the_limit_is_1009() -> None:
    world = World(max_message_bytes=1000)
    client = world.open()
    client.feed(mask_frame(2, b"x" * 1000))
    assert client.frames == []
    client.feed(mask_frame(2, b"x" * 1001))
    assert client.close_code == 1009
    assert world.received == [b"x" * 1000]


def test_a_declared_size_over_the_limit_is_1009_before_the_payload_comes() -> None:
    world = World(max_message_bytes=1000)
    client = world.open()
    client.feed(mask_frame(1, b"x" * 70_000)[:14])
    assert client.close_code == 1009


# Pings


def test_a_quiet_client_is_pinged_and_lives_if_it_answers() -> None:
    world = World(ping_interval_seconds=20, ping_timeout_seconds=30)
    client = world.open()
    world.advance(20)
    assert client.frames == []
    world.advance(1)
    assert client.frames == [(0x89, b"")]
    for _ in range(5):
        world.advance(19)
        client.feed(mask_frame(10))
    assert not client.transport.is_aborted


def test_any_byte_shows_that_a_client_lives() -> None:
    world = World(ping_interval_seconds=20, ping_timeout_seconds=30)
    client = world.open()
    for part in mask_frame(1, b"slow"):
        world.advance(15)
        client.feed(bytes((part,)))
    assert client.frames == []
    assert world.received == ["slow"]


def test_a_client_that_answers_no_ping_is_dropped() -> None:
    world = World(ping_interval_seconds=20, ping_timeout_seconds=30)
    client = world.open()
    world.advance(21)
    world.advance(30)
    assert not client.transport.is_aborted
    assert len(client.frames) == 1
    world.advance(1)
    assert client.transport.is_aborted
    assert world.site.counters["websocket.ping_timeout"] == 1
    client.lose()
    assert [message["code"] for message in world.of("websocket.disconnect")] == [1006]
    world.assert_nothing_left()


def test_pings_can_be_turned_off() -> None:
    world = World(ping_interval_seconds=0)
    client = world.open()
    world.advance(500)
    assert client.frames == []


# Time


def test_an_old_socket_is_closed_with_1001() -> None:
    world = World(max_lifetime_seconds=60, ping_interval_seconds=0)
    client = world.open()
    world.advance(60)
    assert client.frames == []
    world.advance(1)
    assert client.close_code == 1001
    assert world.site.counters["websocket.lifetime"] == 1


def test_a_lifetime_of_0_has_no_end() -> None:
    world = World(max_lifetime_seconds=0, ping_interval_seconds=0)
    client = world.open()
    world.advance(1000)
    assert client.frames == []


@pytest.mark.parametrize("how", ["close", "violation", "reject"])
def test_a_client_that_does_not_end_a_closed_connection_is_dropped(how: str) -> None:
    world = World(close_timeout_seconds=5)
    if how == "reject":
        client = world.client()
        client.reply({"accept": False})
    else:
        client = world.open()
        if how == "close":
            client.reply({"close": True})
        else:
            client.feed(b"\xff\xff")
    for _ in range(5):
        world.advance(1)
        client.feed(mask_frame(1, b"still here"))
    assert not client.transport.is_aborted
    world.advance(1)
    assert client.transport.is_aborted
    assert world.received == []
