from __future__ import annotations

import pytest

from txchannels.django.exceptions import (
    ChannelSocketException,
    DenyConnection,
    WebsocketCloseException,
)


def test_denying_a_connection_closes_it(make_message, layer):
    DenyConnection().run(make_message("websocket.connect"))
    assert layer.on("sockets!a") == [{"close": True}]


def test_only_a_connect_can_be_denied(make_message):
    with pytest.raises(ValueError, match="You cannot DenyConnection"):
        DenyConnection().run(make_message("websocket.receive"))


def test_without_a_reply_channel_there_is_nothing_to_deny_or_close(make_message):
    message = make_message("websocket.connect", reply_channel=None)
    for error in (DenyConnection(), WebsocketCloseException()):
        with pytest.raises(ValueError, match="reply channel"):
            error.run(message)


@pytest.mark.parametrize(
    ("code", "close"), [(None, True), (1000, 1000), (3000, 3000), (4999, 4999)]
)
def test_a_socket_is_closed_with_the_code(make_message, layer, code, close):
    WebsocketCloseException(code).run(make_message())
    assert layer.on("sockets!a") == [{"close": close}]


@pytest.mark.parametrize("code", [0, 999, 1001, 2999, 5000, "1000", True, 1000.0])
def test_a_code_that_applications_must_not_send_is_refused(code):
    with pytest.raises(ValueError, match="close code"):
        WebsocketCloseException(code)


def test_a_socket_exception_must_say_what_it_does(make_message):
    with pytest.raises(NotImplementedError):
        ChannelSocketException().run(make_message())
