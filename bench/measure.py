"""Interleaved rounds, and what comes of them: figures, and checks against the issue's targets."""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from bench.load import Client
from bench.machine import BenchError
from bench.servers import Running, Server, started
from bench.yardstick import Yardstick

#: Of so many rounds for one, `Bench.quietest` keeps those in which the machine was fastest.
QUIET_FACTOR = 8
#: Such rounds are short: the machine does not stay as it is for long.
QUIET_SECONDS = 1.0

#: Values of one figure by subject, one a round.
Series = dict[str, list[float]]


class Sample(NamedTuple):
    """One measurement: its value, and the server's CPU time for one unit of it if that matters."""

    value: float
    cpu_microseconds: float | None = None


@dataclass
class Rounds:
    """What a few rounds gave: the values, and the CPU time (in microseconds) behind each."""

    values: Series = field(default_factory=dict)
    cpu: Series = field(default_factory=dict)

    def add(self, subject: str, sample: Sample) -> None:
        """Keep one sample."""
        self.values.setdefault(subject, []).append(sample.value)
        if sample.cpu_microseconds is not None:
            self.cpu.setdefault(subject, []).append(sample.cpu_microseconds)

    def keep(self, rounds: Collection[int]) -> None:
        """Forget all rounds but these, by their numbers from 0."""
        for series in (self.values, self.cpu):
            for subject, values in series.items():
                series[subject] = [value for at, value in enumerate(values) if at in rounds]


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure, and where."""

    rounds: int = 5
    seconds: float = 4.0
    sockets: int = 10_000
    server_core: int = 0
    client_core: int = 1

    @property
    def both_cores(self) -> str:
        """As taskset takes them."""
        return f"{self.server_core},{self.client_core}"


@dataclass(frozen=True)
class Figure:
    """What was measured of one subject, round by round."""

    what: str
    subject: str
    unit: str
    rounds: list[float]
    cpu_microseconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure that tables quote."""
        return statistics.median(self.rounds)


@dataclass(frozen=True)
class AtLeast:
    """A bound from below."""

    bound: float

    def holds(self, value: float) -> bool:
        """Whether *value* keeps it."""
        return value >= self.bound

    def __str__(self) -> str:
        return f"at least {self.bound:,g}"


@dataclass(frozen=True)
class AtMost:
    """A bound from above."""

    bound: float

    def holds(self, value: float) -> bool:
        """Whether *value* keeps it."""
        return value <= self.bound

    def __str__(self) -> str:
        return f"at most {self.bound:,g}"


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
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, unit: str, rounds: Rounds) -> None:
        """Keep a figure of several subjects."""
        for subject, values in rounds.values.items():
            cpu = rounds.cpu.get(subject)
            self.figures.append(Figure(what, subject, unit, values, cpu or []))

    def check_ratio(
        self, claim: str, rounds: Rounds, one: str, other: str, bound: AtLeast | AtMost
    ) -> None:
        """Hold the ratio of two subjects, taken round by round, against a bound."""
        target = f"{bound} times"
        ratio = paired_ratio(rounds.values, one, other)
        if ratio is None:
            self.checks.append(Check(claim, target, "no figure", passed=False))
            return
        found = f"{ratio:.2f} times"
        by_cpu = paired_ratio(rounds.cpu, other, one)
        if by_cpu is not None:
            found += f" ({by_cpu:.2f} by CPU time)"
        self.checks.append(Check(claim, target, found, passed=bound.holds(ratio)))

    def check_value(
        self, claim: str, rounds: Rounds, subject: str, unit: str, bound: AtLeast | AtMost
    ) -> None:
        """Hold the median of one subject against a bound."""
        target = f"{bound} {unit}"
        values = rounds.values.get(subject)
        if not values:
            self.checks.append(Check(claim, target, "no figure", passed=False))
            return
        value = statistics.median(values)
        self.checks.append(Check(claim, target, f"{value:,.4g} {unit}", bound.holds(value)))


@dataclass
class Bench:
    """What a scenario measures with: it starts servers, runs rounds and collects the outcome."""

    options: Options
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        self._yardstick = Yardstick((self.options.server_core, self.options.client_core))

    @property
    def client(self) -> Client:
        """The pinned client."""
        return Client(str(self.options.client_core))

    @property
    def free_client(self) -> Client:
        """The client where servers have both cores: on whichever has time for it."""
        return Client(self.options.both_cores)

    @contextlib.contextmanager
    def running(self, *servers: Server) -> Iterator[list[Running]]:
        """Start *servers* side by side; one that does not come up is left out and noted."""
        with contextlib.ExitStack() as stack:
            up = []
            for server in servers:
                try:
                    up.append(stack.enter_context(started(server, str(self.options.server_core))))
                except BenchError as error:
                    self.note_failure(str(error))
            yield up

    def interleave(
        self, subjects: Mapping[str, Callable[[], Sample]], *, rounds: int | None = None
    ) -> Rounds:
        """Measure each subject once a round, each round beginning with another one.

        A subject that fails is left out from then on and noted.
        """
        result = Rounds()
        names = list(subjects)
        for number in range(rounds or self.options.rounds):
            self._measure_round(number, names, subjects, result)
            tell(".")
        return result

    def quietest(
        self, what: str, subjects: Mapping[str, Callable[[], Sample]], beside: Sequence[Rounds] = ()
    ) -> Rounds:
        """As `interleave`, but many short rounds, of which those count that nothing disturbed.

        Which they are is said by the yardstick, before and after each round, and not by what
        was measured in it.

        Args:
            what: For the note on it.
            beside: What the subjects add to as well, once a round.
        """
        result = Rounds()
        names = list(subjects)
        yardstick = self._yardstick
        lengths: list[float] = []
        before = yardstick.measure()
        for number in range(QUIET_FACTOR * self.options.rounds):
            self._measure_round(number, names, subjects, result)
            after = yardstick.measure()
            lengths.append(max(before, after))
            before = after
            if number % QUIET_FACTOR == 0:
                tell(".")
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        kept = order[: self.options.rounds]
        for rounds in (result, *beside):
            rounds.keep(kept)
        least, most = (lengths[at] / yardstick.best for at in (kept[0], kept[-1]))
        usual = statistics.median(lengths) / yardstick.best
        self.outcome.notes.append(
            f"{what}: the {len(kept)} quietest of {len(lengths)} rounds of {QUIET_SECONDS:g} s; "
            f"the yardstick took {least:.2f} to {most:.2f} times its best, else {usual:.2f} times"
        )
        return result

    def _measure_round(
        self,
        number: int,
        names: list[str],
        subjects: Mapping[str, Callable[[], Sample]],
        result: Rounds,
    ) -> None:
        start = number % max(1, len(names))
        for name in names[start:] + names[:start]:
            try:
                result.add(name, subjects[name]())
            except BenchError as error:
                self.note_failure(str(error))
                names.remove(name)

    def compare_http(self, what: str, path: str, up: list[Running], connections: int) -> Rounds:
        """Requests a second of each server, after a second of warming up."""

        def rate(server: Running, seconds: float) -> Sample:
            before = server.cpu_seconds()
            load = self.client.load(server, path, connections=connections, seconds=seconds)
            used = server.cpu_seconds() - before
            return Sample(load.requests_per_second, used * 1e6 / load.requests)

        seconds = self.options.seconds
        self.warm_up({server.name: partial(rate, server, 1.0) for server in up})
        rounds = self.interleave({server.name: partial(rate, server, seconds) for server in up})
        self.outcome.add(what, "requests/s", rounds)
        return rounds

    def warm_up(self, subjects: Mapping[str, Callable[[], object]]) -> None:
        """Run each once and forget what comes of it; the rounds will meet its trouble again."""
        for subject in subjects.values():
            with contextlib.suppress(BenchError):
                subject()

    @contextlib.contextmanager
    def noting_failures(self) -> Iterator[None]:
        """Note what ends the measurements of the context, and go on behind it."""
        try:
            yield
        except BenchError as error:
            self.note_failure(str(error))

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
