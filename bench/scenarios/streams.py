"""Event streams: what one costs that waits, and how fast a group send reaches them all.

Next to as many WebSockets, which join the same group in their consumer. Each kind has a daemon
of its own, started anew for each round. To open them is a load, for which the daemon starts
threads as for any other; what is looked at is when those have had the time to end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.machine import BenchError
from bench.measure import AtMost, Bench, Rounds, Sample
from bench.servers import TXCHANNELS, Running, started
from txchannels.settings import WorkerSettings

STREAMS = "event streams"
SOCKETS = "WebSockets"
#: What the client asks for, of each kind.
KINDS: dict[str, dict[str, Any]] = {
    STREAMS: {"path": "/events", "events": True},
    SOCKETS: {"path": "/fan"},
}
MOST_ROUNDS = 3
#: From the last one's opening to the first send: longer than a thread stays without work.
SETTLE_SECONDS = WorkerSettings.idle_seconds + 4


@dataclass
class _Figures:
    """All that comes of a round."""

    memory: Rounds = field(default_factory=Rounds)
    threads_opened: Rounds = field(default_factory=Rounds)
    threads_held: Rounds = field(default_factory=Rounds)
    opened: Rounds = field(default_factory=Rounds)
    last: Rounds = field(default_factory=Rounds)


def events(bench: Bench) -> None:
    """Open all, then one group send at a time, each daemon started anew and alone."""
    figures = _Figures()
    rounds = min(MOST_ROUNDS, bench.options.rounds)

    def measure(kind: str) -> Sample:
        with started(TXCHANNELS, str(bench.options.server_core)) as server:
            answer = _fan_out(bench, server, kind)
        threads = answer["threads"]
        figures.memory.add(kind, Sample(answer["rss_per_conn_kb"]))
        figures.threads_opened.add(kind, Sample(threads["opened"] - threads["before"]))
        figures.threads_held.add(kind, Sample(threads["settled"] - threads["before"]))
        cpu = answer["handshake_server_cpu_s"] * 1e6 / answer["ready"]
        figures.opened.add(kind, Sample(answer["handshakes_per_s"], cpu))
        milliseconds = answer["last_delivery_us"]["p50"] / 1000
        return Sample(milliseconds, answer["server_us_per_delivery"])

    subjects = {kind: lambda kind=kind: measure(kind) for kind in KINDS}
    figures.last = bench.interleave(subjects, rounds=rounds)
    _report(bench, figures)


def _fan_out(bench: Bench, server: Running, kind: str) -> dict[str, Any]:
    """Send to all that are open, one send at a time.

    Raises: BenchError: One of them has not got every message, once and in order.
    """
    count = bench.options.sockets
    answer = bench.client.sockets(
        server,
        "fanout",
        connections=count,
        seconds=bench.options.seconds,
        pub_path="/pub",
        s=32,
        settle=SETTLE_SECONDS,
        cto=240,
        **KINDS[kind],
    )
    wrong = {
        name: answer[name]
        for name in ("incomplete", "gaps", "out_of_order", "no_seq", "late_deliveries")
    }
    if not answer["complete"] or any(wrong.values()):
        raise BenchError(
            f"{kind}: {answer['complete']} of {answer['broadcasts']} sends reached all of "
            f"{count:,} in order: {wrong}"
        )
    return answer


def _report(bench: Bench, figures: _Figures) -> None:
    count = f"{bench.options.sockets:,}"
    add, check = bench.outcome.add, bench.outcome.check_value
    add(f"memory of one, {count} in a group", "KiB", figures.memory)
    add(f"threads more than before, {count} just opened", "threads", figures.threads_opened)
    add(f"threads more than before, {count} in a group", "threads", figures.threads_held)
    add(f"opened and in a group, {count}", "1/s", figures.opened)
    add(f"group send to {count}: last delivery", "ms", figures.last)
    what = f"{count} event streams"
    check(f"{what}: memory of each", figures.memory, STREAMS, "KiB", AtMost(14))
    check(f"{what}: threads more than before", figures.threads_held, STREAMS, "threads", AtMost(8))
