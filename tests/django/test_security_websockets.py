from __future__ import annotations

import pytest
from django.test import override_settings

from txchannels.django.exceptions import DenyConnection
from txchannels.django.security.websockets import BaseOriginValidator, allowed_hosts_only


@allowed_hosts_only
def consumer(message, **kwargs):
    """What it does."""
    return kwargs


class Consumers:
    @allowed_hosts_only
    def connect(self, message):
        return self, message


@pytest.fixture
def handshake(make_message):
    def make(*origins, headers=None):
        if headers is None:
            headers = [[b"host", b"example.com"], *([b"origin", origin] for origin in origins)]
        return make_message("websocket.connect", headers=headers)

    return make


@pytest.mark.parametrize(
    "origin",
    [
        b"http://example.com",
        b"https://example.com:8443",
        b"https://EXAMPLE.com",
        b"http://a.sub.example.com",
        b"http://[::1]:8000",
    ],
)
def test_a_page_of_an_allowed_host_may_connect(handshake, origin):
    assert consumer(handshake(origin), a=1) == {"a": 1}


@pytest.mark.parametrize(
    "origin",
    [
        b"http://example.org",
        b"http://example.com.evil.org",
        b"http://example.com@evil.org",
        b"http://evil.org#example.com",
        b"example.com",
        b"null",
        b"file://",
        b"",
        b"http://[::1",
        "http://example.com\u00e9".encode(),
    ],
)
def test_any_other_is_denied(handshake, origin):
    with pytest.raises(DenyConnection):
        consumer(handshake(origin))


def test_without_an_origin_or_with_two_it_is_denied(handshake):
    with pytest.raises(DenyConnection):
        consumer(handshake())
    with pytest.raises(DenyConnection):
        consumer(handshake(b"http://example.com", b"http://example.com"))


def test_a_message_without_headers_is_denied(make_message):
    with pytest.raises(DenyConnection):
        consumer(make_message("websocket.connect"))


def test_headers_in_a_dict_are_understood(handshake):
    assert consumer(handshake(headers={b"origin": b"http://example.com"})) == {}


def test_a_star_allows_every_host(handshake):
    with override_settings(ALLOWED_HOSTS=["*"]):
        assert consumer(handshake(b"http://example.org")) == {}


@pytest.mark.parametrize("origin", [b"http://localhost:8000", b"http://127.0.0.1", b"http://[::1]"])
def test_without_hosts_the_own_machine_is_allowed_under_debug_only(handshake, origin):
    with override_settings(ALLOWED_HOSTS=[], DEBUG=True):
        assert consumer(handshake(origin)) == {}
    with override_settings(ALLOWED_HOSTS=[], DEBUG=False), pytest.raises(DenyConnection):
        consumer(handshake(origin))


def test_methods_can_be_decorated(handshake):
    consumers, message = Consumers(), handshake(b"http://example.com")
    assert consumers.connect(message) == (consumers, message)
    with pytest.raises(DenyConnection):
        consumers.connect(handshake(b"http://example.org"))


def test_the_decorated_consumer_keeps_its_name():
    assert (consumer.__name__, consumer.__doc__) == ("consumer", "What it does.")


def test_a_validator_of_ones_own_decides(handshake):
    class OnlyOne(BaseOriginValidator):
        def validate_origin(self, message, origin):
            return origin == "http://one"

    assert OnlyOne(lambda message: "connected")(handshake(b"http://one")) == "connected"
    with pytest.raises(DenyConnection):
        OnlyOne(lambda message: "connected")(handshake(b"http://two"))


def test_a_validator_must_decide(handshake):
    with pytest.raises(NotImplementedError):
        BaseOriginValidator(lambda message: None)(handshake(b"http://one"))
