"""Fixtures for pytest; ``pytest_plugins = ["txchannels.django.test.fixtures"]`` loads them.

They need no other plugin, but for `channel_live_server`, which takes the database from
pytest-django's ``transactional_db`` where that is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.message import Message
from txchannels.django.test.client import Client
from txchannels.django.test.layers import layers_for_tests, next_message, waiting_messages
from txchannels.django.test.live import LiveServer, Serving
from txchannels.django.test.websocket import WSClient

__all__ = [
    "channel_client",
    "channel_layer",
    "channel_layers_for_test",
    "channel_live_server",
    "channel_live_serving",
    "next_channel_message",
    "ws_client",
]


@pytest.fixture
def channel_layers_for_test() -> Iterator[dict[str, Any]]:
    """All of the site's layers, by alias: empty, and in memory, for this test alone."""
    with layers_for_tests() as layers:
        yield layers


@pytest.fixture
def channel_layer(channel_layers_for_test: dict[str, Any]) -> Any:
    """The default layer of this test, in memory."""
    return channel_layers_for_test[DEFAULT_CHANNEL_LAYER]


@pytest.fixture
def channel_client(channel_layer: Any) -> Client:
    """A `Client` on the default layer."""
    return Client(channel_layer.alias)


@pytest.fixture
def ws_client(channel_layer: Any) -> WSClient:
    """A `WSClient` on the default layer."""
    return WSClient(channel_layer.alias)


@pytest.fixture
def next_channel_message(
    channel_layers_for_test: dict[str, Any],  # noqa: ARG001 - for what it does
) -> Callable[..., Message | None]:
    """Takes the next message from a channel: ``next_channel_message(channel, require=True)``."""

    def take(
        channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        message = next_message(channel, alias)
        if message is None and require:
            waiting = ", ".join(waiting_messages(alias)) or "none"
            pytest.fail(f"There is no message on {channel!r}; channels with messages: {waiting}")
        return message

    return take


class _NoTransactions:
    """What stands in for pytest-django where it is not installed."""

    @pytest.fixture
    def transactional_db(self) -> None:
        """The databases are whoever's who has made them; nothing empties them."""


def pytest_configure(config: pytest.Config) -> None:
    """`channel_live_server` has to name ``transactional_db`` itself: the order of tests
    and what pytest-django does around each depend on that.
    """
    if not config.pluginmanager.hasplugin("django"):
        config.pluginmanager.register(_NoTransactions(), "txchannels-no-transactions")


@pytest.fixture
def channel_live_serving() -> Serving:
    """How `channel_live_server` serves; a project's own fixture of this name says otherwise."""
    return Serving()


@pytest.fixture
def channel_live_server(
    request: pytest.FixtureRequest,
    channel_live_serving: Serving,
    transactional_db: None,  # noqa: ARG001 - for what it does
) -> Iterator[LiveServer]:
    """A daemon that serves the site for this test, as `LiveServer` says: ``url``, ``ws_url``.

    What the daemon has printed is shown where the test fails.
    """
    with LiveServer(_databases(request), channel_live_serving) as server:
        yield server
    sys.stdout.write(f"The daemon's log:\n{server.log}")


def _databases(request: pytest.FixtureRequest) -> list[str]:
    """The databases that pytest-django allows the test; without it, all."""
    if not request.config.pluginmanager.hasplugin("django"):
        return list(connections)
    mark = request.node.get_closest_marker("django_db")
    allowed = None if mark is None else mark.kwargs.get("databases")
    if allowed is None:
        return ["default"]
    return list(connections if allowed == "__all__" else allowed)
