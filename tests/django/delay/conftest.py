"""The table of delayed messages, empty, and a memory layer as the default one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from txchannels.django.asgi import ChannelLayerWrapper
from txchannels.django.delay.models import DelayedMessage
from txchannels.django.test.layers import layers_for_tests


@pytest.fixture
def rows(tables: None) -> Iterator[type[DelayedMessage]]:
    """Empty before and after the test; committed, so that threads see the rows."""
    DelayedMessage.objects.all().delete()
    yield DelayedMessage
    DelayedMessage.objects.all().delete()


@pytest.fixture
def bus() -> Iterator[ChannelLayerWrapper]:
    """The default layer in memory."""
    with layers_for_tests() as made:
        yield made["default"]


@pytest.fixture
def put(rows):
    """Stores a message that is due since some seconds; keywords are other fields."""

    def put(channel="out", message=None, ago=1.0, **fields):
        row = rows(channel_name=channel, due_date=timezone.now() - timedelta(seconds=ago), **fields)
        if "content" not in fields:
            row.message = {"n": 1} if message is None else message
        row.save()
        return row

    return put


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="django.channels")


@pytest.fixture
def complaints(caplog):
    """What was logged as a warning or worse."""

    def complaints() -> list[str]:
        return [
            record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
        ]

    return complaints
