"""Answers that cannot go because the layer is away: one line a burst, and no traceback."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from txchannels.django import handler, message
from txchannels.django.handler import ViewConsumer
from txchannels.django.unsent import REPORT_SECONDS, Unsent
from txchannels.errors import ChannelFull, LayerUnavailable


class Away:
    """A layer that refuses all, for *reason*."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason

    def send_many(self, sends: Any, *, wait: float = 0.0) -> Any:
        return [(send, self.reason) for send in sends]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1.0]
    fresh = Unsent(lambda: now[0])
    monkeypatch.setattr(message, "unsent", fresh)
    monkeypatch.setattr(handler, "unsent", fresh)
    return now


def reply(reason: Exception) -> list[Exception]:
    return message._send(Away(reason), [("channel", "txchannels.a!1", {})])


def test_a_burst_is_one_line(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    away = LayerUnavailable("redis://there is unavailable")
    assert [reply(away) for _ in range(5)] == [[away]] * 5
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert "redis://there is unavailable" in record.getMessage()
    clock[0] += REPORT_SECONDS
    reply(away)
    assert "(6 so far)" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2


def test_another_reason_is_said_each_time(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        reply(ChannelFull("full"))
    assert len(caplog.records) == 3


def test_a_response_that_cannot_go_is_no_error_of_its_view(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    class Request:
        content = {"reply_channel": "txchannels.a!1"}  # noqa: RUF012
        channel_layer = Away(LayerUnavailable("away"))

    consumer = ViewConsumer.__new__(ViewConsumer)
    for _ in range(3):
        consumer._send(Request(), iter([{"status": 200}, {}]))  # type: ignore[arg-type]
    [record] = caplog.records
    assert record.exc_info is None
