"""What a worker process has begun, in memory that it shares with the daemon.

The process writes one byte before it begins a message, which costs no system call; the
daemon reads it when the process is dead. So it knows for certain which of the messages that
it had handed out were begun, and by which consumer; the others can be given to somebody else.
"""

from __future__ import annotations

import mmap
import os

__all__ = ["BEGUN", "FINISHED", "MAX_MARK", "UNTOUCHED", "Board"]

#: More than the messages that one process may have at a time; a power of two.
SIZE = 65_536

UNTOUCHED = 0
#: Begun; no consumer found yet.
BEGUN = 1
#: Consumers have the marks after `BEGUN`, up to this.
MAX_MARK = 254
#: Run to its end, though the daemon may not have been told yet.
FINISHED = 255


class Board:
    """See the module.

    Args:
        descriptor: Of a file of the right size; by itself, a new one in memory.

    Attributes:
        descriptor: The file's, for the process that is to share it.

    Thread: any.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = os.memfd_create("txchannels-board", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, SIZE)
        self.descriptor = descriptor
        self._marks = mmap.mmap(descriptor, SIZE)

    def assign(self, number: int) -> None:
        """The message *number* is handed out now."""
        self._marks[number % SIZE] = UNTOUCHED

    def begin(self, number: int, mark: int = BEGUN) -> None:
        """It is begun; by which consumer, if that is known."""
        self._marks[number % SIZE] = mark

    def finish(self, number: int) -> None:
        """It was run to its end, and what it has sent is on its way."""
        self._marks[number % SIZE] = FINISHED

    def is_finished(self, number: int) -> bool:
        """Whether it was run to its end."""
        return self._marks[number % SIZE] == FINISHED

    def mark_of(self, number: int) -> int:
        """How far it has come."""
        return self._marks[number % SIZE]

    def has_begun(self, number: int) -> bool:
        """Whether it must not be run again."""
        return self._marks[number % SIZE] != UNTOUCHED

    def close(self) -> None:
        """Let go of the memory."""
        self._marks.close()
        os.close(self.descriptor)
