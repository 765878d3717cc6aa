from __future__ import annotations

import pytest

from txchannels.layers.names import check_channel, check_channels, check_group, owner_of


@pytest.mark.parametrize(
    "name", ["a", "http.request", "A-z_0.9", "body?x1", "daphne.response.x!", "x!y-1", "a" * 99]
)
def test_a_legal_channel_name_is_returned(name):
    assert check_channel(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a/b", "a!b!c", "a?b?c", "a!b?c", "!a", "?a", "body?", "ä", "a\n", "a" * 100],
)
def test_an_illegal_channel_name_is_refused(name):
    with pytest.raises(TypeError, match="Channel name"):
        check_channel(name)


@pytest.mark.parametrize("name", ["room٣", "prefix!٣", "body?٣", "prefix!é"])
def test_digits_and_letters_beyond_ascii_are_refused(name):
    with pytest.raises(TypeError, match="ASCII"):
        check_channel(name)


@pytest.mark.parametrize("name", [b"http.request", 3, None])
def test_a_channel_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match="must be text"):
        check_channel(name)


def test_a_process_local_channel_is_received_by_its_prefix():
    assert check_channel("prefix!", receive=True) == "prefix!"
    with pytest.raises(TypeError, match="by prefix"):
        check_channel("prefix!local", receive=True)
    assert check_channel("body?abc", receive=True) == "body?abc"


@pytest.mark.parametrize("names", [[], (), "http.request", ["a!b"], [b"a"]])
def test_what_cannot_be_received_from_is_refused(names):
    with pytest.raises(TypeError):
        check_channels(names)


@pytest.mark.parametrize("name", ["room", "room-1_a.b", "a" * 99])
def test_a_legal_group_name_is_returned(name):
    assert check_group(name) == name


@pytest.mark.parametrize("name", ["", "a!b", "a?b", "room٣", "ä", "a b", "a" * 100, b"room", None])
def test_an_illegal_group_name_is_refused(name):
    with pytest.raises(TypeError, match="Group name"):
        check_group(name)


def test_the_messages_of_a_prefix_wait_together():
    assert owner_of("prefix!local") == "prefix!"
    assert owner_of("body?x") == "body?x"
    assert owner_of("http.request") == "http.request"
