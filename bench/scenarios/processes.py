"""Worker processes: what they cost, and what they are good for.

The daemon has one core and its worker the other; the client runs on whichever has time.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.machine import BENCH, BUILD, BenchError
from bench.measure import QUIET_SECONDS, AtLeast, AtMost, Bench, Rounds, Sample
from bench.servers import PROCESSES, TXCHANNELS, Running, Server, cpu_seconds_of, started

OURS = PROCESSES.name
THREADS = TXCHANNELS.name
HOPS = 1000
SOCKETS = 1000
SENDS = 20
GROUP = "fan"

WORKER_THREADS = 4


def hello(bench: Bench) -> None:
    """The hello view through a process, beside the same in the daemon's threads."""
    with bench.noting_failures(), _both(bench) as up:
        for connections in (16, 64):
            what = f"hello through a process, {connections} connections"
            daemon = Rounds()
            rounds = _compare_http(bench, what, up, connections, daemon)
            check = bench.outcome.check_ratio
            check(f"{what}: against threads", rounds, OURS, THREADS, AtLeast(1))
            bench.outcome.add(f"{what}: CPU of the daemon", "µs", daemon)
            bench.outcome.check_value(
                f"{what}: CPU of the daemon for one", daemon, OURS, "µs", AtMost(120)
            )


def echo(bench: Bench) -> None:
    """A WebSocket message to a consumer in a process and back."""
    with bench.noting_failures(), _both(bench) as up:

        def rate(server: Running) -> Sample:
            seconds = bench.options.seconds
            client = bench.free_client
            answer = client.sockets(
                server, "echo", "/echo", connections=50, seconds=seconds, s=32, k=1
            )
            server.wait_until_idle()
            return Sample(answer["per_s"], answer["server_us_per_msg"])

        rounds = bench.interleave({server.name: partial(rate, server) for server in up})
        bench.outcome.add("echo through a process, 50 sockets", "messages/s", rounds)
        bench.outcome.check_ratio(
            "echo through a process: against threads", rounds, OURS, THREADS, AtLeast(0.8)
        )


def busy(bench: Bench) -> None:
    """A group send from outside, beside consumers that burn CPU in every worker thread."""
    path = str(BUILD / "busy.sock")
    threads = str(WORKER_THREADS)
    servers = [
        server.variant(BENCH_SOCKET=path + server.name[-3:], BENCH_THREADS=threads)
        for server in (PROCESSES, TXCHANNELS)
    ]
    for server in servers:
        with bench.noting_failures(), _apart(bench, server) as running:
            socket = server.environment["BENCH_SOCKET"]
            idle, beside = Rounds(), Rounds()
            for _ in range(min(3, bench.options.rounds)):
                times = _send_from_outside(running, socket)
                idle.add(server.name, Sample(statistics.median(times["idle"])))
                beside.add(server.name, Sample(statistics.median(times["busy"])))
            what = f"group send from outside to {SOCKETS:,}, last delivery"
            bench.outcome.add(f"{what}, idle", "ms", idle)
            bench.outcome.add(f"{what}, beside busy workers", "ms", beside)
            if server.name == OURS:
                both = Rounds()
                both.values = {"busy": beside.values[OURS], "idle": idle.values[OURS]}
                claim = f"{what}: beside {threads} busy worker threads against idle"
                bench.outcome.check_ratio(claim, both, "busy", "idle", AtMost(1.5))


def hop(bench: Bench) -> None:
    """From a send in one process to the delivery in another, over the Unix socket."""
    slow = Rounds()

    def median() -> Sample:
        times = _hop_times(bench)
        slow.add(OURS, Sample(statistics.quantiles(times, n=100)[98] / 1e6))
        return Sample(statistics.median(times) / 1e6)

    with bench.noting_failures():
        rounds = bench.quietest("hop over the Unix socket", {OURS: median}, [slow])
        bench.outcome.add("hop over the Unix socket: median", "ms", rounds)
        bench.outcome.add("hop over the Unix socket: 99th percentile", "ms", slow)
        claim = "hop over the Unix socket: median"
        bench.outcome.check_value(claim, rounds, OURS, "ms", AtMost(0.2))


@contextlib.contextmanager
def _apart(bench: Bench, server: Server) -> Iterator[Running]:
    """A daemon on one core, its workers on the other."""
    options = bench.options
    with started(server, options.both_cores) as running:
        _pin(running.process.pid, options.server_core)
        for pid in running.pids():
            if pid != running.process.pid:
                _pin(pid, options.client_core)
        yield running


def _pin(pid: int, core: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(thread.name), {core})


@contextlib.contextmanager
def _both(bench: Bench) -> Iterator[list[Running]]:
    """With a process, and with threads: each as if it had the machine for itself."""
    with _apart(bench, PROCESSES) as one, started(TXCHANNELS, bench.options.both_cores) as other:
        yield [one, other]


def _compare_http(
    bench: Bench, what: str, up: list[Running], connections: int, daemon: Rounds
) -> Rounds:
    def rate(server: Running, seconds: float) -> Sample:
        pid = server.process.pid
        before, own = server.cpu_seconds(), cpu_seconds_of(pid)
        client = bench.free_client
        load = client.load(server, "/hello", connections=connections, seconds=seconds)
        used, own = server.cpu_seconds() - before, cpu_seconds_of(pid) - own
        daemon.add(server.name, Sample(own * 1e6 / load.requests))
        return Sample(load.requests_per_second, used * 1e6 / load.requests)

    bench.warm_up({server.name: partial(rate, server, 1.0) for server in up})
    daemon.values.clear()
    rates = {server.name: partial(rate, server, QUIET_SECONDS) for server in up}
    rounds = bench.quietest(what, rates, [daemon])
    bench.outcome.add(what, "requests/s", rounds)
    return rounds


def _send_from_outside(server: Running, path: str) -> dict[str, list[float]]:
    command = [sys.executable, str(BENCH / "outside.py"), str(server.port), path, GROUP]
    done = subprocess.run(
        [*command, str(SOCKETS), str(SENDS), str(WORKER_THREADS)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    try:
        times: dict[str, list[float]] = json.loads(done.stdout)
    except ValueError as error:
        raise BenchError(f"{server.name}: {done.stderr[-300:]!r}") from error
    return times


def _hop_times(bench: Bench) -> list[int]:
    cores = [str(bench.options.server_core), str(bench.options.client_core)]
    command = [sys.executable, str(BENCH / "local_hop.py"), str(HOPS), *cores]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        times: list[int] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BenchError(f"hop over the Unix socket: {error}") from error
    return times
