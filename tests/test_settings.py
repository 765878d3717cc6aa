from __future__ import annotations

import dataclasses

import pytest

from txchannels.errors import ConfigurationError
from txchannels.messages import MAX_MESSAGE_BYTES
from txchannels.settings import HttpSettings, Settings, WebSocketSettings


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().layer = "x"


def test_a_whole_request_head_and_an_inline_body_fit_into_a_message():
    http = HttpSettings()
    head = http.max_request_line_bytes + http.max_header_bytes
    assert http.inline_body_bytes + head <= MAX_MESSAGE_BYTES
    most = MAX_MESSAGE_BYTES - head
    HttpSettings(inline_body_bytes=most)
    with pytest.raises(ConfigurationError, match=f"--inline-body {most + 1}: .* at most {most}$"):
        HttpSettings(inline_body_bytes=most + 1)


@pytest.mark.parametrize(
    ("given", "kept"), [("", ""), ("/", ""), ("/shop", "/shop"), ("/a/b/", "/a/b"), ("/ä", "/ä")]
)
def test_a_root_path_begins_with_a_slash_and_ends_without(given, kept):
    assert HttpSettings(root_path=given).root_path == kept


@pytest.mark.parametrize("given", ["shop", "http://a/", "/a b", "/a?b", "/a#b", " "])
def test_what_is_no_root_path_is_refused(given):
    with pytest.raises(ConfigurationError, match=r"--root-path .*: must be a path, as /shop"):
        HttpSettings(root_path=given)


@pytest.mark.parametrize("name", ["graphql-ws", "v1.chat", "*"])
def test_a_subprotocol_is_a_token(name):
    assert WebSocketSettings(protocols=(name,)).protocols == (name,)


@pytest.mark.parametrize("name", ["", "a b", "a,b", "ä", "a\n"])
def test_what_is_no_token_is_no_subprotocol(name):
    with pytest.raises(ConfigurationError, match=r"--ws-protocol .*: must be one word"):
        WebSocketSettings(protocols=("fine", name))


@pytest.mark.parametrize("origin", ["*", "https://example.com", "http://[::1]:80", "https://a/"])
def test_an_origin_has_scheme_and_host(origin):
    assert WebSocketSettings(origins=(origin,)).origins == (origin,)


@pytest.mark.parametrize("origin", ["", "example.com", "https://", "https://a/b", "a b://c", "**"])
def test_what_can_match_no_origin_is_refused(origin):
    with pytest.raises(ConfigurationError, match=r"--ws-origin .*: must be an origin"):
        WebSocketSettings(origins=(origin,))
