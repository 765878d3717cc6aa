"""Interleaved rounds, and what comes of them: figures, and checks against the issue's targets."""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from bench.load import Client
from bench.machine import BenchError
from bench.servers import Running, Server, started

#: Values of one figure by subject, one a round.
Series = dict[str, list[float]]


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure, and where."""

    rounds: int = 5
    seconds: float = 4.0
    sockets: int = 10_000
    server_core: int = 0
    client_core: int = 1


@dataclass(frozen=True)
class Figure:
    """What was measured of one subject, round by round."""

    what: str
    subject: str
    unit: str
    rounds: list[float]

    @property
    def median(self) -> float:
        """The figure that tables quote."""
        return statistics.median(self.rounds)


@dataclass(frozen=True)
class Check:
    """One target of the issue, and what was found."""

    claim: str
    target: str
    found: str
    passed: bool

    @property
    def verdict(self) -> str:
        """In one word."""
        return "PASS" if self.passed else "MISS"


@dataclass
class Outcome:
    """All that a scenario found out."""

    figures: list[Figure] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add_series(self, what: str, unit: str, series: Series) -> None:
        """Keep a figure of several subjects."""
        self.figures += [Figure(what, subject, unit, rounds) for subject, rounds in series.items()]

    def check_ratio(
        self,
        claim: str,
        series: Series,
        one: str,
        other: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Hold the ratio of two subjects, taken round by round, against a bound."""
        target = _bound(at_least, at_most, "{:g} times")
        ratio = paired_ratio(series, one, other)
        if ratio is None:
            self.checks.append(Check(claim, target, "no figure", passed=False))
            return
        passed = _is_within(ratio, at_least, at_most)
        self.checks.append(Check(claim, target, f"{ratio:.2f} times", passed=passed))

    def check_value(
        self,
        claim: str,
        series: Series,
        subject: str,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Hold the median of one subject against a bound."""
        target = _bound(at_least, at_most, "{:,g} " + unit)
        if not series.get(subject):
            self.checks.append(Check(claim, target, "no figure", passed=False))
            return
        value = statistics.median(series[subject])
        passed = _is_within(value, at_least, at_most)
        self.checks.append(Check(claim, target, f"{value:,.4g} {unit}", passed=passed))


@dataclass
class Bench:
    """What a scenario measures with: it starts servers, runs rounds and collects the outcome."""

    options: Options
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def client(self) -> Client:
        """The pinned client."""
        return Client(self.options.client_core)

    @contextlib.contextmanager
    def running(self, *servers: Server) -> Iterator[list[Running]]:
        """Start *servers* side by side; one that does not come up is left out and noted."""
        with contextlib.ExitStack() as stack:
            up = []
            for server in servers:
                try:
                    up.append(stack.enter_context(started(server, self.options.server_core)))
                except BenchError as error:
                    self.note_failure(str(error))
            yield up

    def interleave(
        self, subjects: Mapping[str, Callable[[], float]], *, rounds: int | None = None
    ) -> Series:
        """Measure each subject once a round, each round beginning with another one.

        A subject that fails is left out from then on and noted.
        """
        series: Series = {name: [] for name in subjects}
        names = list(subjects)
        for number in range(rounds or self.options.rounds):
            start = number % max(1, len(names))
            for name in names[start:] + names[:start]:
                try:
                    series[name].append(subjects[name]())
                except BenchError as error:
                    self.note_failure(str(error))
                    names.remove(name)
            tell(".")
        return {name: values for name, values in series.items() if values}

    def compare_http(self, what: str, path: str, up: list[Running], connections: int) -> Series:
        """Requests a second of each server, after a second of warming up."""

        def rate(server: Running, seconds: float) -> float:
            return self.client.requests_per_second(
                server, path, connections=connections, seconds=seconds
            )

        seconds = self.options.seconds
        self.warm_up({server.name: partial(rate, server, 1.0) for server in up})
        series = self.interleave({server.name: partial(rate, server, seconds) for server in up})
        self.outcome.add_series(what, "requests/s", series)
        return series

    def warm_up(self, subjects: Mapping[str, Callable[[], float]]) -> None:
        """Run each once and forget what comes of it; the rounds will meet its trouble again."""
        for subject in subjects.values():
            with contextlib.suppress(BenchError):
                subject()

    def note_failure(self, text: str) -> None:
        """Keep what went wrong for the report."""
        self.outcome.failures.append(text)
        tell(f"\n  {text}\n")


def paired_ratio(series: Series, one: str, other: str) -> float | None:
    """The median over the rounds of *one* by *other*; None without figures of both."""
    pairs = list(zip(series.get(one, []), series.get(other, []), strict=False))
    return statistics.median(a / b for a, b in pairs) if pairs else None


def tell(text: str) -> None:
    """Show progress, apart from the report."""
    sys.stderr.write(text)
    sys.stderr.flush()


def _bound(at_least: float | None, at_most: float | None, template: str) -> str:
    return (
        "at least " + template.format(at_least)
        if at_least is not None
        else "at most " + template.format(at_most)
    )


def _is_within(value: float, at_least: float | None, at_most: float | None) -> bool:
    return (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
