"""Waits until another hub has done its part of a change of a membership.

The hub that made a single-reader channel changes it by itself: what it sends to the group
afterwards must go the channel's way. The owner of any other channel has to hear of it: what it
sends to the group does not pass through Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from txchannels.layers.redis.operations import Script

__all__ = ["TAKEN", "is_lasting", "wait_for_home"]

TAKEN = Script("taken")

#: After that the hub is passed over: it may be asleep, and die.
HOME_SECONDS = 2.0
FIRST_ASK_SECONDS = 0.0002
ASK_SECONDS = 0.002


def wait_for_home(has_changed: Callable[[], bool], clock: Callable[[], float]) -> bool:
    """Ask until *has_changed*; False if it takes too long."""
    until = clock() + HOME_SECONDS
    pause = FIRST_ASK_SECONDS
    while not has_changed():
        if clock() >= until:
            return False
        Event().wait(pause)
        pause = min(2 * pause, ASK_SECONDS)
    return True


def is_lasting(value: bytes | None, now: int) -> bool:
    """Whether *value*, of a member that no hub owns, says that it has not lapsed at *now*."""
    return value is not None and int(value.partition(b" ")[0]) > now
