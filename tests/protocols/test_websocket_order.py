"""Serial per socket: a message is handed out when the consumer of the last has returned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.sockets import Client, World, mask_frame
from txchannels.errors import LayerUnavailable


def test_receive_never_runs_before_connect_has_finished() -> None:
    world = World()
    client = world.client()
    client.reply({"accept": True})
    client.text("one")
    assert world.received == []
    client.reply({"consumed": 0})
    assert world.received == ["one"]


def test_the_next_message_follows_when_the_last_is_consumed() -> None:
    world = World()
    client = world.open()
    client.text("one", "two")
    client.text("three")
    assert world.received == ["one"]
    client.reply({"consumed": 1})
    assert world.received == ["one", "two"]
    client.reply({"consumed": 1})
    client.reply({"consumed": 7})
    client.reply({"consumed": -1})
    assert world.received == ["one", "two"]
    client.reply({"consumed": 2})
    assert world.received == ["one", "two", "three"]


def test_messages_are_numbered_and_say_whose_they_are() -> None:
    world = World()
    client = world.open()
    client.feed(mask_frame(1, b"t") + mask_frame(2, b"b"))
    client.reply({"consumed": 1})
    client.reply({"consumed": 2})
    client.lose()
    own = {"reply_channel": client.reply_channel, "path": "/chat"}
    assert world.messages == [
        ("websocket.receive", {**own, "order": 1, "text": "t", "bytes": None}),
        ("websocket.receive", {**own, "order": 2, "text": None, "bytes": b"b"}),
        ("websocket.disconnect", {**own, "order": 3, "code": 1006}),
    ]


def test_consumed_may_come_with_a_reply() -> None:
    world = World()
    client = world.open()
    client.text("one", "two")
    client.reply({"consumed": 1, "text": "answer"})
    assert client.texts == ["answer"]
    assert world.received == ["one", "two"]


def test_sockets_do_not_wait_for_each_other() -> None:
    world = World()
    slow, quick = world.open(), world.open()
    slow.text("a", "b")
    quick.text("c")
    quick.reply({"consumed": 1})
    quick.text("d")
    assert world.received == ["a", "c", "d"]


def test_the_disconnect_waits_for_all_that_came_before_it() -> None:
    world = World()
    client = world.open()
    client.text("one", "two")
    client.lose()
    assert [channel for channel, _ in world.messages] == ["websocket.receive"]
    client.reply({"consumed": 1})
    assert world.received == ["one", "two"]
    assert world.of("websocket.disconnect") == []
    client.reply({"consumed": 2})
    assert [message["order"] for message in world.of("websocket.disconnect")] == [3]
    world.assert_nothing_left()


def test_unordered_hands_out_everything_at_once() -> None:
    world = World(unordered=True)
    client = world.client()
    client.reply({"accept": True})
    client.text("one", "two")
    assert world.received == ["one", "two"]
    client.reply({"consumed": 0})
    client.lose()
    assert [message["order"] for message in world.of("websocket.disconnect")] == [3]
    client.reply_channel = ""
    world.assert_nothing_left()


@pytest.mark.parametrize("start", [0.0, 1000.0])
def test_a_consumer_that_does_not_return_is_waited_for_no_longer_than_its_timeout(
    start: float,
) -> None:
    world = World(serial_timeout_seconds=10, ping_interval_seconds=0, start=start)
    client = world.open()
    client.text("one", "two")
    world.advance(10)
    assert world.received == ["one"]
    world.advance(2)
    assert world.received == ["one", "two"]
    assert world.site.counters["websocket.serial_timeout"] == 1
    client.reply({"consumed": 1})
    client.text("three")
    assert world.received == ["one", "two"]


def test_each_message_has_the_whole_timeout() -> None:
    world = World(serial_timeout_seconds=10, ping_interval_seconds=0)
    client = world.open()
    for order in range(1, 6):
        client.text("x", "x")
        world.advance(8)
        client.reply({"consumed": order})
    assert world.site.counters["websocket.serial_timeout"] == 0


def test_a_lost_socket_s_disconnect_comes_even_if_a_consumer_hangs() -> None:
    world = World(serial_timeout_seconds=10)
    client = world.open()
    client.text("one", "two")
    client.lose()
    world.advance(30)
    assert world.received == ["one", "two"]
    assert len(world.of("websocket.disconnect")) == 1
    world.assert_nothing_left()


def test_a_message_that_the_layer_lost_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    client = world.open()

    def fail(channel: str, message: object) -> bool:
        raise LayerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.site.layer, "offer", fail)
        client.text("lost")
    client.text("two")
    assert world.received == ["two"]
    assert world.site.counters["layer.unavailable"] == 1


# A layer that has lost messages


def lose_messages(world: World) -> None:
    """A gap in a layer whose other hosts read the site's messages."""
    world.site.layer.is_here = lambda channel: False  # type: ignore[method-assign]
    world.site.messages_lost()


def test_after_a_gap_the_next_message_follows_without_a_receipt() -> None:
    world = World()
    client = world.open()
    client.text("one", "two", "three")
    lose_messages(world)
    assert world.received == ["one", "two"]
    assert world.site.counters["websocket.unsure_receipt"] == 1
    client.reply({"consumed": 2})
    assert world.received == ["one", "two", "three"]


def test_a_receipt_that_comes_late_harms_nothing() -> None:
    world = World()
    client = world.open()
    client.text("one", "two", "three")
    lose_messages(world)
    client.reply({"consumed": 1})
    assert world.received == ["one", "two"]
    client.reply({"consumed": 2})
    client.reply({"consumed": 1})
    assert world.received == ["one", "two", "three"]


def test_a_gap_that_finds_nothing_outstanding_changes_nothing() -> None:
    world = World()
    client = world.open()
    lose_messages(world)
    assert world.site.counters["websocket.unsure_receipt"] == 0
    client.text("one", "two")
    assert world.received == ["one"]


def test_a_message_after_the_gap_has_its_whole_timeout() -> None:
    world = World(serial_timeout_seconds=10, ping_interval_seconds=0)
    client = world.open()
    client.text("one", "two", "three")
    world.advance(8)
    lose_messages(world)
    world.advance(8)
    assert world.received == ["one", "two"]
    world.advance(4)
    assert world.received == ["one", "two", "three"]


def test_a_gap_lets_every_socket_go_on_that_is_open_or_lost() -> None:
    world = World()
    clients = [world.open() for _ in range(3)]
    for client in clients:
        client.text("one")
    clients[0].lose()
    lose_messages(world)
    assert len(world.of("websocket.disconnect")) == 1
    for client in clients[1:]:
        client.text("two")
        client.lose()
    assert world.received == ["one"] * 3 + ["two"] * 2
    assert len(world.of("websocket.disconnect")) == 1
    lose_messages(world)
    assert len(world.of("websocket.disconnect")) == 3
    world.assert_nothing_left()


def test_a_socket_that_is_not_read_is_read_again_after_a_gap() -> None:
    world = World(max_backlog_messages=1)
    client = world.open()
    client.text("one", "two")
    assert client.transport.is_paused
    lose_messages(world)
    assert world.received == ["one", "two"]
    assert not client.transport.is_paused


def test_what_waits_for_room_waits_on() -> None:
    world = World(capacity={"websocket.receive": 1}, reading=1)
    client = world.open()
    world.hub.offer("websocket.receive", {"text": "other"})
    client.text("one")
    assert world.messages == []
    lose_messages(world)
    assert world.messages == []
    world.application.request(2)
    world.flush()
    assert world.received == ["other", "one"]


def test_a_handshake_waits_on_for_its_answer() -> None:
    world = World()
    client = world.client()
    lose_messages(world)
    client.reply({"accept": True})
    client.text("one")
    assert world.received == []
    client.reply({"consumed": 0})
    assert world.received == ["one"]


def test_a_handshake_whose_receipt_was_lost_does_not_hold_the_first_message_back() -> None:
    world = World()
    client = world.client()
    client.reply({"accept": True})
    client.text("one")
    lose_messages(world)
    assert world.received == ["one"]


def test_a_gap_leaves_requests_alone() -> None:
    world = World()
    client = Client(world)
    client.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    lose_messages(world)
    assert bytes(client.transport.sent) == b""
    assert world.site.connections == 1


# The backlog


def test_a_socket_with_a_full_backlog_is_not_read() -> None:
    world = World(max_backlog_messages=4)
    client = world.open()
    client.text(*"abcd")
    assert not client.transport.is_paused
    client.text("e")
    assert client.transport.is_paused
    client.reply({"consumed": 1})
    assert client.transport.is_paused
    client.reply({"consumed": 2})
    assert not client.transport.is_paused


def test_a_backlog_is_bounded_by_bytes_too() -> None:
    world = World(max_message_bytes=1000)
    client = world.open()
    client.feed(mask_frame(2, b"x" * 900) * 2)
    assert not client.transport.is_paused
    client.feed(mask_frame(2, b"x" * 900))
    assert client.transport.is_paused
    client.reply({"consumed": 1})
    client.reply({"consumed": 2})
    assert not client.transport.is_paused


def test_nothing_is_lost_of_what_one_read_brings_over_the_bound() -> None:
    world = World(max_backlog_messages=2)
    client = world.open()
    texts = [str(number) for number in range(50)]
    client.text(*texts)
    for order in range(1, 51):
        client.reply({"consumed": order})
    assert world.received == texts
    assert not client.transport.is_paused


STEPS = ["text", "consume", "consume late", "lose worker", "lose receipts", "make room", "fill"]


@given(st.lists(st.sampled_from(STEPS), max_size=60))
def test_whatever_happens_order_holds_and_nothing_is_lost(steps: list[str]) -> None:
    world = World(capacity={"websocket.receive": 1}, reading=0, max_backlog_messages=3)
    world.application.request(1)
    client = world.open()
    sent = 0

    def own() -> list[tuple[str, int, str | None]]:
        return [
            (channel, message["order"], message.get("text"))
            for channel, message in world.messages
            if "reply_channel" in message
        ]

    for step in steps:
        if step == "text" and not client.transport.is_paused:
            client.text(str(sent))
            sent += 1
        elif step == "consume" and own():
            client.reply({"consumed": own()[-1][1]})
        elif step == "consume late" and own():
            client.reply({"consumed": own()[0][1]})
        elif step == "lose worker" and own():
            client.reply({"lost": own()[-1][1]})
        elif step == "lose receipts":
            world.site.messages_lost()
        elif step == "make room":
            world.application.request(1)
            world.flush()
        elif step == "fill":
            world.hub.offer("websocket.receive", {"text": None, "bytes": None})
    client.lose()
    world.application.request(1000)
    world.flush()
    while own()[-1:] and own()[-1][0] != "websocket.disconnect":
        client.reply({"consumed": own()[-1][1]})
    received = [("websocket.receive", number + 1, str(number)) for number in range(sent)]
    assert own() == [*received, ("websocket.disconnect", sent + 1, None)]
    world.assert_nothing_left()
