"""What a hub asks of one Redis server, until that has answered: in order, bounded, in batches.

Operations go out in the order in which they came. Of those that name a *line* (a channel
whose messages keep their order), only one batch is on its way at a time: what comes after
it is held until the batch is answered, so what the server has refused can go again first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock
from typing import NamedTuple

from txchannels.errors import LayerError, LayerUnavailable, Unanswered
from txchannels.layers.redis.operations import Operation

__all__ = ["Asked", "Done", "Outbox", "Unanswered"]

#: Told how an operation ended: its verdict, or why it was not done. True: it is to go again.
#: Thread: the reactor's, or that of whoever submits.
Done = Callable[["int | LayerError"], "bool | None"]

MAX_WAITING = 20_000
MAX_BYTES = 128 * 2**20

#: With so much on its way, nobody should add what can wait.
CROWDED_BYTES = 16 * 2**20

#: Who is a member and what is paused: no more of it than there are sockets and groups. And
#: what tells others of what they have sent.
UNBOUNDED = frozenset("jlprst")

MAX_BATCH = 500
MAX_BATCH_BYTES = 2**20


class Asked(NamedTuple):
    """One operation, whom to tell, the line that it stands in, and its size."""

    operation: Operation
    done: Done | None
    line: str | None
    size: int


class Outbox:
    """See the module.

    Attributes:
        is_open: Whether anything is taken.

    Thread: any.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._lock = Lock()
        self._waiting: deque[Asked] = deque()
        self._bytes = 0
        self._is_awaited = False
        self._flying: set[str] = set()
        self._held: dict[str, deque[Asked]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_crowded(self) -> bool:
        """Whether what can wait should."""
        return self._bytes > CROWDED_BYTES

    @property
    def is_idle(self) -> bool:
        """Whether all that was put is answered, but for what is in no line."""
        return not (self._waiting or self._held or self._flying)

    def put(self, operation: Operation, done: Done | None, line: str | None) -> bool:
        """Take an operation. Returns: whether nobody has been told to come and `take`.

        Raises: LayerUnavailable: Too much waits, or the box is shut.
        """
        size = 0
        for argument in operation:
            if type(argument) is bytes:
                size += len(argument)
        with self._lock:
            if not self.is_open:
                raise LayerUnavailable("unavailable")
            is_full = len(self._waiting) >= MAX_WAITING or self._bytes + size > MAX_BYTES
            if is_full and operation[0] not in UNBOUNDED:
                raise LayerUnavailable("too slow: too much waits to be sent")
            self._waiting.append(Asked(operation, done, line, size))
            self._bytes += size
            is_new, self._is_awaited = not self._is_awaited, True
        return is_new

    def open(self, operations: Iterable[Operation]) -> None:
        """Take operations from now on, after these."""
        with self._lock:
            self._waiting.extend(Asked(operation, None, None, 0) for operation in operations)
            self.is_open = True

    def take(self) -> list[Asked]:
        """The next batch; empty when nothing waits."""
        batch: list[Asked] = []
        size = 0
        with self._lock:
            self._is_awaited = False
            waiting = self._waiting
            while waiting and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
                asked = waiting.popleft()
                if asked.line is not None and asked.line in self._flying:
                    self._held.setdefault(asked.line, deque()).append(asked)
                else:
                    batch.append(asked)
                    size += asked.size
            self._flying.update(asked.line for asked in batch if asked.line is not None)
        return batch

    def settle(self, batch: Iterable[Asked], again: Iterable[Asked] = ()) -> set[str]:
        """A batch was answered, but for those that are to go *again*.

        Returns: The lines of these, to be released later; the others go on.
        """
        with self._lock:
            lines = set()
            for asked in reversed(list(again)):
                if asked.line is None:
                    raise ValueError("Only what stands in a line can go again")
                self._held.setdefault(asked.line, deque()).appendleft(asked)
                self._bytes += asked.size
                lines.add(asked.line)
            for asked in batch:
                self._bytes -= asked.size
                if asked.line is not None and asked.line not in lines:
                    self._release(asked.line)
        return lines

    def release(self, lines: Iterable[str]) -> None:
        """Let what is held of *lines* go."""
        with self._lock:
            for line in lines:
                self._release(line)

    def _release(self, line: str) -> None:
        self._flying.discard(line)
        held = self._held.pop(line, None)
        if held:
            self._waiting.extendleft(reversed(held))  # before what came later

    def shut(self) -> list[Asked]:
        """Take nothing any more. Returns: all that was not sent."""
        with self._lock:
            self.is_open = False
            unsent = [*self._waiting, *(asked for held in self._held.values() for asked in held)]
            self._waiting.clear()
            self._held.clear()
            self._flying.clear()
            self._bytes = 0
        return unsent
