"""Visitors of hosts that a Redis joins: they count all that they get."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed

from tests.integration.joined import WAIT, Host, wait

__all__ = [
    "Echo",
    "Load",
    "Loop",
    "Member",
    "Teller",
    "Visitor",
    "first_to_all",
    "load",
    "settled",
    "told_meanwhile",
]

#: How often something is done again until it is said to go on.
TIMES = 10


class Loop(threading.Thread):
    """Does the same again and again, until the end of the ``with``.

    Attributes:
        count: How often it has been done.
        failures: How often it has failed, and how.
    """

    #: Between two times: those who count must not be slower than the hosts.
    pause = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.failures: list[str] = []
        self._is_over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.close()
        self.join(WAIT)

    def run(self) -> None:
        while not self._is_over.is_set():
            try:
                self.once()
            except Exception as error:
                if not self._is_over.is_set():
                    self.failures.append(f"after {self.count}: {error!r}")
                return
            self.count += 1
            self._is_over.wait(self.pause)

    def once(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """What ends `once`."""

    def goes_on(self, times: int = TIMES) -> None:
        """Wait until it has been done so often again."""
        until = self.count + times
        wait(lambda: self.count >= until or self.failures, f"{self} goes on")
        assert not self.failures


class Visitor(Loop):
    """Asks *host* for a page, again and again.

    Args:
        patience: Seconds after which it gives one up and asks anew; None never does.

    Attributes:
        statuses: How often each status came.
        given_up: How often no answer came in time.
    """

    pause = 0.01

    def __init__(
        self, host: Host, path: str = "hello", patience: float | None = None, **parameters: Any
    ) -> None:
        super().__init__()
        self._client = httpx.Client(base_url=host.url, timeout=patience or WAIT)
        self._path = path
        self._patience = patience
        self._parameters = parameters
        self.statuses: Counter[int] = Counter()
        self.given_up = 0

    def once(self) -> None:
        try:
            response = self._client.get(f"/{self._path}", params=self._parameters)
        except httpx.ReadTimeout:
            if self._patience is None:
                raise
            self.given_up += 1
            return
        self.statuses[response.status_code] += 1

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        self._client.close()


class Teller(Loop):
    """Has *host* send numbered messages to the room; notes when each was told."""

    pause = 0.02

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self._client = httpx.Client(base_url=host.url, timeout=WAIT)
        self.told: dict[str, float] = {}
        self.refused: list[str] = []

    def once(self) -> None:
        text = f"{self.host.name}-{self.count}"
        self.told[text] = time.monotonic()
        if self._client.get("/tell", params={"text": text}).status_code != 200:
            self.refused.append(text)

    def since(self, moment: float) -> list[str]:
        """What was told after that."""
        return [text for text, at in list(self.told.items()) if at > moment]

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        self._client.close()


class Echo(Loop):
    """A socket that sends numbers and waits for each to come back.

    Args:
        patience: Seconds after which it gives one up and sends the next; None never does.

    Attributes:
        given_up: How many did not come back in time.
    """

    pause = 0.01

    def __init__(self, host: Host, path: str = "echo", patience: float | None = None) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(host.connect(path))
        self._patience = patience
        self._number = 0
        self.given_up = 0
        self.back: Counter[str] = Counter()

    def once(self) -> None:
        self._number += 1
        sent = str(self._number)
        self._socket.send(sent)
        while True:
            try:
                got = str(self._socket.recv(self._patience or WAIT))
            except TimeoutError:
                if self._patience is None:
                    raise
                self.given_up += 1
                return
            self.back[got] += 1
            if got == sent:
                return
            assert self._patience is not None, f"{got} came back instead of {sent}"

    def close(self) -> None:
        self._stack.close()


class Member(Loop):
    """A socket in the room that counts what it gets.

    Attributes:
        got: How often each text came.
        when: When it came first.
    """

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(host.connect("room"))
        self.got: Counter[str] = Counter()
        self.when: dict[str, float] = {}

    def once(self) -> None:
        text = str(self._socket.recv())
        self.when.setdefault(text, time.monotonic())
        self.got[text] += 1

    def tell(self, text: str) -> None:
        self._socket.send(text)

    def close(self) -> None:
        self._stack.close()

    @property
    def is_closed(self) -> bool:
        try:
            self._socket.ping()
        except ConnectionClosed:
            return True
        return False


def several(counts: Counter[str]) -> dict[str, int]:
    """What came more than once; its thread may be counting on."""
    return {text: times for text, times in list(counts.items()) if times > 1}


def first_to_all(tellers: Sequence[Teller], members: Sequence[Member], moment: float) -> float:
    """When a message of each teller, told after *moment*, had come to every member."""

    def arrivals(teller: Teller) -> Iterator[float]:
        for text in teller.since(moment):
            if all(text in member.when for member in members):
                yield max(member.when[text] for member in members)

    def arrival(teller: Teller) -> float:
        failures = [one.failures for one in (*tellers, *members) if one.failures]
        assert not failures, failures
        return next(arrivals(teller), 0.0)

    return max(
        wait(lambda one=teller: arrival(one), f"{teller.host.name} reaches all")
        for teller in tellers
    )


def told_meanwhile(tellers: Sequence[Teller], begun: float, end: float) -> int:
    """How often one of *tellers* has told something, at most: time as the machine has it.

    A slow machine, on which all takes longer, tells less often.
    """
    return max(sum(begun < at <= end for at in list(one.told.values())) for one in tellers)


def settled(tellers: Sequence[Teller], members: Sequence[Member]) -> None:
    """Wait until all that is told comes to every member, on whichever host."""
    first_to_all(tellers, members, time.monotonic())


class Load:
    """What goes on while a test runs: pages, echoes, and a room that all hosts send to."""

    def __init__(self, hosts: Sequence[Host], stack: ExitStack) -> None:
        self.visitors = [stack.enter_context(Visitor(host)) for host in hosts for _ in range(2)]
        self.echoes = [stack.enter_context(Echo(host)) for host in hosts for _ in range(2)]
        self.members = [stack.enter_context(Member(host)) for host in hosts for _ in range(4)]
        self.tellers = [stack.enter_context(Teller(host)) for host in hosts]
        settled(self.tellers, self.members)

    def goes_on(self) -> None:
        """Wait until each has done its part again, without one failure."""
        loops = [*self.visitors, *self.echoes, *self.tellers]
        until = {loop: loop.count + TIMES for loop in loops}
        for loop in loops:
            wait(lambda one=loop: one.count >= until[one] or one.failures, f"{loop} goes on")
            assert not loop.failures

    def check(self, begun: float) -> None:
        """Nothing failed, nothing came twice, and local members have missed nothing."""
        for loop in (*self.visitors, *self.echoes, *self.members, *self.tellers):
            assert not loop.failures, f"{loop}: {loop.failures}"
        for visitor in self.visitors:
            assert set(visitor.statuses) == {200}
        for echo in self.echoes:
            assert not several(echo.back)
        for member in self.members:
            assert not member.is_closed
            twice = several(member.got)
            assert not twice, f"came twice: {twice}"
        for teller in self.tellers:
            assert not teller.refused
            told = teller.since(begun)
            for member in (one for one in self.members if one.host is teller.host):
                wait(lambda one=member, texts=told: all(text in one.got for text in texts), "all")

    def check_all_came(self, since: float) -> None:
        """What was told after *since* comes to all, exactly once."""
        told = [text for teller in self.tellers for text in teller.since(since)]
        for member in self.members:
            wait(lambda one=member: all(text in one.got for text in told), "all have come")
            assert {member.got[text] for text in told} == {1}


@contextmanager
def load(hosts: Sequence[Host]) -> Iterator[Load]:
    with ExitStack() as stack:
        yield Load(hosts, stack)
