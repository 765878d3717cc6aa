"""A steady load that keeps account: sockets that number their messages, and visitors.

It runs in a thread with an event loop of its own. `bench/soak.py` uses it as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.integration.supervised import Supervised, wait

__all__ = ["Account", "Storm", "kill_workers", "lost_with"]

#: A guard against hanging: not a measure.
GUARD_SECONDS = 120.0

#: So many messages a socket has on their way at most. If all of them were lost, it could not know.
WINDOW = 12

#: So many files this process may open beside the sockets and what is open already.
SPARE_FILES = 64

#: What a socket sends at its end: when that has come back, all that was sent before is settled.
FINAL = "final"


@dataclass
class Account:
    """What the clients have seen.

    Attributes:
        sent, answered: Messages of the sockets.
        lost: Those that were never answered, as ``socket:number``.
        duplicates: Those that were answered twice.
        out_of_order: Those that were answered after a later one.
        closed: Sockets that were closed, and why.
        statuses: How often each status answered a request; 0 is none.
        errors: What went wrong with requests that were not answered.
    """

    sent: int = 0
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests that were answered with an error, or not at all."""
        return sum(count for status, count in self.statuses.items() if status != 200)


class _Socket:
    """One socket, its messages numbered from 1 on."""

    def __init__(self, storm: Storm, name: int) -> None:
        self._storm = storm
        self._account = storm.account
        self._name = name
        self._sent = 0
        self._last = 0
        self._seen: set[int] = set()
        self._has_come = asyncio.Event()
        self._is_settled = asyncio.Event()

    async def run(self, connection: ClientConnection) -> None:
        reading = asyncio.create_task(self._read(connection))
        pause = self._storm.pause
        try:
            await self._storm.rest(pause * random.random())  # not all of them at once
            while not self._storm.is_over and not self._is_settled.is_set():
                await self._send(connection)
                await self._storm.rest(pause * random.uniform(0.5, 1.5))
            await self._settle(connection)
        except ConnectionClosed:
            pass  # it is booked where it was read
        finally:
            reading.cancel()
            await connection.close()

    async def _send(self, connection: ClientConnection) -> None:
        if self._sent - self._last >= WINDOW:
            self._has_come.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_come.wait(), 1.0)
            return
        self._sent += 1
        self._account.sent += 1
        await connection.send(f"{self._name}:{self._sent}")

    async def _settle(self, connection: ClientConnection) -> None:
        await connection.send(f"{self._name}:{FINAL}")
        await asyncio.wait_for(self._is_settled.wait(), GUARD_SECONDS)
        missing = set(range(1, self._sent + 1)) - self._seen
        self._account.lost += [f"{self._name}:{number}" for number in sorted(missing)]

    async def _read(self, connection: ClientConnection) -> None:
        try:
            async for text in connection:
                self._came(str(text))
        except ConnectionClosed as error:
            self._account.closed.append(f"{self._name}: {error}")
        else:
            self._account.closed.append(f"{self._name}: closed in good order")
        self._is_settled.set()

    def _came(self, text: str) -> None:
        name, _, number = text.partition(":")
        assert name == str(self._name), f"{text} came to {self._name}"
        if number == FINAL:
            self._is_settled.set()
            return
        at = int(number)
        if at in self._seen:
            self._account.duplicates.append(text)
            return
        if at < self._last:
            self._account.out_of_order.append(text)
        self._seen.add(at)
        self._last = max(self._last, at)
        self._account.answered += 1
        self._has_come.set()


class Storm:
    """See the module. As a context, it runs until the end of the ``with``.

    Args:
        daemon: Who is visited.
        sockets: How many there are.
        visitors: How many ask for a page, again and again.
        pause: Seconds between two messages of a socket, on the average.
        between: Seconds between two requests of a visitor.
        page: What the visitors ask for.

    Attributes:
        account: What they have seen; complete after the ``with``.
    """

    def __init__(
        self,
        daemon: Supervised,
        *,
        sockets: int,
        visitors: int,
        pause: float,
        between: float = 0.05,
        page: str = "/hello?seconds=0.005",
    ) -> None:
        self.account = Account()
        self.pause = pause
        self.is_over = False
        self._port = daemon.port
        self._sockets = sockets
        self._visitors = visitors
        self._between = between
        self._page = page
        self._is_under_way = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="storm")

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            assert self._is_under_way.wait(GUARD_SECONDS)
            if self._failure is None:
                self.goes_on()
        except BaseException:
            self._stop()
            raise
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Have all sockets wait for what is on its way, and end."""
        self._stop()
        self._thread.join(2 * GUARD_SECONDS)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _stop(self) -> None:
        self.is_over = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._has_ended.set)

    async def rest(self, seconds: float) -> None:
        """Do nothing for so long, or until the storm is to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_ended.wait(), seconds)

    def goes_on(self, messages: int = 20) -> None:
        """Wait until so many more messages and requests were answered."""
        account = self.account
        answered, requests = account.answered + messages, account.statuses.total() + messages
        if not self._visitors:
            requests = 0
        wait(
            lambda: (
                (account.answered >= answered and account.statuses.total() >= requests)
                or self._failure
            ),
            "the load goes on",
            GUARD_SECONDS,
        )

    def _run(self) -> None:
        try:
            with _enough_files(self._sockets + self._visitors):
                asyncio.run(self._load())
        except BaseException as error:
            self._failure = error
        finally:
            self._is_under_way.set()

    async def _load(self) -> None:
        self._loop = asyncio.get_running_loop()
        connections = [await self._connect() for _ in range(self._sockets)]
        async with asyncio.TaskGroup() as tasks:
            for name, connection in enumerate(connections):
                tasks.create_task(_Socket(self, name).run(connection))
            for _ in range(self._visitors):
                tasks.create_task(self._visit())
            self._is_under_way.set()

    async def _connect(self) -> ClientConnection:
        return await connect(
            f"ws://127.0.0.1:{self._port}/count",
            open_timeout=GUARD_SECONDS,
            ping_interval=None,
            compression=None,
            proxy=None,
        )

    async def _visit(self) -> None:
        while not self.is_over:
            try:
                await self._ask()
            except (OSError, EOFError, ValueError) as error:
                self.account.statuses[0] += 1
                self.account.errors.append(repr(error))
                await self.rest(self._between)

    async def _ask(self) -> None:
        """Requests on one connection, as long as it lasts."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while not self.is_over:
                writer.write(f"GET {self._page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), GUARD_SECONDS)
                status, fields = _read_head(head)
                await reader.readexactly(int(fields["content-length"]))
                self.account.statuses[status] += 1
                await self.rest(self._between)
                if fields.get("connection") == "close":
                    return
        finally:
            writer.close()


@contextmanager
def _enough_files(connections: int) -> Iterator[None]:
    """So many connections more can be opened, as far as the hard limit allows it."""
    needed = len(list(Path("/proc/self/fd").iterdir())) + connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        yield
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OSError(f"{connections} connections need {needed} open files: ulimit -Hn is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), fields


def kill_workers(
    daemon: Supervised, times: int, at_once: int = 1, done: Callable[[int], Any] = lambda _: None
) -> None:
    """Kill random workers, *at_once* of them; the next when all work again."""
    restarts = daemon.tells()["restarts"]
    for number in range(0, times, at_once):
        victims = random.sample(daemon.workers, min(at_once, times - number))
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        restarts += len(victims)
        wait_slowly(lambda enough=restarts: daemon.tells()["restarts"] >= enough, "all are dead")
        wait_slowly(lambda: daemon.serving()[0] == daemon.count, "all work again")
        done(number + len(victims))


def wait_slowly(condition: Callable[[], bool], what: str) -> None:
    """Wait for what takes a while; who looks often would take the processor from it."""
    pause = threading.Event()
    for _ in range(int(GUARD_SECONDS * 20)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"not within {GUARD_SECONDS} s: {what}")


def lost_with(daemon: Supervised) -> Counter[str]:
    """What the log says was lost, by channel."""
    lines = (line for line in daemon.log.splitlines() if "] Lost with worker " in line)
    return Counter(line.rpartition(" ")[2] for line in lines)
