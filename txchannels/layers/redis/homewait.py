"""Waits until the hub that made a single-reader channel has changed a membership of it.

Only that hub may change it: what it sends to the group afterwards must go the channel's way.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

__all__ = ["is_lasting", "wait_for_home"]

#: After that the hub is passed over: it may be asleep, and die.
HOME_SECONDS = 2.0
ASK_SECONDS = 0.002


def wait_for_home(has_changed: Callable[[], bool], clock: Callable[[], float]) -> bool:
    """Ask until *has_changed*; False if it takes too long."""
    until = clock() + HOME_SECONDS
    while not has_changed():
        if clock() >= until:
            return False
        Event().wait(ASK_SECONDS)
    return True


def is_lasting(value: bytes | None, now: int) -> bool:
    """Whether *value*, of a member that no hub owns, says that it has not lapsed at *now*."""
    return value is not None and int(value.partition(b" ")[0]) > now
