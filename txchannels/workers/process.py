"""One worker process, as the daemon has it: started, connected, listened to, waited for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger

from txchannels.workers.board import BEGUN, Board
from txchannels.workers.interfaces import WorkerEvents

__all__ = ["IPeer", "Program", "ProgramProtocol"]

log = Logger()

#: The descriptors that a worker process finds its connection and its board under.
LINK_DESCRIPTOR, BOARD_DESCRIPTOR = 3, 4

#: After the exit, for what the process has still said; a child of its own may hold the end.
LAST_WORDS_SECONDS = 1.0

#: After the connection's end, for what the site does at the exit of a process.
EXIT_SECONDS = 5.0

MAX_LINE_BYTES = 8192

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

#: Becomes the program of its other arguments, in the folder that the first names. The reactor
#: would fork for that, and cannot at all when its own folder is gone.
_ENTER = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


class IPeer(Protocol):
    """The process, as the layer has it."""

    board: Any
    told: Callable[[str, Any], None]
    ended: Callable[[list[tuple[int, str, Any]]], None]
    running: dict[int, tuple[str, Any]]
    done: int
    last_done: float
    last_heard: float

    @property
    def requested(self) -> int: ...

    def tell(self, topic: str, value: Any = None) -> None: ...

    def retire(self) -> None: ...

    def ping(self) -> None: ...

    def drop(self, reason: str) -> None: ...


class Program:
    """A worker process; see `txchannels.workers.interfaces.WorkerProcess`.

    Args:
        reactor: The reactor.
        name: For the log.
        events: What the process comes to.
        adopt: Serves the process at the other end of a socket.
        orders: What it is told to be: see `txchannels.worker_process`.
        lost: Called with the consumer, the channel and each message that has died with it.
        folder: Where it is started; a link leads where it leads then.

    Attributes:
        files_told: Called with the files that it has imported, if it cannot start.

    Raises: OSError: The system does not let it start.
    Thread: the reactor's.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - it joins what others have made
        self,
        reactor: Any,
        name: str,
        events: WorkerEvents,
        adopt: Callable[[socket.socket, str], Any],
        orders: Mapping[str, Any],
        lost: Callable[[Program, str, str, Any], None],
        folder: str,
    ) -> None:
        self.name = name
        self._reactor = reactor
        self._events = events
        self.files_told: Callable[[list[str]], None] = _nobody_asks
        self._lost_watcher = lost
        self._consumers: dict[int, str] = {}
        self._lost_count = 0
        self._how: str | None = None
        self._is_connected = True
        self._has_ended = False
        self._begun_at = 0.0
        self._timeout: Any = None
        self._has_terminal = bool(orders.get("development"))
        self._folder = folder
        with ExitStack() as undo:
            self._board = Board()
            undo.callback(self._board.close)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                self._transport = self._spawn(theirs.fileno(), self._board.descriptor)
            self.pid: int = self._transport.pid
            undo.callback(self._give_up)
            self._peer: IPeer = adopt(ours, name)
            undo.pop_all()
        self._peer.board = self._board
        self._peer.told = self._told
        self._peer.ended = self._disconnected
        self._peer.tell("orders", dict(orders))

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"

    def _give_up(self) -> None:
        """The daemon cannot serve it, and will not hear of its end."""
        self._is_connected = False
        self._has_ended = True
        self.kill()

    def _spawn(self, link: int, board: int) -> Any:
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 - as multiprocessing does
        command = [sys.executable, *flags, "-m", "txchannels.worker_process", self.name]
        if not self._is_here():
            command = [sys.executable, "-I", "-S", "-c", _ENTER, self._folder, *command]
        nothing = os.open(os.devnull, os.O_RDONLY)
        files: dict[int, Any] = {0: nothing, 1: "r", 2: "r"}
        if self._has_terminal:
            files = {0: 0, 1: 1, 2: 2}  # a developer's print() and breakpoint()
        files |= {LINK_DESCRIPTOR: link, BOARD_DESCRIPTOR: board}
        try:
            return self._reactor.spawnProcess(
                ProgramProtocol(self.name, self._exited),
                sys.executable,
                command,
                env=None,
                childFDs=files,
            )
        finally:
            os.close(nothing)

    def _is_here(self) -> bool:
        """Whether its folder is the daemon's.

        Raises: OSError: There is no such folder.
        """
        try:
            return Path(self._folder).samefile(".")
        except OSError as error:
            raise OSError(f"its folder {self._folder}: {error.strerror or error}") from None

    # What the supervisor does with it

    def begin(self) -> None:
        """See `WorkerProcess`."""
        self._begun_at = self._reactor.seconds()
        self._peer.tell("begin")

    def drain(self) -> None:
        """See `WorkerProcess`."""
        self._peer.retire()  # it may be slow to read the order, and others have begun
        self._peer.tell("drain")

    def dump(self) -> None:
        """See `WorkerProcess`."""
        self._signal(signal.SIGUSR2)

    def kill(self) -> None:
        """See `WorkerProcess`."""
        self._signal(signal.SIGKILL)

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._peer.ping()

    def seen_alive(self, now: float) -> None:
        """Nothing is held against it that happened before: the daemon itself was away."""
        self._peer.last_heard = self._peer.last_done = now

    def _signal(self, number: int) -> None:
        if self._how is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    # What the supervisor asks of it

    @property
    def done(self) -> int:
        """See `WorkerProcess`."""
        return self._peer.done

    @property
    def running(self) -> int:
        """See `WorkerProcess`."""
        return len(self._peer.running)

    @property
    def is_full(self) -> bool:
        """See `WorkerProcess`."""
        return bool(self._peer.running) and self._peer.requested <= 0

    @property
    def last_done(self) -> float:
        """See `WorkerProcess`."""
        return max(self._peer.last_done, self._begun_at)

    @property
    def last_heard(self) -> float:
        """See `WorkerProcess`."""
        return self._peer.last_heard

    def rss(self) -> int:
        """See `WorkerProcess`."""
        try:
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError, ValueError):
            return 0

    def describe_running(self) -> list[str]:
        """See `WorkerProcess`."""
        return [
            f"{self._consumer_of(number)} on {channel}"
            for number, (channel, _) in list(self._peer.running.items())
        ]

    def _consumer_of(self, number: int) -> str:
        mark = self._board.mark_of(number)
        unknown = "a message that its route was looked for" if mark == BEGUN else "(not begun)"
        return self._consumers.get(mark, unknown)

    # What it tells

    def _told(self, topic: str, value: Any) -> None:
        if topic == "consumer":
            self._consumers[value[0]] = value[1]
        elif topic == "files":
            self.files_told(value)
        elif topic == "ready":
            self._events.ready(self, value)
        elif topic == "failed":
            self._events.failed(self, str(value))

    def _disconnected(self, lost: list[tuple[int, str, Any]]) -> None:
        """The connection is at its end, and the process, or soon."""
        self._is_connected = False
        self._lost_count = len(lost)
        for number, channel, message in lost:
            self._lost_watcher(self, self._consumer_of(number), channel, message)
        if self._how is not None:
            self._end()
        else:
            self._timeout = self._reactor.callLater(EXIT_SECONDS, self.kill)

    def _exited(self, how: str) -> None:
        self._how = how
        if self._is_connected:
            # What it has said before its end is still on its way.
            self._timeout = self._reactor.callLater(LAST_WORDS_SECONDS, self._cut)
        else:
            self._end()

    def _cut(self) -> None:
        if self._is_connected:
            self._peer.drop("its process has ended")

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            if self._timeout is not None and self._timeout.active():
                self._timeout.cancel()
            self._events.ended(self, self._how or "", self._lost_count)
            self._board.close()


def _nobody_asks(_: list[str]) -> None:
    """Nobody looks at files."""


class ProgramProtocol(ProcessProtocol):
    """What a worker process writes, into the log; and how it ends.

    Args:
        name: Stands before each line.
        exited: Told how it has ended, in words.
    """

    def __init__(self, name: str, exited: Callable[[str], None]) -> None:
        self._name = name
        self._exited = exited
        self._rest = {1: b"", 2: b""}

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803 - Twisted's name
        """Log whole lines, in one event."""
        *lines, rest = (self._rest[childFD] + data).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._rest[childFD] = rest
        if lines:
            self._log(lines)

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N802, N803 - Twisted's name
        """Log what is no whole line."""
        rest, self._rest[childFD] = self._rest[childFD], b""
        if rest:
            self._log([rest])

    def _log(self, lines: list[bytes]) -> None:
        """Log what came at once as one: there may be thousands of short ones."""
        start = f"[{self._name}] "
        shown = (line.decode(errors="backslashreplace").rstrip() for line in lines)
        log.info("{lines}", lines="\n".join(f"{start}{line}" for line in shown))

    def processExited(self, reason: Any) -> None:
        """The system has told of its end."""
        error = reason.value
        number = getattr(error, "signal", None)
        if number is not None:
            try:
                self._exited(f"killed by {signal.Signals(number).name}")
            except ValueError:
                self._exited(f"killed by signal {number}")
        else:
            self._exited(f"exit code {getattr(error, 'exitCode', 0) or 0}")
