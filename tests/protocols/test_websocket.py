"""WebSocket connections: from the handshake, which a consumer answers, to the close."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.sockets import Client, World, mask_frame
from txchannels.protocols.websocket import Socket

# The handshake is held until a consumer answers


def test_the_connect_message_says_what_the_client_asked() -> None:
    world = World(http={"root_path": "/site"})
    client = world.client(
        path="/caf%C3%A9?a=%20b",
        fields={"Cookie": "a=1", "Sec-WebSocket-Protocol": "a, b", "Origin": "http://example.com"},
    )
    [message] = world.of("websocket.connect")
    headers = message.pop("headers")
    assert message == {
        "reply_channel": client.reply_channel,
        "scheme": "ws",
        "path": "/caf\xe9",
        "query_string": b"a=%20b",
        "root_path": "/site",
        "client": ["192.0.2.7", 50_123],
        "server": ["192.0.2.1", 8000],
        "order": 0,
        "subprotocols": ["a", "b"],
    }
    assert [b"cookie", b"a=1"] in headers
    assert [b"origin", b"http://example.com"] in headers


def test_nothing_is_answered_before_the_consumer_has() -> None:
    world = World()
    client = world.client()
    world.advance(5)
    assert client.transport.sent == b""


@pytest.mark.parametrize(
    "message",
    [
        {"accept": True},
        {"accept": True, "text": None, "bytes": None},
        {"accept": True, "close": False},
        {"accept": True, "text": ""},
    ],
)
def test_accept_opens_the_socket(message: dict[str, Any]) -> None:
    client = World().client()
    client.reply(message)
    assert client.status == 101
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.response


@pytest.mark.parametrize(
    ("message", "frame"),
    [({"text": "hi"}, (0x81, b"hi")), ({"bytes": b"\x00"}, (0x82, b"\x00"))],
)
def test_content_accepts_and_is_sent(message: dict[str, Any], frame: tuple[int, bytes]) -> None:
    for accept in ({}, {"accept": True}):
        client = World().client()
        client.reply({**message, **accept})
        assert client.status == 101
        assert client.frames == [frame]


@pytest.mark.parametrize("message", [{}, {"text": ""}, {"bytes": b""}, {"close": False}])
def test_what_is_no_answer_leaves_the_handshake_waiting(message: dict[str, Any]) -> None:
    world = World()
    client = world.client()
    client.reply(message)
    assert client.transport.sent == b""
    client.reply({"accept": True})
    assert client.status == 101


@pytest.mark.parametrize(
    "message",
    [
        {"accept": False},
        {"accept": False, "text": "ignored", "close": 4000},
        {"close": True},
        {"close": 4000},
    ],
)
def test_a_rejected_handshake_is_answered_403(message: dict[str, Any]) -> None:
    world = World()
    client = world.client()
    client.reply(message)
    assert client.status == 403
    assert client.transport.is_half_closed
    client.reply({"consumed": 0})
    client.lose(clean=True)
    [disconnect] = world.of("websocket.disconnect")
    assert disconnect["code"] == 1006
    world.assert_nothing_left()


def test_a_handshake_that_nobody_answers_is_403_after_its_timeout() -> None:
    world = World(connect_timeout_seconds=3)
    client = world.client()
    world.advance(3)
    assert client.transport.sent == b""
    world.advance(1)
    assert client.status == 403
    client.reply({"accept": True})
    assert bytes(client.transport.sent).count(b"HTTP/1.1") == 1


def test_a_full_connect_channel_is_503() -> None:
    world = World(capacity={"websocket.connect": 1}, reading=0)
    world.client()
    client = world.client()
    assert client.status == 503
    assert b"Retry-After" in client.response
    client.lose()
    assert world.site.connections == 1
    assert len(world.site._targets) == 1


def test_accept_with_content_and_close_does_all_three() -> None:
    client = World().client()
    client.reply({"accept": True, "text": "bye", "close": 4001})
    assert client.frames == [(0x81, b"bye"), (0x88, b"\x0f\xa1")]


def test_content_and_close_without_accept_keep_the_code() -> None:
    client = World().client()
    client.reply({"text": "bye", "close": 4001})
    assert client.close_code == 4001


def test_a_second_accept_is_ignored() -> None:
    client = World().open()
    client.reply({"accept": True})
    client.reply({"accept": False})
    assert client.frames == []


def test_a_client_that_leaves_during_the_handshake_is_told_to_the_application() -> None:
    world = World()
    client = world.client()
    client.lose()
    assert world.of("websocket.disconnect") == []
    client.reply({"accept": True})
    client.reply({"consumed": 0})
    [message] = world.of("websocket.disconnect")
    assert message == {
        "reply_channel": client.reply_channel,
        "path": "/chat",
        "code": 1006,
        "order": 1,
    }
    world.assert_nothing_left()


# Subprotocols


@pytest.mark.parametrize(
    ("served", "reply", "chosen"),
    [
        ((), {"accept": True}, None),
        (("b",), {"accept": True}, "b"),
        (("c", "b", "a"), {"accept": True}, "a"),
        (("x",), {"accept": True}, None),
        ((), {"accept": True, "subprotocol": "b"}, "b"),
        (("a",), {"accept": True, "subprotocol": "b"}, "b"),
        (("a",), {"accept": True, "subprotocol": None}, "a"),
        ((), {"text": "x", "subprotocol": "c"}, "c"),
    ],
)
def test_a_subprotocol_is_chosen(
    served: tuple[str, ...], reply: dict[str, Any], chosen: str | None
) -> None:
    world = World(protocols=served)
    client = world.client(fields={"Sec-WebSocket-Protocol": "a, b, c"})
    client.reply(reply)
    named = [
        line.split(b": ")[1].decode()
        for line in client.response.split(b"\r\n")
        if line.startswith(b"Sec-WebSocket-Protocol")
    ]
    assert named == ([] if chosen is None else [chosen])


@pytest.mark.parametrize("asked", ["d", "", "a\r\nX-Evil: 1", 5, ["a"]])
def test_a_subprotocol_that_was_not_offered_is_not_spoken(errors: list[str], asked: Any) -> None:
    client = World().client(fields={"Sec-WebSocket-Protocol": "a"})
    client.reply({"accept": True, "subprotocol": asked})
    assert client.status == 101
    assert b"Protocol:" not in client.response
    assert len(errors) == 1


# Origin


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://example.com", "example.com", 101),
        ("http://example.com:8000", "example.com:8000", 101),
        ("http://[::1]:8000", "[::1]:8000", 101),
        ("https://example.com", "example.com", 101),
        ("https://example.com:8443", "example.com", 403),
        ("http://evil.example", "example.com", 403),
        ("null", "example.com", 403),
    ],
)
def test_pages_of_other_sites_may_not_connect(origin: str, host: str, status: int) -> None:
    world = World()
    client = world.client(fields={"Origin": origin, "Host": host})
    if client.reply_channel:
        client.reply({"accept": True})
    assert client.status == status
    assert world.site.counters["websocket.origin"] == (status == 403)


def test_an_encrypted_site_behind_a_proxy_knows_its_origin() -> None:
    world = World(http={"proxy_hops": 1})
    fields: dict[str, str | bytes | None] = {
        "Host": "10.0.0.1:8000",
        "Origin": "https://example.com",
        "X-Forwarded-Host": "example.com",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.9",
    }
    world.client(fields=fields)
    [message] = world.of("websocket.connect")
    assert message["scheme"] == "wss"
    assert message["client"] == ["203.0.113.9", 0]
    refused = world.client(fields={**fields, "Origin": "http://example.com"})
    assert refused.status == 403


def test_further_origins_are_named_in_the_settings() -> None:
    world = World(origins=("https://app.example",))
    world.client(fields={"Origin": "https://app.example"})
    assert len(world.of("websocket.connect")) == 1


@pytest.mark.parametrize("origins", [(), ("http://evil.example",), ("*",)])
def test_a_page_whose_own_name_leads_here_may_not_connect(origins: tuple[str, ...]) -> None:
    world = World(origins=origins, is_host_allowed="example.com".__eq__)
    fields: dict[str, str | bytes | None] = {
        "Host": "evil.example",
        "Origin": "http://evil.example",
    }
    client = world.client(fields=fields)
    assert client.status == 403
    assert b"ALLOWED_HOSTS" not in client.transport.sent
    assert world.site.counters["websocket.host"] == 1
    assert world.messages == []
    world.client(fields={**fields, "Host": "example.com", "Origin": "http://example.com"})
    world.client(fields={**fields, "Origin": None})
    assert len(world.of("websocket.connect")) == 2, "programs are not concerned"


def test_which_hosts_are_allowed_may_change_while_the_site_runs() -> None:
    world = World(is_host_allowed="old.example".__eq__)
    old, new = (
        {"Host": host, "Origin": f"http://{host}"} for host in ("old.example", "new.example")
    )
    kept = world.open(fields=old)
    assert world.client(fields=new).status == 403
    behind = Client(world)
    behind.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    behind.ask(fields=old)  # its turn comes when the request before it is answered
    world.site.is_host_allowed = "new.example".__eq__
    assert world.client(fields=old).status == 403
    assert world.open(fields=new).frames == []
    [request] = [target for target in world.site._targets.values() if type(target) is not Socket]
    request.message_received({"status": 204})
    assert b"HTTP/1.1 403 " in behind.transport.sent
    kept.reply({"text": "still here"})
    assert kept.texts == ["still here"]


def test_the_host_that_the_proxy_names_is_the_one_that_must_be_allowed() -> None:
    world = World(http={"proxy_hops": 1}, is_host_allowed="example.com".__eq__)
    fields: dict[str, str | bytes | None] = {
        "Host": "10.0.0.1:8000",
        "Origin": "http://example.com",
        "X-Forwarded-Host": "example.com",
    }
    world.client(fields=fields)
    assert len(world.of("websocket.connect")) == 1
    fields |= {"Host": "example.com", "X-Forwarded-Host": "evil.example"}
    fields["Origin"] = "http://evil.example"
    assert world.client(fields=fields).status == 403


# Replies


@pytest.mark.parametrize(
    ("message", "frames"),
    [
        ({"text": "h\xe9"}, [(0x81, b"h\xc3\xa9")]),
        ({"bytes": b"\xff"}, [(0x82, b"\xff")]),
        ({"text": ""}, [(0x81, b"")]),
        ({"bytes": b""}, [(0x82, b"")]),
        ({"text": "", "bytes": None}, [(0x81, b"")]),
        ({"text": None, "bytes": b""}, [(0x82, b"")]),
        ({"text": "a", "bytes": b""}, [(0x81, b"a")]),
        ({"text": "", "bytes": b"a"}, [(0x82, b"a")]),
        ({"text": None, "bytes": None}, []),
        ({}, []),
        ({"close": False}, []),
        ({"close": None}, []),
        ({"bytes": bytearray(b"x")}, [(0x82, b"x")]),
    ],
)
def test_a_reply_s_content_is_sent(
    message: dict[str, Any], frames: list[tuple[int, bytes]]
) -> None:
    client = World().open()
    client.reply(message)
    assert client.frames == frames


@pytest.mark.parametrize(
    "message",
    [
        {"text": "a", "bytes": b"b"},
        {"text": "a", "bytes": b"b", "close": True},
        {"text": 5},
        {"text": b"a"},
        {"text": "\ud800"},
        {"bytes": "a"},
        {"bytes": 5},
        {"bytes": [1, 2]},
        {"txet": "a"},
        {"text": "a", "more": True},
        {"status": 200, "content": b""},
    ],
)
@pytest.mark.parametrize("is_open", [True, False])
def test_an_illegal_reply_is_dropped_and_logged_once(
    errors: list[str], message: dict[str, Any], is_open: bool
) -> None:
    world = World()
    client = world.open() if is_open else world.client()
    client.reply(message)
    assert len(errors) == 1
    assert client.reply_channel in errors[0]
    assert client.transport.sent == b""
    client.reply({"text": "still here"})
    assert client.texts == ["still here"]


@pytest.mark.parametrize(
    ("close", "code"), [(True, 1000), (1000, 1000), (1001, 1001), (3000, 3000), (4999, 4999)]
)
def test_a_close_is_sent_with_its_code(close: Any, code: int) -> None:
    client = World().open()
    client.reply({"close": close})
    assert client.close_code == code


@pytest.mark.parametrize(
    "code", [0, 1, 999, 1005, 1006, 1015, 2000, 5000, -1, 2**70, "1000", 1e3, []]
)
def test_an_illegal_close_code_is_logged_and_1011(errors: list[str], code: Any) -> None:
    client = World().open()
    client.reply({"close": code})
    assert client.close_code == 1011
    assert len(errors) == 1


def test_content_goes_out_before_the_close_that_came_with_it() -> None:
    client = World().open()
    client.reply({"text": "bye", "close": True})
    assert client.frames == [(0x81, b"bye"), (0x88, b"\x03\xe8")]


def test_nothing_is_sent_after_a_close() -> None:
    client = World().open()
    client.reply({"close": True})
    client.reply({"text": "late"})
    client.reply({"close": 4000})
    client.feed(mask_frame(9, b"ping"))
    assert len(client.frames) == 1


# Control frames


def test_a_ping_is_answered_with_its_payload() -> None:
    client = World().open()
    client.feed(mask_frame(9, b"abc"))
    assert client.frames == [(0x8A, b"abc")]


def test_of_the_pings_of_one_read_the_last_alone_is_answered() -> None:
    client = World().open()
    client.feed(b"".join(mask_frame(9, b"%d" % at) for at in range(10)) + mask_frame(1, b"x"))
    assert client.frames == [(0x8A, b"9")]
    client.feed(mask_frame(9, b"next"))
    assert client.frames == [(0x8A, b"9"), (0x8A, b"next")]


@pytest.mark.parametrize("end", [mask_frame(8), mask_frame(3)])
def test_a_ping_before_the_end_is_answered_before_it(end: bytes) -> None:
    client = World().open()
    client.feed(mask_frame(9, b"abc") + end)
    assert [first for first, _ in client.frames] == [0x8A, 0x88]


def test_a_pong_that_nobody_asked_for_is_ignored() -> None:
    world = World()
    client = world.open()
    client.feed(mask_frame(10, b"abc"))
    assert client.frames == []
    assert world.messages == []


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999, None])
def test_a_close_is_answered_with_its_code_and_the_server_drops(code: int | None) -> None:
    world = World()
    client = world.open()
    client.close(code)
    assert client.close_code == (1005 if code is None else code)
    assert client.transport.is_losing
    client.lose(clean=True)
    [message] = world.of("websocket.disconnect")
    assert message["code"] == (1005 if code is None else code)
    assert message["order"] == 1
    world.assert_nothing_left()


@pytest.mark.parametrize("code", [1000, 1012, 1013, 4000])
def test_the_client_s_answer_to_a_close_ends_a_socket_that_never_sent_anything(code: int) -> None:
    world = World()
    client = world.open()
    client.reply({"close": code})
    client.close(code)
    assert client.transport.is_losing
    assert len(client.frames) == 1
    client.lose(clean=True)
    [message] = world.of("websocket.disconnect")
    assert message["code"] == code
    world.assert_nothing_left()


def test_messages_after_the_server_s_close_are_not_delivered() -> None:
    world = World()
    client = world.open()
    client.reply({"close": True})
    client.text("late")
    assert world.received == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),
        (mask_frame(3, b""), 1002),
        (mask_frame(1, b"", rsv=4), 1002),
        (mask_frame(9, b"x" * 126), 1002),
        (mask_frame(0, b""), 1002),
        (mask_frame(8, b"\x03\xed"), 1002),
        (mask_frame(1, b"\xff"), 1007),
        (mask_frame(2, b"x" * 101), 1009),
        (mask_frame(2, b"x" * 60, fin=False) + mask_frame(0, b"x" * 60), 1009),
        (b"GET / HTTP/1.1\r\n\r\n", 1002),
    ],
)
def test_a_broken_rule_is_answered_by_its_code(data: bytes, code: int) -> None:
    world = World(max_message_bytes=100)
    client = world.open()
    client.feed(data)
    assert client.close_code == code
    assert client.transport.is_half_closed
    assert world.site.counters[f"websocket.{code}"] == 1
    client.feed(b"garbage, which nobody reads")
    client.text("late")
    client.lose(clean=True)
    [(channel, message)] = world.messages
    assert channel == "websocket.disconnect"
    assert message["code"] == code
    world.assert_nothing_left()


def test_what_came_before_a_broken_rule_is_delivered() -> None:
    world = World()
    client = world.open()
    client.feed(mask_frame(1, b"good") + b"\xff\xff")
    assert world.received == ["good"]


# Early frames


def test_frames_that_come_with_the_handshake_wait_for_accept_and_the_consumer() -> None:
    world = World()
    client = world.client(rest=mask_frame(1, b"one"))
    client.text("two")
    assert world.received == []
    client.reply({"accept": True})
    assert world.received == []
    client.reply({"consumed": 0})
    assert world.received == ["one"]
    client.reply({"consumed": 1})
    assert world.received == ["one", "two"]


def test_half_a_frame_with_the_handshake_is_continued() -> None:
    world = World()
    frame = mask_frame(1, b"hello")
    client = world.client(rest=frame[:3])
    client.reply({"accept": True})
    client.reply({"consumed": 0})
    client.feed(frame[3:])
    assert world.received == ["hello"]


def test_early_frames_of_a_rejected_handshake_are_dropped() -> None:
    world = World()
    client = world.client(rest=mask_frame(1, b"one"))
    client.reply({"accept": False})
    client.reply({"consumed": 0})
    client.lose()
    assert world.received == []


def test_an_early_close_does_not_swallow_what_accept_came_with() -> None:
    client = World().client(rest=mask_frame(8, b"\x03\xe8"))
    client.reply({"accept": True, "text": "hello"})
    assert client.frames == [(0x81, b"hello"), (0x88, b"\x03\xe8")]


def test_too_many_early_bytes_pause_reading_until_accept() -> None:
    world = World()
    client = world.client()
    client.feed(mask_frame(2, b"x" * 40_000))
    assert not client.transport.is_paused
    client.feed(mask_frame(2, b"x" * 40_000))
    assert client.transport.is_paused
    client.reply({"accept": True})
    client.reply({"consumed": 0})
    client.reply({"consumed": 1})
    assert not client.transport.is_paused
    assert [len(data) for data in world.received] == [40_000, 40_000]


def test_a_socket_takes_over_behind_a_response_that_waited_for_the_client() -> None:
    world = World()
    client = Client(world)
    client.feed(b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n")
    _, request = world.layer.blocking.receive(["http.request"])
    client.transport.socket.room = 100
    world.send(request["reply_channel"], {"status": 200, "headers": [], "content": b"p" * 5000})
    client.ask()
    client.transport.take()
    client.reply_channel = world.of("websocket.connect")[0]["reply_channel"]
    client.reply({"accept": True, "text": "hello"})
    _, _, rest = bytes(client.transport.sent).partition(b"p" * 5000)
    assert rest.startswith(b"HTTP/1.1 101")
    assert rest.endswith(b"\x81\x05hello")
