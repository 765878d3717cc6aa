"""Group sends: one message to many sockets, next to the bare sends of `bench/bare.py`."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial

from bench.machine import BenchError
from bench.measure import Bench, Check, Rounds, Sample, paired_ratio
from bench.servers import BARE, TXCHANNELS, UVICORN, Running, Server

OURS = TXCHANNELS.name
#: What counts instead of the absolute target on a slow day: so much of the bare sends.
SHARE_OF_BARE = 0.6


@dataclass(frozen=True)
class Load:
    """What is broadcast to how many."""

    sockets: int
    target: int
    window: int = 1
    publishers: int = 1
    most_rounds: int = 100

    def __str__(self) -> str:
        what = f"group send to {self.sockets:,}, {self.window} in flight"
        return what if self.window == 1 else f"{what} from {self.publishers}"


def one_thousand(bench: Bench) -> None:
    """One broadcast at a time to 1,000 sockets; Channels 4 for comparison."""
    _fan_out(bench, (TXCHANNELS, BARE, UVICORN), Load(1000, target=150_000))


def sixteen_in_flight(bench: Bench) -> None:
    """Sixteen broadcasts under way at once, from one socket and from sixteen.

    A socket's messages are handled one after another, so the broadcasts of one publisher
    follow each other; those of several can go out together.
    """
    for publishers in (1, 16):
        load = Load(1000, target=350_000, window=16, publishers=publishers)
        _fan_out(bench, (TXCHANNELS, BARE), load)


def ten_thousand(bench: Bench) -> None:
    """One broadcast at a time to all the sockets that a run may open (10,000)."""
    load = Load(bench.options.sockets, target=100_000, most_rounds=3)
    _fan_out(bench, (TXCHANNELS, BARE), load)


def _fan_out(bench: Bench, servers: tuple[Server, ...], load: Load) -> None:
    def deliveries_per_second(server: Running) -> Sample:
        answer = bench.client.sockets(
            server,
            "fanout",
            "/fan",
            connections=load.sockets,
            seconds=bench.options.seconds,
            pub_path="/pub",
            pubs=load.publishers,
            s=32,
            w=load.window,
            settle=1,
            cto=240,
        )
        server.wait_until_idle()
        if not answer["complete"]:
            raise BenchError(f"{server.name}: no broadcast reached all of {load.sockets:,} sockets")
        lost = answer["incomplete"]
        if load.publishers == 1:  # between several publishers there is no order to be kept
            lost += answer["gaps"] + answer["out_of_order"]
        if lost:
            bench.note_failure(f"{server.name}: {lost} broadcasts incomplete or out of order")
        return Sample(answer["per_s"], answer["server_us_per_delivery"])

    with bench.running(*servers) as up:
        subjects = {server.name: partial(deliveries_per_second, server) for server in up}
        rounds = min(load.most_rounds, bench.options.rounds)
        result = bench.interleave(subjects, rounds=rounds)
    bench.outcome.add(str(load), "deliveries/s", result)
    bench.outcome.checks.append(_check(load, result))


def _check(load: Load, rounds: Rounds) -> Check:
    what, target = str(load), load.target
    wanted = f"at least {target:,}/s, or {SHARE_OF_BARE:g} of bare sends"
    if OURS not in rounds.values:
        return Check(what, wanted, "no figure", passed=False)
    rate = statistics.median(rounds.values[OURS])
    share = paired_ratio(rounds.values, OURS, BARE.name)
    found = f"{rate:,.0f}/s, {share:.2f} of bare" if share is not None else f"{rate:,.0f}/s"
    passed = rate >= target or (share is not None and share >= SHARE_OF_BARE)
    return Check(what, wanted, found, passed=passed)
