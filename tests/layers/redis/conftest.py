"""One server and one turning reactor for a module's tests; a site of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.layers.redis.hubs import Site
from tests.layers.redis.reactors import ReactorThread
from tests.servers import RedisServer


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def turning() -> Iterator[ReactorThread]:
    with ReactorThread() as turning:
        yield turning


@pytest.fixture
def site(redis_server: RedisServer, turning: ReactorThread) -> Iterator[Site]:
    """Hosts and programs that share a prefix; they are stopped after the test."""
    site = Site(redis_server, turning)
    yield site
    site.close()
