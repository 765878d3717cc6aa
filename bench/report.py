"""Outcomes as JSON for programs and as Markdown for people."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.machine import BenchError
from bench.measure import Figure, Options, Outcome

BEGIN = "<!-- figures: written by bench/run --update-readme -->"
END = "<!-- end of figures -->"


def as_json(
    outcomes: Mapping[str, Outcome], versions: Mapping[str, str], options: Options, date: datetime
) -> str:
    """All rounds of all figures."""
    content: dict[str, Any] = {
        "date": date.isoformat(timespec="seconds"),
        "versions": dict(versions),
        "options": asdict(options),
        "scenarios": {name: asdict(outcome) for name, outcome in outcomes.items()},
    }
    return json.dumps(content, indent=1)


def as_markdown(
    outcomes: Mapping[str, Outcome], versions: Mapping[str, str], options: Options, date: datetime
) -> str:
    """The checks, the figures, and what was measured when."""
    lines = [
        f"{date:%Y-%m-%d %H:%M}; medians of {options.rounds} interleaved rounds of "
        f"{options.seconds:g} s; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "",
        "| target | wanted | found | |",
        "|---|---|---|---|",
    ]
    for outcome in outcomes.values():
        lines += [
            f"| {check.claim} | {check.target} | {check.found} | {check.verdict} |"
            for check in outcome.checks
        ]
    lines += [
        "",
        "| figure | server | median | least to most | unit | CPU of one |",
        "|---|---|---|---|---|---|",
    ]
    for outcome in outcomes.values():
        lines += [_figure_row(figure) for figure in outcome.figures]
    notes = [note for outcome in outcomes.values() for note in outcome.notes]
    if notes:
        lines += ["", *(f"- {note}." for note in notes)]
    failures = [failure for outcome in outcomes.values() for failure in outcome.failures]
    if failures:
        lines += ["", "Went wrong:", ""]
        lines += [f"- {_first_and_last_line(failure)}" for failure in failures]
    return "\n".join(lines) + "\n"


def update_readme(readme: Path, markdown: str) -> None:
    """Put *markdown* between the two marks in *readme*."""
    text = readme.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise BenchError(f"{readme} has lost its marks {BEGIN!r} and {END!r}.")
    readme.write_text(f"{head}{BEGIN}\n\n{markdown}\n{END}{tail}")


def _figure_row(figure: Figure) -> str:
    numbers = [_number(value) for value in (figure.median, min(figure.rounds), max(figure.rounds))]
    median, least, most = numbers
    cpu = statistics.median(figure.cpu_microseconds) if figure.cpu_microseconds else None
    cells = [
        figure.what,
        figure.subject,
        median,
        f"{least} to {most}",
        figure.unit,
        "" if cpu is None else f"{cpu:,.3g} µs",
    ]
    return f"| {' | '.join(cells)} |"


def _first_and_last_line(text: str) -> str:
    lines = text.splitlines()
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1].strip()}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
