"""Several processes joined through Redis: work elsewhere, groups on two daemons, one hop.

Two daemons have a core each; Redis and the client run on whichever has time for them.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench import counters
from bench.machine import BENCH, BUILD, BenchError, free_port_pair
from bench.measure import QUIET_SECONDS, AtLeast, AtMost, Bench, Rounds, Sample
from bench.servers import FRONT, REDIS, TXCHANNELS, UVICORN, WORKER, Running, Server, started

OURS = TXCHANNELS.name
#: Requests a second of Daphne 1.4 with asgi_redis and two workers, on such a machine.
ORIGINAL = 540
HOPS = 1000
WARM_UP_SENDS = 1
#: Members on each of two daemons, in the small case.
FEW = 50
#: How much more of something still counts as the same: the quiet time is never quite quiet.
SAME = 1.1


def hello(bench: Bench) -> None:
    """The hello view on another host: one daemon without workers, and one worker."""
    with bench.noting_failures(), _front_and_worker(bench) as front:
        for connections in (8, 64):
            what = f"hello through Redis, {connections} connections"
            rates, medians = _load(bench, what, front, connections)
            bench.outcome.add(what, "requests/s", rates)
            bench.outcome.add(f"{what}: median", "ms", medians)
            check = bench.outcome.check_value
            check(what, rates, OURS, "requests/s", AtLeast(4 * ORIGINAL))
            if connections == 8:
                check(f"{what}: median", medians, OURS, "ms", AtMost(3))


def hop(bench: Bench) -> None:
    """From a send in one process to the delivery in another, one message at a time."""
    slow = Rounds()

    def median(redis: Running) -> Sample:
        times = _hop_times(bench, redis)
        slow.add(OURS, Sample(statistics.quantiles(times, n=100)[98] / 1e6))
        return Sample(statistics.median(times) / 1e6)

    with bench.noting_failures(), started(REDIS, bench.options.both_cores) as redis:
        rounds = bench.quietest("hop through Redis", {OURS: partial(median, redis)}, [slow])
        bench.outcome.add("hop through Redis: median", "ms", rounds)
        bench.outcome.add("hop through Redis: 99th percentile", "ms", slow)
        bench.outcome.check_value("hop through Redis: median", rounds, OURS, "ms", AtMost(0.5))


def group(bench: Bench) -> None:
    """Group sends to sockets on two daemons: what Redis sees of one, and how long it takes."""
    with bench.noting_failures(), _pairs(bench) as pairs:
        few = _send_to_groups(bench, pairs, 2 * FEW, bench.options.rounds)
        many = _send_to_groups(bench, pairs, bench.options.sockets, min(2, bench.options.rounds))
        members = f"2 x {bench.options.sockets // 2:,}"
        for what, small, large in (
            ("commands", few.commands, many.commands),
            ("bytes", few.bytes, many.bytes),
        ):
            both = Rounds()
            both.values = {"few": small.values.get(OURS, []), "many": large.values.get(OURS, [])}
            bench.outcome.check_ratio(
                f"Redis {what} of a group send to {members}: against 2 x {FEW}",
                both,
                "many",
                "few",
                AtMost(SAME),
            )
        bench.outcome.check_ratio(
            f"group send to {members}, last delivery: {UVICORN.name}'s time against ours",
            Rounds(many.times.values),
            UVICORN.name,
            OURS,
            AtLeast(3),
        )


def local(bench: Bench) -> None:
    """A host that has workers of its own: what the Redis layer costs it."""
    options = bench.options
    with bench.noting_failures(), started(REDIS, str(options.client_core)) as redis:
        joined = TXCHANNELS.variant("with Redis", BENCH_REDIS=_url(redis))
        with bench.running(TXCHANNELS, joined) as up:
            for connections in (16, 64):
                what = f"hello on a host with workers, {connections} connections"
                rounds = bench.compare_http(what, "/hello", up, connections)
                bench.outcome.check_ratio(
                    f"{what}: Redis layer against memory layer",
                    rounds,
                    joined.name,
                    OURS,
                    AtLeast(0.95),
                )


def _url(redis: Running) -> str:
    return f"redis://127.0.0.1:{redis.port}/0"


@contextlib.contextmanager
def _front_and_worker(bench: Bench) -> Iterator[Running]:
    options = bench.options
    with started(REDIS, options.both_cores) as redis:
        worker = WORKER.variant(BENCH_REDIS=_url(redis))
        front = FRONT.variant(BENCH_REDIS=_url(redis))
        with (
            started(worker, str(options.client_core)) as working,
            started(front, str(options.server_core)) as running,
        ):
            running.others += [working, redis]
            yield running


def _load(bench: Bench, what: str, front: Running, connections: int) -> tuple[Rounds, Rounds]:
    """Requests a second, and the median times of their answers in milliseconds."""
    medians = Rounds()

    def rate(seconds: float) -> Sample:
        before = front.cpu_seconds()
        load = bench.free_client.load(front, "/hello", connections=connections, seconds=seconds)
        used = front.cpu_seconds() - before
        medians.add(OURS, Sample(load.median_ms))
        return Sample(load.requests_per_second, used * 1e6 / load.requests)

    bench.warm_up({OURS: partial(rate, 1.0)})
    medians.values.clear()
    return bench.quietest(what, {OURS: partial(rate, QUIET_SECONDS)}, [medians]), medians


def _hop_times(bench: Bench, redis: Running) -> list[int]:
    cores = [str(bench.options.server_core), str(bench.options.client_core)]
    command = [sys.executable, str(BENCH / "hop.py"), _url(redis), str(HOPS), *cores]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        times: list[int] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise BenchError("hop: a message did not arrive") from error
    except ValueError as error:
        raise BenchError(f"hop: {done.stderr[-300:]!r}") from error
    if len(times) != HOPS:
        raise BenchError(f"hop: {len(times)} of {HOPS} messages arrived: {done.stderr[-300:]}")
    return times


@dataclass(frozen=True)
class Pair:
    """Two daemons on ports in a row, and their Redis. The first one speaks for all three."""

    first: Running
    redis: Running


@dataclass(frozen=True)
class GroupSends:
    """Of one group send: milliseconds to the last delivery, and what Redis counted."""

    times: Rounds = field(default_factory=Rounds)
    commands: Rounds = field(default_factory=Rounds)
    bytes: Rounds = field(default_factory=Rounds)


@contextlib.contextmanager
def _pairs(bench: Bench) -> Iterator[list[Pair]]:
    """Ours and Channels 4 on uvicorn, side by side, with a Redis each."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_pair(bench, server)) for server in (TXCHANNELS, UVICORN)]


@contextlib.contextmanager
def _pair(bench: Bench, server: Server) -> Iterator[Pair]:
    options, port = bench.options, free_port_pair()
    with started(REDIS.variant(f"of {server.name}"), options.both_cores) as redis:
        one = server.variant(BENCH_REDIS=_url(redis))
        two = one.variant("two")
        with (
            started(one, str(options.server_core), port) as first,
            started(two, str(options.client_core), port + 1) as second,
        ):
            first.others += [second, redis]
            yield Pair(first, redis)


def _send_to_groups(bench: Bench, pairs: list[Pair], sockets: int, rounds: int) -> GroupSends:
    found = GroupSends()

    def last_delivery(pair: Pair) -> Sample:
        answer, commands, size = _broadcast(bench, pair, sockets)
        found.commands.add(pair.first.name, Sample(commands))
        found.bytes.add(pair.first.name, Sample(size))
        milliseconds = answer["last_delivery_us"]["p50"] / 1000
        return Sample(milliseconds, answer["server_us_per_delivery"])

    subjects = {pair.first.name: partial(last_delivery, pair) for pair in pairs}
    times = bench.interleave(subjects, rounds=rounds)
    found.times.values.update(times.values)
    found.times.cpu.update(times.cpu)
    what = f"group send to 2 x {sockets // 2:,}"
    bench.outcome.add(f"{what}: last delivery", "ms", found.times)
    bench.outcome.add(f"{what}: Redis commands", "of one", found.commands)
    bench.outcome.add(f"{what}: Redis bytes", "of one", found.bytes)
    return found


def _broadcast(bench: Bench, pair: Pair, sockets: int) -> tuple[dict[str, Any], float, float]:
    """Send one message after another to *sockets* sockets, every other one of each daemon.

    Returns: wsload's answer, and the Redis commands and bytes of one.
    """
    counts = BUILD / "redis-counts"
    counts.unlink(missing_ok=True)
    program = [sys.executable, "-m", "bench.counters", str(pair.redis.port), str(counts)]
    answer = bench.free_client.sockets(
        pair.first,
        "fanout",
        "/fan",
        connections=sockets,
        seconds=bench.options.seconds,
        pub_path="/pub",
        nports=2,
        s=32,
        settle=1,
        cto=280,
        bto=60,
        bmax=120,
        warm_b=WARM_UP_SENDS,
        hook=shlex.join(program),
    )
    pair.first.wait_until_idle()
    lost = answer["incomplete"] + answer["gaps"] + answer["out_of_order"]
    if lost or not answer["complete"]:
        raise BenchError(
            f"{pair.first.name}: of {answer['broadcasts']} broadcasts to {sockets:,} sockets, "
            f"{answer['complete']} were complete, {lost} not, or out of order"
        )
    sends = answer["broadcasts"] + WARM_UP_SENDS
    return answer, *counters.per_send(counters.read(counts), sends)
