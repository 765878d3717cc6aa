"""What is away for a moment: it is tried again before it is given up, and seldom talked of."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connections, router

from txchannels.django.delay.models import DelayedMessage

__all__ = ["Seldom", "patiently"]

#: After which the next try is made, in seconds.
PAUSES = (0.1, 0.3, 0.9)

#: SQLite lets one write, and has the others try again after longer and longer sleeps: this
#: process' threads write one after the other, unless one takes longer than that.
TURN_SECONDS = 2.0
_turn = Lock()

Result = TypeVar("Result")


def patiently(call: Callable[[], Result]) -> Result:
    """What *call* returns, which may be called again: once more does what once does.

    Thread: any; it may take more than a second.
    Raises: django.db.Error: It has failed each time; at once in a transaction, which is broken,
        and where another try would be no better.
    """
    connection = connections[router.db_for_write(DelayedMessage)]
    for pause in PAUSES:
        try:
            return _in_turn(connection, call)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block:
                raise
            connection.close_if_unusable_or_obsolete()
            Event().wait(pause)
    return _in_turn(connection, call)


def _in_turn(connection: Any, call: Callable[[], Result]) -> Result:
    if connection.vendor != "sqlite":
        return call()
    is_mine = _turn.acquire(timeout=TURN_SECONDS)
    try:
        return call()
    finally:
        if is_mine:
            _turn.release()


class Seldom:
    """Says when it is time to log again what goes on for long. Thread: any.

    Args:
        seconds: How long it was logged enough.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._next = 0.0

    def is_time(self) -> bool:
        """Whether it is; if so, the next time is later."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
