"""Waiting for what a server does, and ports for it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

__all__ = ["free_port", "wait_until"]

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, *, guard_seconds: float = 30.0) -> T:
    """What *condition* returns, as soon as that is true; the test fails after the guard.

    Args:
        what: What is waited for; it is shown.
    """
    deadline = time.monotonic() + guard_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {guard_seconds} s: {what}")
        select.select([], [], [], 0.02)


def free_port() -> int:
    """A TCP port of localhost that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
