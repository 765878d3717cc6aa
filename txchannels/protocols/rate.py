"""Whether bytes come fast enough, over all and not byte by byte.

Knows no transport, clock or message.
"""

from __future__ import annotations

__all__ = ["BodyRate"]


class BodyRate:
    """How far a body is behind the rate at which it has to come.

    Every second costs a second, and bytes earn the seconds in which they had to come;
    nothing is earned in advance. So neither single bytes nor bursts keep a body alive.

    Args:
        bytes_per_second: The rate; 0 for none.
        grace_seconds: How far it may be behind.
    """

    __slots__ = ("_bytes", "_grace_seconds", "_rate", "behind_seconds")

    def __init__(self, bytes_per_second: float, grace_seconds: float) -> None:
        self._rate = bytes_per_second
        self._grace_seconds = grace_seconds
        self.reset()

    def reset(self) -> None:
        """Another body begins."""
        self._bytes = 0
        self.behind_seconds = 0.0

    def received(self, size: int) -> None:
        """*size* bytes have come."""
        self._bytes += size

    def is_too_slow(self, elapsed: float) -> bool:
        """Whether it is too far behind, *elapsed* seconds after this was asked last."""
        if not self._rate:
            return False
        self.behind_seconds = max(0.0, self.behind_seconds + elapsed - self._bytes / self._rate)
        self._bytes = 0
        return self.behind_seconds > self._grace_seconds
