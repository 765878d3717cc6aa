from __future__ import annotations

import dataclasses

import pytest

from txchannels.errors import ConfigurationError
from txchannels.messages import MAX_MESSAGE_BYTES
from txchannels.settings import HttpSettings, ProcessSettings, Settings, WebSocketSettings


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


@pytest.mark.parametrize(
    ("field", "least", "said"),
    [
        ("stuck_timeout_seconds", 1, "--stuck-timeout 0.5: must be 0 (never) or at least 1 second"),
        ("max_age_seconds", 1, "--max-age 0.5: must be 0 (never) or at least 1 second"),
        ("max_rss_bytes", 2**24, "--max-rss 8388608: must be 0 (never) or at least 16777216 bytes"),
    ],
)
def test_a_limit_that_every_worker_would_exceed_at_once_is_refused(field, least, said):
    for value in (0, least):
        assert getattr(ProcessSettings(**{field: value}), field) == value
    with pytest.raises(ConfigurationError) as caught:
        ProcessSettings(**{field: least / 2 if least == 1 else least // 2})
    assert str(caught.value) == said


def test_a_reload_needs_a_process():
    assert ProcessSettings().count is None
    assert ProcessSettings(reload=True).count == 1
    assert ProcessSettings(reload=True, count=4).count == 4


@pytest.mark.parametrize("path", ["", "/run/site.sock", "a" * 107, "ü" * 53])
def test_a_socket_has_a_path_that_the_system_takes(path):
    assert ProcessSettings(socket=path).socket == path


@pytest.mark.parametrize("path", ["a" * 108, "ü" * 54])
def test_a_path_that_is_too_long_for_a_socket_is_refused(path):
    with pytest.raises(ConfigurationError, match=r"^--socket .*: is too long .* at most 107 bytes"):
        ProcessSettings(socket=path)


def test_a_path_with_a_zero_is_no_file():
    with pytest.raises(ConfigurationError, match=r"^--socket .*: must be the path of a file$"):
        ProcessSettings(socket="\0abstract")
