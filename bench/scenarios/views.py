"""HTTP: how many requests a second each server answers."""

from __future__ import annotations

from bench.measure import AtLeast, AtMost, Bench
from bench.servers import DAPHNE, GRANIAN, GUNICORN, INLINE, TXCHANNELS, UVICORN

OURS = TXCHANNELS.name


def hello(bench: Bench) -> None:
    """The cost of a request: a view that does nothing, without middleware."""
    with bench.running(TXCHANNELS, GRANIAN, GUNICORN, UVICORN, DAPHNE) as up:
        for connections in (16, 64):
            what = f"hello, {connections} connections"
            rounds = bench.compare_http(what, "/hello", up, connections)
            for peer, factor in ((GRANIAN, 1), (GUNICORN, 2), (UVICORN, 6), (DAPHNE, 8)):
                bench.outcome.check_ratio(
                    f"{what}: against {peer.name}", rounds, OURS, peer.name, AtLeast(factor)
                )


def middleware(bench: Bench) -> None:
    """The same with the middleware that startproject sets."""
    servers = [
        server.variant(BENCH_MIDDLEWARE="default") for server in (TXCHANNELS, GRANIAN, GUNICORN)
    ]
    with bench.running(*servers) as up:
        for connections in (16, 64):
            what = f"middleware, {connections} connections"
            rounds = bench.compare_http(what, "/hello", up, connections)
            bench.outcome.check_ratio(
                f"{what}: against granian", rounds, OURS, GRANIAN.name, AtLeast(1)
            )


def sleep(bench: Bench) -> None:
    """Threads enough for views that wait, without being told."""
    with bench.running(TXCHANNELS, UVICORN) as up:
        rounds = bench.compare_http("sleep 50 ms, 64 connections", "/nap", up, 64)
    bench.outcome.check_ratio(
        "sleep 50 ms: against uvicorn", rounds, OURS, UVICORN.name, AtLeast(1)
    )


def orm(bench: Bench) -> None:
    """Database connections: closed after each request, or kept in long-lived threads."""
    plain = [TXCHANNELS, GUNICORN]
    kept = [server.variant("kept", BENCH_CONN_MAX_AGE="60") for server in plain]
    with bench.running(*plain, *kept) as up:
        rounds = bench.compare_http("one ORM read, 16 connections", "/note", up, 16)
    check = bench.outcome.check_ratio
    ours_kept, gunicorn_kept = (server.name for server in kept)
    check("ORM, CONN_MAX_AGE absent: against gunicorn", rounds, OURS, GUNICORN.name, AtLeast(1))
    check(
        "ORM, CONN_MAX_AGE=60: against gunicorn without",
        rounds,
        ours_kept,
        GUNICORN.name,
        AtLeast(2),
    )
    check(
        "ORM, CONN_MAX_AGE=60: against gunicorn with", rounds, ours_kept, gunicorn_kept, AtLeast(1)
    )


def bus(bench: Bench) -> None:
    """What the layer and the threads cost: the view called in the reactor's thread instead."""
    with bench.running(TXCHANNELS, INLINE) as up:
        for connections in (16, 64):
            what = f"bus, {connections} connections"
            rounds = bench.compare_http(what, "/hello", up, connections)
            bench.outcome.check_ratio(
                f"{what}: a straight call against normal", rounds, INLINE.name, OURS, AtMost(1.25)
            )
