"""Frames that no route wants: ignored, and said once."""

from __future__ import annotations

import logging

import pytest

from txchannels.django import include, route
from txchannels.django.routing import Router


def consumer(message, **kwargs):
    pass


@pytest.fixture
def send(make_message, caplog):
    """Runs messages of a socket at a path, by a routing's own default consumers."""
    caplog.set_level(logging.WARNING, logger="django.channels")

    def make(*routes):
        router = Router(list(routes))
        router.check_default()

        def send(path, channel="websocket.receive"):
            message = make_message(channel, path=path, text="hello")
            found, kwargs = router.match(message)
            found(message, **kwargs)

        return send

    return make


def test_a_frame_that_no_route_wants_is_told_with_its_path(send, caplog):
    tell = send(route("websocket.receive", consumer, path="^/echo/$"))
    tell("/echo/")
    tell("/echoo/", "websocket.connect")
    assert caplog.records == []
    tell("/echoo/")
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "websocket.receive at the path '/echoo/'" in record.getMessage()


def test_it_is_told_once_however_many_come(send, caplog):
    tell = send(route("websocket.receive", consumer, path="^/echo/$"))
    for number in range(100):
        tell(f"/{number}")
    assert len(caplog.records) == 1


def test_a_long_path_is_cut_and_written_in_one_line(send, caplog):
    tell = send(route("websocket.receive", consumer, path="^/echo/$"))
    tell("/\n" + "x" * 100_000)
    [record] = caplog.records
    assert "\n" not in record.getMessage()
    assert len(record.getMessage()) < 500


@pytest.mark.parametrize(
    "connects",
    [
        route("websocket.connect", consumer, path="^/push/$"),
        include([route("websocket.connect", consumer)], path="^/push"),
    ],
    ids=["route", "include"],
)
def test_a_site_that_only_pushes_ignores_frames_in_silence(send, caplog, connects):
    tell = send(connects)
    tell("/push/")
    assert caplog.records == []
    tell("/pull/")
    assert len(caplog.records) == 1


def test_the_end_of_a_socket_needs_no_consumer(send, caplog):
    tell = send(route("websocket.receive", consumer, path="^/echo/$"))
    tell("/x/", "websocket.disconnect")
    assert caplog.records == []
