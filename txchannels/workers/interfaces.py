"""What the supervisor asks of a worker process, and what that tells it.

Who implements `WorkerProcess` calls the events from the reactor, never from within
`Spawn` or a method of the process, and no more after `WorkerEvents.ended`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

__all__ = ["Spawn", "WorkerEvents", "WorkerProcess"]


class WorkerProcess(Protocol):
    """One worker process. What it tells can be asked for after its end as well.

    Attributes:
        pid: The system's number of it.
    """

    pid: int

    def begin(self) -> None:
        """It may ask for messages from now on; called once, when it is ready."""

    def drain(self) -> None:
        """It is to ask for no more messages, finish what runs, and exit."""

    def dump(self) -> None:
        """It is to write the stacks of its threads to the log."""

    def kill(self) -> None:
        """End it at once (SIGKILL); nothing if it has ended."""

    @property
    def done(self) -> int:
        """How many messages it has finished."""

    @property
    def running(self) -> int:
        """How many messages were handed to it and have not come back."""

    @property
    def is_full(self) -> bool:
        """Whether no thread is free: it asks for nothing."""

    @property
    def last_done(self) -> float:
        """The clock's time when a message last came back, or when it began."""

    @property
    def last_heard(self) -> float:
        """The clock's time of its last sign of life."""

    def rss(self) -> int:
        """How many bytes of memory it takes; 0 if that is unknown."""

    def describe_running(self) -> list[str]:
        """Consumer and channel of each message that it runs, for the log."""


class WorkerEvents(Protocol):
    """What a process tells of itself, in the reactor's thread."""

    def ready(self, process: WorkerProcess, facts: Mapping[str, Any]) -> None:
        """It has imported the site, and waits for `WorkerProcess.begin`."""

    def failed(self, process: WorkerProcess, reason: str) -> None:
        """It cannot become ready, has logged why, and exits by itself."""

    def ended(self, process: WorkerProcess, how: str, lost: int) -> None:
        """It is gone, and with it so many messages."""


#: Starts a process: (number of its place, from 1 on; generation; whom it tells). An OSError says
#: that the system refuses to.
Spawn = Callable[[int, int, WorkerEvents], WorkerProcess]
