"""Group sends: framed once, in order, and nobody's trouble is another's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.sockets import Client, World


def room(world: World, count: int) -> list[Client]:
    clients = [world.open() for _ in range(count)]
    for client in clients:
        world.hub.group_add("room", client.reply_channel)
    return clients


def batch(world: World, *sends: tuple[str, dict[str, Any]]) -> None:
    """Send all before the reactor comes round."""
    for name, message in sends:
        if "!" in name:
            world.hub.send(name, message)
        else:
            world.hub.send_group(name, message)
    world.flush()


def test_every_member_gets_what_is_sent_to_the_group() -> None:
    world = World()
    clients = room(world, 3)
    world.send_group("room", {"text": "h\xe9"}, {"bytes": b"\x00"}, {"text": ""})
    for client in clients:
        assert client.frames == [(0x81, b"h\xc3\xa9"), (0x82, b"\0"), (0x81, b"")]


def test_a_batch_costs_each_socket_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    [client] = room(world, 1)
    writes: list[bytes] = []
    monkeypatch.setattr(
        client.socket._outlet, "_send", lambda data: writes.append(data) or len(data)
    )
    batch(world, *[("room", {"text": str(number)}) for number in range(10)])
    assert len(writes) == 1


def test_pieces_are_bounded() -> None:
    world = World()
    [client] = room(world, 1)
    batch(world, *[("room", {"bytes": b"x" * 30_000}) for _ in range(9)])
    assert client.frames == [(0x82, b"x" * 30_000)] * 9


def test_order_holds_between_a_group_s_messages_and_a_socket_s_own() -> None:
    world = World()
    one, other = room(world, 2)
    batch(
        world,
        ("room", {"text": "1"}),
        ("room", {"text": "2"}),
        (one.reply_channel, {"text": "own"}),
        ("room", {"text": "3"}),
        ("room", {"text": "4", "close": True}),
        ("room", {"text": "late"}),
    )
    assert one.texts == ["1", "2", "own", "3", "4"]
    assert other.texts == ["1", "2", "3", "4"]
    assert one.close_code == other.close_code == 1000


@given(st.lists(st.sampled_from(["room", "hall", "one", "two", "consumed", "empty"]), max_size=30))
def test_whatever_is_in_a_batch_each_socket_gets_its_own_in_order(kinds: list[str]) -> None:
    world = World(capacity={"txchannels.*!": 30})
    one, two = room(world, 2)
    world.hub.group_add("hall", two.reply_channel)
    sends: list[tuple[str, dict[str, Any]]] = []
    for number, kind in enumerate(kinds):
        if kind == "consumed":
            sends.append((one.reply_channel, {"consumed": 99}))
        elif kind == "empty":
            sends.append(("room", {}))
        else:
            name = {"one": one.reply_channel, "two": two.reply_channel}.get(kind, kind)
            sends.append((name, {"text": f"{kind} {number}"}))
    batch(world, *sends)
    texts = [message["text"] for _, message in sends if "text" in message]
    assert one.texts == [text for text in texts if text.split()[0] in ("room", "one")]
    assert two.texts == [text for text in texts if text.split()[0] in ("room", "hall", "two")]


@pytest.mark.parametrize(
    "message",
    [
        {"text": "a", "bytes": b"b"},
        {"text": 5},
        {"bytes": "x"},
        {"bytes": 10**9},
        {"text": "\ud800"},
        {"txet": "a"},
        {"text": 5, "close": True},
    ],
)
def test_an_illegal_message_is_logged_once_and_nothing_else_is_lost(
    errors: list[str], message: dict[str, Any]
) -> None:
    world = World()
    clients = room(world, 5)
    clients[0].text("one", "two")
    batch(
        world,
        ("room", {"text": "before"}),
        ("room", message),
        ("room", {"text": "after"}),
        (clients[0].reply_channel, {"consumed": 1}),
    )
    assert len(errors) == 1
    for client in clients:
        assert client.texts == ["before", "after"]
    assert world.received == ["one", "two"]


def test_an_illegal_message_alone_loses_nothing_that_comes_with_it(errors: list[str]) -> None:
    world = World()
    one, _ = room(world, 2)
    one.text("one", "two")
    batch(
        world,
        ("room", {"text": "a", "bytes": b"b"}),
        (one.reply_channel, {"consumed": 1}),
    )
    assert world.received == ["one", "two"]
    assert len(errors) == 1


def test_a_member_that_does_not_read_is_dropped_and_the_others_get_everything() -> None:
    world = World(max_unsent_bytes=10_000)
    slow, *others = room(world, 4)
    slow.transport.socket.room = 0
    for number in range(200):
        world.send_group("room", {"text": f"{number:0100}"})
    assert slow.transport.is_aborted
    slow.lose()
    for client in others:
        assert [int(text) for text in client.texts] == list(range(200))


def test_a_member_whose_pipe_is_broken_harms_no_other() -> None:
    world = World()
    broken, other = room(world, 2)
    broken.transport.socket.is_broken = True
    world.send_group("room", {"text": "a"}, {"text": "b"})
    assert other.texts == ["a", "b"]


def test_a_group_can_be_closed() -> None:
    world = World()
    clients = room(world, 3)
    world.send_group("room", {"close": 4000})
    assert [client.close_code for client in clients] == [4000] * 3


def test_an_empty_message_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    [client] = room(world, 1)
    monkeypatch.setattr(client.socket._outlet, "_send", lambda data: pytest.fail("written"))
    world.send_group("room", {}, {"text": None})


def test_members_that_leave_within_the_batch_are_skipped() -> None:
    world = World()
    one, other = room(world, 2)
    world.hub.send_group("room", {"text": "x"})
    one.transport.protocol.connectionLost()
    world.flush()
    assert other.texts == ["x"]
    assert one.transport.sent == b""


@pytest.mark.parametrize("message", [{"text": "x"}, {"bytes": b"x"}, {"accept": True, "text": "x"}])
def test_a_group_s_message_opens_no_socket(message) -> None:
    world = World()
    client = world.client()
    world.hub.group_add("room", client.reply_channel)
    world.send_group("room", message)
    assert client.transport.sent == b""
    client.reply({"accept": False})
    assert client.status == 403


def test_a_group_s_messages_wait_until_the_socket_is_open() -> None:
    world = World()
    client = world.client()
    world.hub.group_add("room", client.reply_channel)
    world.send_group("room", {"text": "one"}, {"text": "two"})
    client.reply({"text": "first"})
    world.send_group("room", {"text": "three"})
    assert [payload for _, payload in client.frames] == [b"first", b"one", b"two", b"three"]


def test_what_waits_for_a_socket_to_open_is_bounded() -> None:
    world = World(max_unsent_bytes=300)
    client = world.client()
    world.hub.group_add("room", client.reply_channel)
    for number in range(5):
        world.send_group("room", {"text": f"{number:0100}"})
    client.reply({"accept": True})
    assert [int(payload) for _, payload in client.frames] == [0, 1]
    assert world.site.counters["websocket.held_too_much"] == 3


def test_a_group_may_close_a_socket_that_is_not_open_yet() -> None:
    world = World()
    client = world.client()
    world.hub.group_add("room", client.reply_channel)
    world.send_group("room", {"close": True})
    assert client.status == 403
