"""Every scenario by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.measure import Bench
from bench.scenarios import fanout, processes, redis, sockets, streams, views

__all__ = ["SCENARIOS", "Scenario"]


@dataclass(frozen=True)
class Scenario:
    """A question to the servers."""

    name: str
    title: str
    run: Callable[[Bench], None]


SCENARIOS = (
    Scenario("hello", "Hello view, no middleware", views.hello),
    Scenario("middleware", "Hello view, Django's default middleware", views.middleware),
    Scenario("sleep", "View that sleeps 50 ms, 64 connections", views.sleep),
    Scenario("orm", "View with one ORM read (SQLite), 16 connections", views.orm),
    Scenario("bus", "The bus: normal against a straight call", views.bus),
    Scenario("block", "20 sockets whose consumers each block 0.2 s", sockets.block),
    Scenario("echo", "Echo through a synchronous consumer, 50 sockets", sockets.echo),
    Scenario(
        "slow-echo", "Echo through a consumer that sleeps 10 ms, 50 sockets", sockets.slow_echo
    ),
    Scenario("idle", "Idle sockets, accepted by a consumer", sockets.idle),
    Scenario("busy", "Echo beside four threads that burn CPU", sockets.busy),
    Scenario("fanout-1000", "Group send to 1,000 sockets", fanout.one_thousand),
    Scenario("fanout-16", "Group send to 1,000 sockets, 16 in flight", fanout.sixteen_in_flight),
    Scenario("fanout-10000", "Group send to 10,000 sockets", fanout.ten_thousand),
    Scenario("event-streams", "Event streams of one group, next to WebSockets", streams.events),
    Scenario("processes-hello", "Hello through a worker process", processes.hello),
    Scenario("processes-echo", "Echo through a worker process", processes.echo),
    Scenario("processes-busy", "Group send beside busy worker processes", processes.busy),
    Scenario("processes-hop", "One message over the Unix socket", processes.hop),
    Scenario("redis-local", "Hello on a host with workers, with and without Redis", redis.local),
    Scenario("redis-hello", "Hello through Redis, front and worker apart", redis.hello),
    Scenario("redis-hop", "One message through Redis", redis.hop),
    Scenario("redis-group", "Group send to two daemons, next to channels_redis", redis.group),
)
