"""A lease that the server refuses to renew: said once for each reason, without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from txredisapi import ResponseError

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis.lease import RENEW_SECONDS, Lease

OOM = "OOM command not allowed when used memory > 'maxmemory'."


class Owner:
    def addresses(self) -> list[str]:
        return ["hub!"]

    def reads(self) -> str:
        return ""

    def saw_others(self, link: Any, reads: list[str]) -> None: ...


class Link:
    """A link whose server answers a renewal with *answer*, or refuses it if that is an error."""

    name = "redis://there"
    prefix = "p:"
    is_connected = True

    def __init__(self) -> None:
        self.owner = Owner()
        self.time = self
        self.answer: Any = [0, 0, []]

    def seen(self, milliseconds: int) -> None: ...

    def look_for_master(self) -> None: ...

    def note_answer(self) -> float:
        return 0.0

    def run(self, *arguments: Any) -> Deferred[Any]:
        answer = self.answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


@pytest.fixture
def told() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


@pytest.fixture
def world() -> tuple[Link, Clock]:
    link, clock = Link(), Clock()
    Lease(link, clock).start()  # type: ignore[arg-type]
    return link, clock


def renewals(clock: Clock, count: int = 3) -> None:
    clock.pump([RENEW_SECONDS] * count)


def test_a_refusal_is_said_once_without_a_traceback(world, told) -> None:
    link, clock = world
    link.answer = ResponseError(OOM)
    renewals(clock)
    [event] = told
    assert event["log_level"] is LogLevel.error
    assert "log_failure" not in event
    assert str(event["reason"]) == OOM


def test_another_reason_is_said_and_so_is_the_first_after_a_renewal(world, told) -> None:
    link, clock = world
    answers = [ResponseError(OOM), ResponseError("NOPERM"), [0, 0, []], ResponseError("NOPERM")]
    for answer in answers:
        link.answer = answer
        renewals(clock)
    assert [str(event["reason"]) for event in told] == [OOM, "NOPERM", "NOPERM"]


def test_a_fault_of_ours_has_its_traceback_once(world, told) -> None:
    link, clock = world
    link.answer = ValueError("what is that")
    renewals(clock)
    [event] = told
    assert event["log_failure"].check(ValueError)


def test_that_the_server_is_away_is_said_by_the_link(world, told) -> None:
    link, clock = world
    link.answer = LayerUnavailable("gone")
    renewals(clock)
    assert told == []
