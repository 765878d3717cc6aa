"""Frames onto a program's connection to a daemon, from any thread."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Writer"]

#: Frames that wait for one that goes with them, and how long the first of them may.
MAX_HELD = 64
HOLD_SECONDS = 0.0005

#: A system call's timeout, as the kernel takes it.
_TIMEVAL = struct.Struct("@ll")


class Writer:
    """See the module.

    Args:
        sock: A connected, blocking stream socket; somebody else closes it.
        seconds: How long the other end may take nothing; 0: without end.

    Attributes:
        more_follows: Asked before a frame that need not go at once: whether something is about
            to be written, by whatever thread, with which it may go. If that does not come soon,
            `write` must be called with nothing.

    Thread: any.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        if seconds:
            timeout = _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        self.more_follows: Callable[[], bool] = _never
        self._socket = sock
        self._lock = threading.Lock()
        self._held: deque[bytes] = deque()
        self._held_since = 0.0

    def write(self, data: bytes) -> None:
        """Write *data*, and before it what has waited.

        Raises:
            BlockingIOError: The other end has taken nothing in time; a part may be out.
            OSError: The connection is gone.
        """
        with self._lock:
            if self._held:
                held = [self._held.popleft() for _ in range(len(self._held))]
                data = b"".join((*held, data))
            self._socket.sendall(data)

    def write_soon(self, data: bytes) -> None:
        """Write *data* at once or, if more follows soon, with that. Raises: as `write`."""
        if self.more_follows() and self._may_wait():
            self._held.append(data)
        else:
            self.write(data)

    @property
    def is_holding(self) -> bool:
        """Whether something waits for more."""
        return bool(self._held)

    def close_socket(self) -> None:
        """Give up the descriptor, in the middle of nobody's write."""
        with self._lock:
            self._socket.close()

    def forget(self) -> None:
        """Let go of what belongs to the process that this one was forked from."""
        self._lock = threading.Lock()
        self._held.clear()

    def _may_wait(self) -> bool:
        now = time.monotonic()
        if not self._held:
            self._held_since = now
        return len(self._held) < MAX_HELD and now - self._held_since < HOLD_SECONDS


def _never() -> bool:
    return False
