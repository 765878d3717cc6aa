"""Group sends: one message to many sockets, next to the bare sends of `bench/bare.py`."""

from __future__ import annotations

import statistics
from functools import partial

from bench.machine import BenchError
from bench.measure import Bench, Check, Rounds, Sample, paired_ratio
from bench.servers import BARE, TXCHANNELS, UVICORN, Running, Server

OURS = TXCHANNELS.name
#: What counts instead of the absolute target on a slow day: so much of the bare sends.
SHARE_OF_BARE = 0.6


def one_thousand(bench: Bench) -> None:
    """One broadcast at a time to 1,000 sockets; Channels 4 for comparison."""
    _fan_out(bench, (TXCHANNELS, BARE, UVICORN), sockets=1000, window=1, target=150_000)


def sixteen_in_flight(bench: Bench) -> None:
    """Sixteen broadcasts under way at once: frames for one socket can go out together."""
    _fan_out(bench, (TXCHANNELS, BARE), sockets=1000, window=16, target=350_000)


def ten_thousand(bench: Bench) -> None:
    """One broadcast at a time to all the sockets that a run may open (10,000)."""
    _fan_out(
        bench, (TXCHANNELS, BARE), sockets=bench.options.sockets, window=1, target=100_000, rounds=3
    )


def _fan_out(
    bench: Bench,
    servers: tuple[Server, ...],
    *,
    sockets: int,
    window: int,
    target: int,
    rounds: int | None = None,
) -> None:
    def deliveries_per_second(server: Running) -> Sample:
        answer = bench.client.sockets(
            server,
            "fanout",
            "/fan",
            connections=sockets,
            seconds=bench.options.seconds,
            pub_path="/pub",
            s=32,
            w=window,
            settle=1,
            cto=240,
        )
        server.wait_until_idle()
        if not answer["complete"]:
            raise BenchError(f"{server.name}: no broadcast reached all of {sockets:,} sockets")
        lost = answer["incomplete"] + answer["gaps"] + answer["out_of_order"]
        if lost:
            bench.note_failure(f"{server.name}: {lost} broadcasts incomplete or out of order")
        return Sample(answer["per_s"], answer["server_us_per_delivery"])

    with bench.running(*servers) as up:
        subjects = {server.name: partial(deliveries_per_second, server) for server in up}
        least = min(rounds or bench.options.rounds, bench.options.rounds)
        result = bench.interleave(subjects, rounds=least)
    what = f"group send to {sockets:,}, {window} in flight"
    bench.outcome.add(what, "deliveries/s", result)
    bench.outcome.checks.append(_check(what, result, target))


def _check(what: str, rounds: Rounds, target: int) -> Check:
    wanted = f"at least {target:,}/s, or {SHARE_OF_BARE:g} of bare sends"
    if OURS not in rounds.values:
        return Check(what, wanted, "no figure", passed=False)
    rate = statistics.median(rounds.values[OURS])
    share = paired_ratio(rounds.values, OURS, BARE.name)
    found = f"{rate:,.0f}/s, {share:.2f} of bare" if share is not None else f"{rate:,.0f}/s"
    passed = rate >= target or (share is not None and share >= SHARE_OF_BARE)
    return Check(what, wanted, found, passed=passed)
