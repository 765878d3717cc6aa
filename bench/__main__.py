"""The command: ``bench/run [--only NAME ...] [--rounds N] [--seconds S]``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from datetime import datetime
from types import FrameType

from bench import machine, report
from bench.measure import Bench, Options, Outcome, tell
from bench.scenarios import SCENARIOS, Scenario

_DEFAULTS = Options()


def main() -> int:
    """Run what the command line asks for.

    Returns: 0; 1 when something could not be measured, or a target was missed under --strict.
    """
    arguments = _parser().parse_args()
    if arguments.list:
        print("\n".join(f"{scenario.name:14}{scenario.title}" for scenario in SCENARIOS))
        return 0
    signal.signal(signal.SIGTERM, _exit)
    options = Options(
        arguments.rounds,
        arguments.seconds,
        arguments.sockets,
        arguments.server_core,
        arguments.client_core,
    )
    try:
        with machine.only_run():
            _prepare(options)
            outcomes = _run(_chosen(arguments.only), options, update_readme=arguments.update_readme)
    except machine.BenchError as error:
        tell(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    missed = any(not check.passed for outcome in outcomes.values() for check in outcome.checks)
    failed = any(outcome.failures for outcome in outcomes.values())
    return 1 if failed or (missed and arguments.strict) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run", description="What txchannels costs, next to its peers (bench/README.md)."
    )
    add = parser.add_argument
    add("--list", action="store_true", help="name the scenarios and end")
    add("--only", action="append", default=[], metavar="NAME", help="this scenario (repeatable)")
    add("--rounds", type=int, default=_DEFAULTS.rounds, help="of each measurement (%(default)s)")
    add("--seconds", type=float, default=_DEFAULTS.seconds, help="of a round (%(default)s)")
    add("--sockets", type=int, default=_DEFAULTS.sockets, help="for 'many' (%(default)s)")
    add("--server-core", type=int, default=_DEFAULTS.server_core, help="default %(default)s")
    add("--client-core", type=int, default=_DEFAULTS.client_core, help="default %(default)s")
    add("--strict", action="store_true", help="exit with 1 when a target is missed")
    add("--update-readme", action="store_true", help="put the tables into bench/README.md")
    return parser


def _chosen(names: list[str]) -> list[Scenario]:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise machine.BenchError(f"No scenario {unknown[0]!r}; there are {', '.join(known)}.")
    return [known[name] for name in names] or list(SCENARIOS)


def _prepare(options: Options) -> None:
    machine.require_tools()
    machine.require_cores(options.server_core, options.client_core)
    machine.raise_descriptor_limit(options.sockets)
    machine.compile_wsload()
    _make_database()


def _make_database() -> None:
    """A fresh SQLite file with the row that the ORM view reads."""
    machine.DATABASE.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(machine.SITE),
        "DJANGO_SETTINGS_MODULE": "benchsite.settings",
        "BENCH_STACK": "wsgi",
        "BENCH_DATABASE": str(machine.DATABASE),
    }
    django = [sys.executable, "-m", "django"]
    row = "from benchsite.models import Note; Note.objects.create(pk=1, text='A row.')"
    for command in (["migrate", "--run-syncdb", "--verbosity=0"], ["shell", "--command", row]):
        subprocess.run([*django, *command], env=environment, check=True, stdout=subprocess.DEVNULL)


def _run(scenarios: list[Scenario], options: Options, *, update_readme: bool) -> dict[str, Outcome]:
    """Run *scenarios*, writing the report anew after each so that nothing is lost."""
    outcomes: dict[str, Outcome] = {}
    versions, date = machine.versions(), datetime.now().astimezone()
    for scenario in scenarios:
        tell(f"{scenario.title} ")
        bench = Bench(options)
        outcomes[scenario.name] = bench.outcome
        scenario.run(bench)
        tell("\n")
        text = report.as_json(outcomes, versions, options, date)
        (machine.BUILD / "results.json").write_text(text)
    markdown = report.as_markdown(outcomes, versions, options, date)
    (machine.BUILD / "results.md").write_text(markdown)
    print(markdown)
    if update_readme:
        report.update_readme(machine.BENCH / "README.md", markdown)
    return outcomes


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
