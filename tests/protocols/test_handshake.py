"""The opening handshake (RFC 6455, section 4): what is refused, and how it is answered."""

from __future__ import annotations

import pytest

from tests.protocols.sockets import ACCEPT, KEY, World, mask_frame
from txchannels.errors import PeerError
from txchannels.protocols.handshake import (
    accept_response,
    choose_protocol,
    read_handshake,
    refusal,
)
from txchannels.protocols.request import Head


def head(*fields: tuple[bytes, bytes], key: bytes = KEY.encode()) -> Head:
    given = [[b"sec-websocket-key", key], [b"sec-websocket-version", b"13"], *map(list, fields)]
    return Head("GET", b"/", "1.1", given)


def test_the_handshake_of_the_standard_is_read_and_answered() -> None:
    handshake = read_handshake(head((b"origin", b"http://example.com")))
    assert handshake.key == KEY.encode()
    assert handshake.origin == b"http://example.com"
    assert handshake.protocols == []
    response = accept_response(handshake.key, None)
    assert response == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"
    )


@pytest.mark.parametrize("versions", [[], [b"8"], [b"12"], [b"13, 8"], [b""], [b"13", b"13"]])
def test_another_version_is_426(versions: list[bytes]) -> None:
    fields = [[b"sec-websocket-key", KEY.encode()]]
    fields += [[b"sec-websocket-version", version] for version in versions]
    with pytest.raises(PeerError) as raised:
        read_handshake(Head("GET", b"/", "1.1", fields))
    assert raised.value.status == 426


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"short",
        b"dGhlIHNhbXBsZSBub25jZQ",
        b"dGhlIHNhbXBsZSBub25jZQ==x",
        b"dGhlIHNhbXBsZSBub25jZQ== dGhlIHNhbXBsZSBub25jZQ==",
        b"dGhlIHNhbXBsZSBub25jZQo=",
        b"dGhl\xffHNhbXBsZSBub25jZQ==",
        b"!" * 24,
    ],
)
def test_a_key_that_is_not_16_bytes_in_base64_is_400(key: bytes) -> None:
    with pytest.raises(PeerError) as raised:
        read_handshake(head(key=key))
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "field", [(b"sec-websocket-key", KEY.encode()), (b"origin", b"http://b.example")]
)
def test_what_there_is_one_of_is_400_twice(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(PeerError) as raised:
        read_handshake(head((b"origin", b"http://a.example"), field))
    assert raised.value.status == 400


def test_subprotocols_are_listed_in_the_client_s_order_over_all_fields() -> None:
    name = b"sec-websocket-protocol"
    asked = head((name, b"chat.v2 ,\tchat.v1,"), (name, b", json"))
    assert read_handshake(asked).protocols == ["chat.v2", "chat.v1", "json"]


@pytest.mark.parametrize(
    "value", [b"a b", b"a, a", b"a;b", b'"a"', b"\xe9", b"a\xa0", b"(x)", b"a, b/c"]
)
def test_subprotocols_that_are_no_words_or_named_twice_are_400(value: bytes) -> None:
    with pytest.raises(PeerError) as raised:
        read_handshake(head((b"sec-websocket-protocol", value)))
    assert raised.value.status == 400


def test_the_client_s_first_choice_among_the_served_ones_is_spoken() -> None:
    assert choose_protocol(["x", "b", "a"], ("a", "b")) == "b"
    assert choose_protocol(["x"], ("a", "b")) is None
    assert choose_protocol([], ("a",)) is None


def test_the_chosen_subprotocol_is_named_in_the_answer() -> None:
    assert b"\r\nSec-WebSocket-Protocol: chat.v1\r\n" in accept_response(KEY.encode(), "chat.v1")


def test_a_refusal_closes_and_says_what_else_is_spoken() -> None:
    response = refusal(426, "Only 13", b"Date: x", 1)
    assert response.startswith(b"HTTP/1.1 426 ")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in response
    assert b"\r\nConnection: close\r\n" in response


def test_a_refusal_for_lack_of_room_says_when_to_come_back() -> None:
    assert b"\r\nRetry-After: 7\r\n" in refusal(503, "Busy", b"Date: x", 7)


# On the wire: one parser, whose fields are all that anybody reads


@pytest.mark.parametrize("byte", [0x00, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x7F, 0x85])
@pytest.mark.parametrize("field", ["Origin", "Sec-WebSocket-Protocol", "X-Forwarded-For", "Cookie"])
def test_a_byte_that_some_reader_takes_for_a_line_s_end_is_400(field: str, byte: int) -> None:
    world = World(origins=("*",))
    client = world.client(fields={field: b"a" + bytes((byte,)) + b"X-Evil: 1"})
    assert client.status == 400
    assert world.messages == []


@pytest.mark.parametrize(
    "fields",
    [
        {"Upgrade": None},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Upgrade": "h2c"},
    ],
)
def test_what_asks_for_no_websocket_is_a_request(fields: dict[str, str | bytes | None]) -> None:
    world = World()
    world.client(fields=fields)
    assert world.messages == []
    assert world.layer.blocking.receive(["http.request"])[0] == "http.request"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": "x"}, 400),
        ({"Host": None}, 400),
        ({"Host": "a b"}, 400),
        ({"Sec-WebSocket-Protocol": "a, a"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_an_illegal_handshake_reaches_nobody(
    fields: dict[str, str | bytes | None], status: int
) -> None:
    world = World()
    client = world.client(fields=fields)
    assert client.status == status
    assert world.messages == []
    assert b"\r\nConnection: close" in client.response
    client.lose(clean=True)
    world.assert_nothing_left()


def test_names_and_words_are_compared_without_case() -> None:
    world = World()
    client = world.client(fields={"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"})
    client.reply({"accept": True})
    assert client.status == 101


def test_a_handshake_in_single_bytes_is_read() -> None:
    world = World()
    whole = world.open()
    whole.lose()
    client = type(whole)(world)
    request = (
        f"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode() + mask_frame(1, b"early")
    for at in range(len(request)):
        client.feed(request[at : at + 1])
    client.reply_channel = world.of("websocket.connect")[-1]["reply_channel"]
    client.reply({"accept": True})
    client.reply({"consumed": 0})
    assert world.received == ["early"]


def test_compression_is_never_negotiated() -> None:
    world = World()
    client = world.client(
        fields={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    )
    client.reply({"accept": True})
    assert client.status == 101
    assert b"xtensions" not in client.response
    client.feed(mask_frame(1, b"\xaaV*I\xad(\x01\x00", rsv=4))
    assert client.close_code == 1002
