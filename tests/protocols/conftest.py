"""What the tests of the protocols share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What is logged as an error, formatted."""
    found: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"] >= LogLevel.error:
            found.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)
