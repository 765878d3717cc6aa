"""A layer for each test, and a database for those that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest

django.setup()

from django.core.management import call_command

from tests.fakes import RecordingLayer
from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.message import Message, pending_message_store


@pytest.fixture
def layer() -> Iterator[RecordingLayer]:
    """What stands behind the default layer in this test."""
    fake = RecordingLayer()
    old = channel_layers.set("default", ChannelLayerWrapper(fake, "default", []))
    yield fake
    channel_layers.set("default", old)


@pytest.fixture
def make_message(layer: RecordingLayer) -> Callable[..., Message]:
    """Makes a message of a socket; keyword arguments are more of its fields."""

    def make(
        channel: str = "websocket.receive", reply_channel: str | None = "sockets!a", **fields: Any
    ) -> Message:
        content = dict(fields)
        if reply_channel is not None:
            content["reply_channel"] = reply_channel
        return Message(content, channel, channel_layers["default"])

    return make


@pytest.fixture
def consumer_runs() -> Iterator[None]:
    """The thread is between the start and the end of a consumer."""
    pending_message_store.prepare()
    yield
    if pending_message_store.active:
        pending_message_store.send_all()


@pytest.fixture(scope="session")
def tables() -> None:
    """The tables, once. The shared memory lives while this thread's connection is open."""
    call_command("migrate", verbosity=0)


@pytest.fixture
def database(tables: None) -> Iterator[None]:
    """Empty tables before and after the test; committed, so that threads see the rows."""
    _empty_tables()
    yield
    _empty_tables()


def _empty_tables() -> None:
    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session

    Session.objects.all().delete()
    User.objects.all().delete()
