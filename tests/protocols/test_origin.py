"""Which pages may open a socket (RFC 6454): the site's own, and those that are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txchannels.protocols.origin import asked_host, is_origin_allowed
from txchannels.protocols.request import Head


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (b"http://example.com", "example.com", "http"),
        (b"http://example.com:80", "example.com", "http"),
        (b"http://example.com", "example.com:80", "http"),
        (b"http://example.com:8000", "example.com:8000", "http"),
        (b"https://example.com", "example.com", "https"),
        (b"https://example.com:443", "example.com", "https"),
        (b"https://example.com", "example.com:443", "https"),
        (b"HTTP://Example.COM", "eXAMPLE.com", "http"),
        (b"http://[::1]:8000", "[::1]:8000", "http"),
        (b"http://[2001:DB8::1]", "[2001:db8::1]:80", "http"),
        (b"http://127.0.0.1:8000", "127.0.0.1:8000", "http"),
        (b"http://my_host", "my_host", "http"),
        (b"http://example.com", "example.com:", "http"),
        (b"http://xn--bcher-kva.example", "xn--bcher-kva.example", "http"),
    ],
)
def test_the_site_s_own_origin_is_allowed(origin: bytes, host: str, scheme: str) -> None:
    assert is_origin_allowed(origin, host, scheme, ())


@pytest.mark.parametrize("host", ["example.com", "example.com:443"])
def test_a_proxy_in_front_may_have_ended_the_encryption_without_a_word(host: str) -> None:
    assert is_origin_allowed(b"https://example.com", host, "http", ())


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (b"http://evil.example", "example.com", "http"),
        (b"http://example.com.evil.example", "example.com", "http"),
        (b"http://evilexample.com", "example.com", "http"),
        (b"http://sub.example.com", "example.com", "http"),
        (b"http://example.com", "sub.example.com", "http"),
        (b"http://example.com:8000", "example.com", "http"),
        (b"http://example.com", "example.com:8000", "http"),
        (b"http://example.com", "example.com", "https"),
        (b"https://example.com:8443", "example.com", "http"),
        (b"http://[::1]:8001", "[::1]:8000", "http"),
        (b"http://[::2]", "[::1]", "http"),
        (b"null", "example.com", "http"),
        (b"null", "null", "http"),
        (b"", "example.com", "http"),
        (b"file://", "example.com", "http"),
        (b"example.com", "example.com", "http"),
        (b"//example.com", "example.com", "http"),
        (b"http://example.com@evil.example", "evil.example", "http"),
        (b"http://evil.example@example.com", "example.com", "http"),
        (b"http://example.com/path", "example.com", "http"),
        (b"http://example.com?", "example.com", "http"),
        (b"http://example.com#", "example.com", "http"),
        (b"http://example.com\\.evil.example", "example.com", "http"),
        (b"http://example.com:80:80", "example.com", "http"),
        (b"http://example.com:x", "example.com", "http"),
        (b"http://example.com:999999", "example.com", "http"),
        (b"http://exam\tple.com", "example.com", "http"),
        (b" http://example.com", "example.com", "http"),
        (b"http://a.example http://example.com", "example.com", "http"),
        (b"http://\xe9xample.com", "example.com", "http"),
        (b"http://", "", "http"),
        (b"http://:80", "", "http"),
        (b"chrome-extension://example.com", "example.com", "http"),
    ],
)
def test_any_other_origin_is_refused(origin: bytes, host: str, scheme: str) -> None:
    assert not is_origin_allowed(origin, host, scheme, ())


def test_programs_send_no_origin_and_may_connect() -> None:
    assert is_origin_allowed(None, "example.com", "http", ())


@pytest.mark.parametrize(
    "allowed",
    [
        "https://app.example",
        "https://app.example/",
        "HTTPS://App.Example",
        "https://app.example:443",
        "*",
    ],
)
def test_an_origin_that_is_named_is_allowed(allowed: str) -> None:
    assert is_origin_allowed(b"https://app.example", "example.com", "http", (allowed,))


@pytest.mark.parametrize("origin", [b"http://app.example", b"https://app.example:8443", b"null"])
def test_a_named_origin_allows_no_other(origin: bytes) -> None:
    assert not is_origin_allowed(origin, "example.com", "http", ("https://app.example",))


def test_an_origin_of_another_kind_can_be_named() -> None:
    named = ("chrome-extension://abcdef",)
    assert is_origin_allowed(b"chrome-extension://abcdef", "example.com", "http", named)
    assert not is_origin_allowed(b"chrome-extension://abcdeg", "example.com", "http", named)


@pytest.mark.parametrize("origin", [b"null", b"", b"http://evil.example", b"\xff"])
def test_a_star_allows_every_origin(origin: bytes) -> None:
    assert is_origin_allowed(origin, "example.com", "http", ("*",))


@given(st.binary(max_size=40))
def test_garbage_is_no_origin(origin: bytes) -> None:
    assert not is_origin_allowed(origin, "localhost:8000", "http", ())


# Behind a proxy


def head(host: bytes, **fields: bytes) -> Head:
    named = [[name.replace("_", "-").encode(), value] for name, value in fields.items()]
    asked = Head("GET", b"/", "1.1", named)
    asked.host = host
    return asked


def test_without_trusted_proxies_only_host_counts() -> None:
    asked = head(b"example.com:8000", x_forwarded_host=b"evil.example", x_forwarded_port=b"1")
    assert asked_host(asked, 0) == "example.com:8000"


def test_the_proxy_s_word_counts_where_it_is_trusted() -> None:
    asked = head(b"10.0.0.1:8000", x_forwarded_host=b"example.com")
    assert asked_host(asked, 1) == "example.com"


def test_a_proxy_that_passes_host_on_names_the_port_beside_it() -> None:
    assert asked_host(head(b"example.com", x_forwarded_port=b"8443"), 1) == "example.com:8443"
    assert asked_host(head(b"[::1]", x_forwarded_port=b"8443"), 1) == "[::1]:8443"
    assert asked_host(head(b"example.com:81", x_forwarded_port=b"8443"), 1) == "example.com:81"


def test_of_two_proxies_the_one_that_is_trusted_is_believed() -> None:
    asked = head(b"inner", x_forwarded_host=b"evil.example, example.com")
    assert asked_host(asked, 1) == "example.com"


def test_rfc_7239_is_read() -> None:
    assert asked_host(head(b"inner", forwarded=b'for=1.2.3.4;host="a.example:81"'), 1) == (
        "a.example:81"
    )
