from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txchannels.protocols.forwarded import read_forwarded


def read(hops: int = 1, **fields: str) -> tuple[Any, ...]:
    """Client, scheme, host and port that are read from *fields*."""
    given = [[name.replace("_", "-").encode(), text.encode()] for name, text in fields.items()]
    found = read_forwarded(given, hops)
    return found.client, found.scheme, found.host, found.port


def client(text: str, hops: int = 1) -> Any:
    return read(hops, x_forwarded_for=text)[0]


def test_without_a_field_nothing_is_said() -> None:
    assert read(host="a") == (None, None, None, None)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("192.0.2.1", ["192.0.2.1", 0]),
        ("192.0.2.1:80", ["192.0.2.1", 80]),
        ("2001:db8::1", ["2001:db8::1", 0]),
        ("[2001:db8::1]", ["2001:db8::1", 0]),
        ("[2001:db8::1]:80", ["2001:db8::1", 80]),
        ("192.0.2.1:99999", None),
        ("unknown", None),
        ("_hidden", None),
        ("localhost", None),
        ("300.0.2.1", None),
        ("1:2:3", None),
        ("[192.0.2.1", None),
        ("", None),
        ("<script>", None),
    ],
)
def test_a_client_is_an_address(node: str, expected: Any) -> None:
    assert client(node) == expected
    quoted = node.replace("\\", "\\\\").replace('"', '\\"')
    assert read(forwarded=f'for="{quoted}"')[0] == expected


def test_only_what_trusted_proxies_wrote_is_believed() -> None:
    said = "192.0.2.66, 192.0.2.1, 192.0.2.2"
    assert client(said, 1) == ["192.0.2.2", 0]
    assert client(said, 2) == ["192.0.2.1", 0]
    assert read(1, forwarded="for=192.0.2.66;proto=https, for=192.0.2.1")[:2] == (
        ["192.0.2.1", 0],
        None,
    )


def test_with_fewer_entries_than_proxies_the_first_counts() -> None:
    assert client("192.0.2.1", 3) == ["192.0.2.1", 0]
    assert read(3, forwarded="for=192.0.2.1")[0] == ["192.0.2.1", 0]


def test_several_fields_are_one_list() -> None:
    fields = [[b"x-forwarded-for", b"192.0.2.66"], [b"x-forwarded-for", b"192.0.2.1"]]
    assert read_forwarded(fields, 1).client == ["192.0.2.1", 0]


def test_the_other_fields_say_scheme_host_and_port() -> None:
    said = read(x_forwarded_proto="HTTPS", x_forwarded_host="a.example", x_forwarded_port="8443")
    assert said == (None, "https", "a.example", 8443)


@pytest.mark.parametrize(("proto", "scheme"), [("wss", "https"), ("ws", "http"), ("ftp", None)])
def test_a_scheme_is_http_or_https(proto: str, scheme: str | None) -> None:
    assert read(x_forwarded_proto=proto)[1] == scheme
    assert read(forwarded=f"proto={proto}")[1] == scheme


@pytest.mark.parametrize("port", ["", "-1", "999999", "x", "70000"])
def test_a_port_is_a_number(port: str) -> None:
    assert read(x_forwarded_port=port)[3] is None


def test_the_standard_field_says_all() -> None:
    said = 'For="[2001:db8::1]:80" ; Proto=https;host="a.\\example";by=_x'
    assert read(forwarded=said) == (["2001:db8::1", 80], "https", "a.example", None)


@pytest.mark.parametrize("text", ["for=a b", 'for="', "for", "=x", "for=1;;"])
def test_nothing_of_a_malformed_field_is_believed(text: str) -> None:
    assert read(forwarded=f"for=192.0.2.1, {text}") == (None, None, None, None)


def test_a_client_cannot_hide_behind_the_field_that_its_proxy_does_not_write() -> None:
    said = read(x_forwarded_for="192.0.2.1", forwarded="for=192.0.2.66;proto=https;host=evil")
    assert said == (["192.0.2.1", 0], None, None, None)


@given(st.text(max_size=60), st.integers(1, 3))
def test_any_text_is_read(text: str, hops: int) -> None:
    value = text.encode("latin-1", "replace")
    for name in (b"forwarded", b"x-forwarded-for", b"x-forwarded-port"):
        read_forwarded([[name, value]], hops)
