from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tracemalloc

import msgpack
import pytest
from cryptography.fernet import Fernet
from hypothesis import example, given
from hypothesis import strategies as st

from txchannels.errors import ConfigurationError, LayerError, MessageTooLarge
from txchannels.layers.codec import (
    MAX_PAYLOAD_BYTES,
    Codec,
    Element,
    ElementError,
    Kind,
    deadline_of,
)
from txchannels.layers.names import check_channel, check_group
from txchannels.messages import MAX_DEPTH, MAX_MESSAGE_BYTES, copy_message

DEADLINE = 1_760_000_000_123
CLEAR = b"1760000000123"
KEYS = ["first secret", "second secret"]

PLAIN = Codec()
ENCRYPTED = Codec(KEYS)
BOTH = pytest.mark.parametrize("codec", [PLAIN, ENCRYPTED], ids=["plain", "encrypted"])

texts = st.text(st.characters(), max_size=20)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=40),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.lists(inner).map(tuple)
        | st.dictionaries(texts, inner, max_size=20)
    ),
    max_leaves=40,
)
messages = st.dictionaries(texts, values, max_size=20)
groups = st.from_regex(r"[a-zA-Z0-9_.\-]{1,99}", fullmatch=True)
channels = groups | st.from_regex(r"[a-z.]{1,20}[?!][A-Za-z0-9]{1,12}", fullmatch=True)
senders = st.just("") | channels
elements = st.one_of(
    st.builds(Element, st.just(Kind.MESSAGE), channels, messages, senders),
    st.builds(Element, st.just(Kind.GROUP), groups, messages, senders),
    st.builds(Element, st.sampled_from([Kind.ADD, Kind.DISCARD]), groups, channels, senders),
    st.builds(Element, st.sampled_from([Kind.CLOSED, Kind.WANT]), channels, st.none(), senders),
    st.builds(Element, st.just(Kind.FLUSH), st.just(""), st.none(), senders),
)


def encoded(message, codec=PLAIN):
    return codec.encode(Kind.MESSAGE, "a", message, deadline=DEADLINE)


def raw(*fields):
    """An element of any fields."""
    return CLEAR + msgpack.packb(list(fields), unicode_errors="surrogatepass")


def reason_of(data, codec=PLAIN):
    with pytest.raises(ElementError) as caught:
        codec.decode(data)
    return caught.value.reason


def assert_legal(element):
    """What any reader may rely on."""
    kind, target, content, sender = element
    assert type(kind) is Kind
    assert sender == "" or check_channel(sender)
    if kind in {Kind.MESSAGE, Kind.CLOSED, Kind.WANT}:
        check_channel(target)
    elif kind is Kind.FLUSH:
        assert target == ""
    else:
        check_group(target)
    if kind in {Kind.MESSAGE, Kind.GROUP}:
        assert_carried(content, 1)
        assert type(content) is dict
    elif kind in {Kind.ADD, Kind.DISCARD}:
        check_channel(content)
    else:
        assert content is None


def assert_carried(value, depth):
    if type(value) in {list, dict}:
        assert depth <= MAX_DEPTH
        for item in value.values() if type(value) is dict else value:
            assert_carried(item, depth + 1)
        if type(value) is dict:
            assert {type(key) for key in value} <= {str}
    else:
        assert value is None or type(value) in {bool, int, float, str, bytes}


def decode_any(codec, data):
    """Decode what may be anything."""
    try:
        element = codec.decode(data)
    except ElementError:
        return None
    assert_legal(element)
    return element


# What was encoded


@BOTH
@given(element=elements)
def test_an_element_is_decoded_as_it_was_encoded(codec, element):
    if type(element.content) is dict:
        element = element._replace(content=copy_message(element.content))
    data = codec.encode(*element, deadline=DEADLINE)
    decoded = codec.decode(data)
    assert decoded == element
    assert repr(decoded) == repr(element)  # 1 is no True, and 0.0 no -0.0
    assert deadline_of(data) == DEADLINE


@BOTH
def test_lone_surrogates_survive(codec):
    message = {"text": "\ud800", "pair": "\ud800\udc00", "\udfff": ["😀\udfff"]}
    assert codec.decode(encoded(message, codec)).content == message


class Word(str):
    __slots__ = ()


@BOTH
def test_kinds_of_plain_types_become_plain(codec):
    message = {"word": Word("x"), "tuple": (1, 2), "bytes": bytearray(b"x"), "v": memoryview(b"y")}
    content = codec.decode(encoded(message, codec)).content
    assert content == {"word": "x", "tuple": [1, 2], "bytes": b"x", "v": b"y"}
    assert [type(value) for value in content.values()] == [str, list, bytes, bytes]


def test_the_sender_may_be_left_out():
    assert PLAIN.decode(encoded({})) == Element(Kind.MESSAGE, "a", {}, "")


@pytest.mark.parametrize("kind", [Kind.MESSAGE, 0])
def test_the_bytes_of_a_plain_element_are_deadline_and_msgpack(kind):
    data = PLAIN.encode(kind, "room?x", {"text": "hi"}, "hub.1", deadline=DEADLINE)
    assert data[:13] == CLEAR
    assert msgpack.unpackb(data[13:]) == [0, "room?x", {"text": "hi"}, "hub.1"]


def test_the_bytes_of_an_encrypted_element_are_deadline_and_fernet_token():
    data = ENCRYPTED.encode(Kind.GROUP, "room", {"text": "hi"}, "hub.1", deadline=DEADLINE)
    assert data[:13] == CLEAR
    key = base64.urlsafe_b64encode(hashlib.sha256(KEYS[0].encode()).digest())
    fields = msgpack.unpackb(Fernet(key).decrypt(data[13:]))
    assert fields == [1, "room", {"text": "hi"}, "hub.1", DEADLINE]


@pytest.mark.parametrize("value", [object(), {1}, 1j, 2**64, -(2**63) - 1, memoryview(b"xyz")[::2]])
def test_what_no_layer_carries_is_not_encoded(value):
    with pytest.raises(TypeError):
        encoded({"a": value})


def test_an_endless_message_is_not_encoded():
    endless = {}
    endless["a"] = endless
    with pytest.raises(TypeError):
        encoded(endless)


# Deadlines


@pytest.mark.parametrize(
    "data", [b"", b"176000000012", b"-176000000012", b"17600000001 3", b" " * 40]
)
def test_what_does_not_begin_with_a_deadline_is_garbage(data):
    with pytest.raises(ElementError, match="garbage"):
        deadline_of(data)
    assert reason_of(data) == "garbage"
    assert reason_of(data, ENCRYPTED) == "garbage"


def test_a_deadline_has_thirteen_digits_from_the_first_to_the_last():
    for deadline in (0, 1, 10**13 - 1):
        data = PLAIN.encode(Kind.FLUSH, "", None, deadline=deadline)
        assert deadline_of(data) == deadline
        assert PLAIN.decode(data).kind is Kind.FLUSH


def test_the_deadline_of_an_encrypted_element_cannot_be_changed():
    data = encoded({}, ENCRYPTED)
    assert reason_of(b"1760000000124" + data[13:], ENCRYPTED) == "not authentic"


# Keys


def test_any_of_the_keys_decrypts_and_the_first_encrypts():
    old, both, new = Codec(["old"]), Codec(["new", "old"]), Codec(["new"])
    assert both.decode(encoded({"a": 1}, old)).content == {"a": 1}
    assert new.decode(encoded({"a": 1}, both)).content == {"a": 1}
    assert reason_of(encoded({}, both), old) == "not authentic"


def test_an_encrypted_codec_refuses_plain_elements():
    assert reason_of(encoded({}), ENCRYPTED) == "not authentic"


def test_a_plain_codec_refuses_encrypted_elements():
    assert reason_of(encoded({}, ENCRYPTED)) == "garbage"


@pytest.mark.parametrize("fields", [b"\xc0", b"\x90", b"\x80", b"\x94\x05\xa0\xc0\xa0"])
def test_a_token_of_something_else_is_not_authentic(fields):
    key = base64.urlsafe_b64encode(hashlib.sha256(KEYS[0].encode()).digest())
    assert reason_of(CLEAR + Fernet(key).encrypt(fields), ENCRYPTED) == "not authentic"


@given(st.data())
def test_a_changed_token_is_not_authentic(data):
    whole = encoded({"a": 1}, ENCRYPTED)
    token = base64.urlsafe_b64decode(whole[13:])
    place = data.draw(st.integers(0, len(token) - 1))
    change = data.draw(st.integers(1, 255))
    changed = token[:place] + bytes([token[place] ^ change]) + token[place + 1 :]
    assert reason_of(CLEAR + base64.urlsafe_b64encode(changed), ENCRYPTED) == "not authentic"


@pytest.mark.parametrize("keys", [[], ()])
def test_no_keys_mean_no_encryption(keys):
    assert Codec(keys).decode(encoded({})).content == {}


@pytest.mark.parametrize(
    "keys",
    [
        "s3cret",
        b"s3cret",
        None,
        3,
        {"s3cret"},
        {"s3cret": 1},
        ["s3cret", b"x"],
        ["s3cret", ""],
        [" "],
    ],
    ids=repr,
)
def test_keys_that_are_no_list_of_texts_are_a_wrong_setting(keys):
    with pytest.raises(ConfigurationError, match="must be a list") as caught:
        Codec(keys)
    assert caught.value.setting == "CONFIG['symmetric_encryption_keys']"
    assert caught.value.value is None
    assert "s3cret" not in str(caught.value)


def test_keys_are_not_shown():
    assert repr(ENCRYPTED) == f"<Codec encrypted, at most {MAX_PAYLOAD_BYTES} bytes>"
    assert repr(PLAIN).startswith("<Codec plain")


def test_a_key_may_hold_any_characters():
    codec = Codec(["schlüssel \ud800"])
    assert codec.decode(encoded({}, codec)).content == {}


# Sizes


@BOTH
def test_the_largest_message_of_text_or_bytes_is_carried(codec):
    for message in ({"a": "x" * (MAX_MESSAGE_BYTES - 2)}, {"a": b"x" * 2**20}):
        assert codec.decode(encoded(copy_message(message), codec)).content == message


@pytest.mark.parametrize("keys", [[], KEYS])
@pytest.mark.parametrize("limit", range(1000, 1017))
def test_what_is_just_not_too_large_is_encoded_and_decoded(keys, limit):
    codec = Codec(keys, max_bytes=limit)
    overhead = 20 if keys else 11
    message = {"a": b"x" * (limit - overhead)}
    assert codec.decode(encoded(message, codec)).content == message
    with pytest.raises(MessageTooLarge, match=f"{limit} bytes"):
        encoded({"a": b"x" * (limit - overhead + 1)}, codec)


@pytest.mark.parametrize("keys", [[], KEYS])
def test_what_is_too_large_is_not_even_looked_at(keys):
    assert reason_of(b"\0" * 3000, Codec(keys, max_bytes=1000)) == "too large"


# Depth


def nested(depth, wrap):
    value = wrap(None)
    for _ in range(depth - 2):
        value = wrap(value)
    return {"a": value}


@pytest.mark.parametrize(
    "wrap",
    [lambda value: {"a": value}, lambda value: [value], lambda value: [b"x", [value][0], [1]]],
)
def test_depth_is_bounded_as_that_of_messages(wrap):
    allowed = nested(MAX_DEPTH - 1, wrap)
    assert PLAIN.decode(encoded(allowed)).content == copy_message(allowed)
    assert reason_of(encoded(nested(MAX_DEPTH + 1, wrap))) == "too deep"


def test_the_deepest_message_is_carried_and_the_next_is_not():
    for wrap in (lambda value: {"a": value}, lambda value: [value]):
        deepest = nested(MAX_DEPTH, wrap)
        assert PLAIN.decode(encoded(deepest)).content == copy_message(deepest) == deepest
        with pytest.raises(TypeError, match="deeper"):
            copy_message(nested(MAX_DEPTH + 1, wrap))


@pytest.mark.parametrize(
    "opening", [b"\x91", b"\x81\xa1a", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01"]
)
@pytest.mark.parametrize("depth", [500, 1100, 100_000])
def test_nesting_without_end_is_refused(opening, depth):
    bomb = CLEAR + b"\x94\x00\xa1a\x81\xa1a" + opening * depth + b"\xc0\xa0"
    assert reason_of(bomb) == "too deep"


# Garbage


@pytest.mark.parametrize(
    "data",
    [
        raw(),
        raw(0, "a", {}),
        raw(0, "a", {}, "", 0),
        raw(7, "a", None, ""),
        raw(-1, "a", None, ""),
        raw(True, "a", {}, ""),
        raw(0.0, "a", {}, ""),
        raw("0", "a", {}, ""),
        raw([0], "a", {}, ""),
        raw(0, "", {}, ""),
        raw(0, "a b", {}, ""),
        raw(0, "a" * 100, {}, ""),
        raw(0, "a\ud800", {}, ""),
        raw(0, b"a", {}, ""),
        raw(0, None, {}, ""),
        raw(0, ["a"], {}, ""),
        raw(0, {"a": 1}, {}, ""),
        raw(0, "a", None, ""),
        raw(0, "a", [], ""),
        raw(0, "a", "text", ""),
        raw(1, "a!b", {}, ""),
        raw(1, "a", "a", ""),
        raw(2, "a", {}, ""),
        raw(2, "a", "", ""),
        raw(2, "a?b", "a", ""),
        raw(3, "a", None, ""),
        raw(4, "a", {}, ""),
        raw(4, "", None, ""),
        raw(5, "a", None, ""),
        raw(5, "", {}, ""),
        raw(5, None, None, ""),
        raw(0, "a", {}, None),
        raw(0, "a", {}, b""),
        raw(0, "a", {}, "a b"),
        raw(0, "a", {}, []),
        raw(0, "a", {}, "", 1.0),
        CLEAR + msgpack.packb({"a": 1}),
        CLEAR + msgpack.packb("text"),
        CLEAR + b"\xc1",
        CLEAR,
        encoded({}) + b"\0",
        encoded({})[:-1],
    ],
)
def test_what_has_not_an_elements_fields_is_garbage(data):
    assert reason_of(data) == "garbage"


@pytest.mark.parametrize(
    "content",
    [
        b"\x81\x01\x01",
        b"\x81\xc4\x01a\x01",
        b"\x81\xc0\x01",
        b"\x81\x91\x01\x01",
        b"\x81\x80\x01",
        b"\x81\xa1a\x81\xc4\x01a\x01",
        b"\x81\xa1a\x91\x91\x81\xc4\x01a\x01",
        b"\x81\xa1a\xa1\xff",
        b"\x81\xa1\xff\xc0",
        b"\x81\xa1a\xc1",
        b"\x81\xa1a" + msgpack.packb(msgpack.Timestamp(1, 0)),
        b"\x81\xa1a" + msgpack.packb(msgpack.Timestamp(1, 5)),
        b"\x81\xa1a" + msgpack.packb(msgpack.Timestamp(2**40, 5)),
        b"\x81\xa1a\xc7\x00\xff",
        b"\x81\xa1a\xc7\x00\x05",
        b"\x81\xa1a\xd4\x05a",
        b"\x81\xa1a" + msgpack.packb(msgpack.ExtType(5, b"x" * 300)),
    ],
)
def test_what_no_message_holds_is_garbage(content):
    assert reason_of(CLEAR + b"\x94\x00\xa1a" + content + b"\xa0") == "garbage"


ANY_BYTES = st.binary(max_size=300)
SPECIAL = st.lists(
    st.sampled_from(
        [
            *(b"\x80", b"\x81", b"\x8f", b"\x90", b"\x91", b"\x95", b"\x9f", b"\xdc\x00\x03"),
            *(b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff"),
            *(b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\xff"),
            *(b"\xc0", b"\xc1", b"\xc4\x01a", b"\x00", b"\xa0", b"\xa1a", b"\xd9\x01\xff"),
            b"\xd6\xff\0\0\0\0",
        ]
    ),
    max_size=200,
).map(b"".join)


@BOTH
@given(data=ANY_BYTES | SPECIAL)
@example(data=b"")
def test_any_bytes_are_an_element_or_refused(codec, data):
    decode_any(codec, data)
    decode_any(codec, CLEAR + data)
    decode_any(codec, CLEAR + b"\x94\x00\xa1a\x81\xa1a" + data)
    decode_any(codec, CLEAR + b"\x94\x00\xa1a\x81\xa1a" + data + b"\xa0")


@given(element=elements, data=st.data())
def test_a_changed_element_is_an_element_or_refused(element, data):
    whole = PLAIN.encode(*element, deadline=DEADLINE)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 5)))
    decode_any(PLAIN, whole[:start] + data.draw(st.binary(max_size=5) | SPECIAL) + whole[end:])


@given(element=elements, data=st.data())
def test_a_changed_encrypted_element_is_the_same_or_refused(element, data):
    """Base64 has many spellings of the same token."""
    if type(element.content) is dict:
        element = element._replace(content=copy_message(element.content))
    whole = ENCRYPTED.encode(*element, deadline=DEADLINE)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 5)))
    changed = whole[:start] + data.draw(st.binary(max_size=5)) + whole[end:]
    decoded = decode_any(ENCRYPTED, changed)
    assert decoded is None or decoded == element


START = CLEAR + b"\x94\x00\xa1a\x81\xa1a"
FULL = 2**20
ALMOST = (FULL - 10_000).to_bytes(4, "big")
BOMBS = {
    "an array of 2**32": START + b"\xdd\xff\xff\xff\xff",
    "a map of 2**32": START + b"\xdf\xff\xff\xff\xff",
    "a bin of 2**32": START + b"\xc6\xff\xff\xff\xff",
    "a text of 2**32": START + b"\xdb\xff\xff\xff\xff",
    "an ext of 2**32": START + b"\xc9\xff\xff\xff\xff\x01",
    "long arrays in long arrays": START + (b"\xdd" + ALMOST) * 1000 + b"\0" * FULL,
    "arrays of 65535": START + b"\xdc\xff\xff" * 1000 + b"\0" * 70_000,
    "arrays of 15": START + b"\x9f" * 1000,
    "maps of 15": START + b"\x8f\xa1a" * 1000,
    "many bins of 2**32": START + b"\xdd" + ALMOST + b"\xc6\xff\xff\xff\xff" * (FULL // 5),
}


@pytest.mark.parametrize("data", list(BOMBS.values()), ids=list(BOMBS))
def test_a_bomb_takes_no_more_memory_than_its_bytes_allow(data):
    tracemalloc.start()
    try:
        assert reason_of(data) in {"garbage", "too deep"}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300_000 + 16 * len(data)


@pytest.mark.parametrize(
    "end", [b"\xc1", b"\xa1\xff", b"\xc7\x00\x05", b"\x81\x01\x01", b"", b"\x91" * 1100]
)
def test_what_is_refused_leaves_nothing_behind(end):
    """Old versions of msgpack kept the lists that they had begun."""
    data = START + b"\x91\x92" + msgpack.packb(b"x" * 1000) + end
    assert decode_any(PLAIN, data) is None
    tracemalloc.start()
    try:
        for _ in range(100):
            decode_any(PLAIN, data)
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now < 20_000


def test_an_error_is_one_of_the_layer():
    assert issubclass(ElementError, LayerError)


def test_the_codec_loads_no_reactor_and_no_redis():
    program = (
        "import sys, txchannels.layers.codec; "
        "print({'twisted', 'redis', 'txredisapi', 'django'}.intersection(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
