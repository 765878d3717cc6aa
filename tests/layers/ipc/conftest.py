"""One turning reactor for a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.layers.ipc.hosting import Daemon
from tests.layers.redis.reactors import ReactorThread


@pytest.fixture(scope="module")
def turning() -> Iterator[ReactorThread]:
    with ReactorThread() as turning:
        yield turning


@pytest.fixture
def daemon(turning: ReactorThread) -> Iterator[Daemon]:
    with Daemon(turning) as daemon:
        yield daemon
