"""WebSocket, one socket at a time: echo, blocking consumers, idle sockets, busy neighbours."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.machine import BenchError
from bench.measure import AtLeast, AtMost, Bench, Rounds, Sample
from bench.servers import DAPHNE, TXCHANNELS, UVICORN, Running, Server

OURS = TXCHANNELS.name
PEERS = (UVICORN, DAPHNE)
#: Views that compute while the echo is measured.
BURNERS = 4


def block(bench: Bench) -> None:
    """Whether sockets wait for each other: all send at once, until the last is answered."""

    def all_replied(server: Running) -> Sample:
        answer = bench.client.sockets(server, "burst", "/block", connections=20, seconds=20, s=32)
        if not answer["all_replied"]:
            raise BenchError(f"{server.name}: {answer['replied']} of 20 replies in 20 s")
        return Sample(answer["all_replied_ms"] / 1000)

    rounds = _compare(bench, (TXCHANNELS, *PEERS), all_replied)
    bench.outcome.add("20 sockets block 0.2 s each", "s", rounds)
    bench.outcome.check_value("20 sockets block 0.2 s each", rounds, OURS, "s", AtMost(0.3))


def echo(bench: Bench) -> None:
    """The cost of a message to a consumer and back."""
    rounds = _echo(bench, "echo, 50 sockets", "/echo")
    check = bench.outcome.check_ratio
    check("echo: against uvicorn", rounds, OURS, UVICORN.name, AtLeast(2))
    check("echo: against daphne", rounds, OURS, DAPHNE.name, AtLeast(3))


def slow_echo(bench: Bench) -> None:
    """The same with a consumer that waits for something."""
    rounds = _echo(bench, "echo after 10 ms, 50 sockets", "/slow")
    for peer in PEERS:
        bench.outcome.check_ratio(
            f"echo after 10 ms: against {peer.name}", rounds, OURS, peer.name, AtLeast(20)
        )


def idle(bench: Bench) -> None:
    """What a socket costs that only listens, and how fast sockets are taken.

    Each server is started anew, and alone: its memory is compared with that before the
    first socket.
    """
    sockets = bench.options.sockets
    memory = Rounds()
    rate = Rounds()
    for server in (TXCHANNELS, *PEERS):
        with bench.running(server) as up:
            for running in up:
                try:
                    answer = bench.client.sockets(
                        running, "hold", "/hold", connections=sockets, seconds=1, settle=2, cto=240
                    )
                except BenchError as error:
                    bench.note_failure(str(error))
                    continue
                memory.add(server.name, Sample(answer["rss_per_conn_kb"]))
                cpu = answer["handshake_server_cpu_s"] * 1e6 / sockets
                rate.add(server.name, Sample(answer["handshakes_per_s"], cpu))
    bench.outcome.add(f"memory of a socket, {sockets:,} idle", "KiB", memory)
    bench.outcome.add(f"sockets accepted by a consumer, {sockets:,}", "1/s", rate)
    check = bench.outcome.check_value
    check(f"{sockets:,} idle sockets: memory of each", memory, OURS, "KiB", AtMost(14))
    check(f"{sockets:,} idle sockets: accepted", rate, OURS, "1/s", AtLeast(2000))


def busy(bench: Bench) -> None:
    """How long an echo takes beside views that hold the interpreter's lock."""
    with bench.running(TXCHANNELS) as up:

        def median_echo(server: Running) -> Sample:
            with _burning(server, bench.options.seconds + 3):
                answer = bench.client.sockets(
                    server,
                    "echo",
                    "/echo",
                    connections=10,
                    seconds=bench.options.seconds,
                    s=32,
                    k=1,
                    msg_rate=50,
                    warm=1,
                )
            return Sample(answer["latency_us"]["p50"] / 1000)

        subjects = {server.name: partial(median_echo, server) for server in up}
        rounds = bench.interleave(subjects)
    bench.outcome.add("median echo beside four busy threads", "ms", rounds)
    bench.outcome.check_value(
        "median echo beside four busy threads", rounds, OURS, "ms", AtMost(10)
    )


@contextlib.contextmanager
def _burning(server: Running, seconds: float) -> Iterator[None]:
    """Have four of the server's threads compute for *seconds*, and wait for their ends."""
    answered: list[int] = []

    def burn() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=seconds * 4 + 30)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(connection),
        ):
            connection.request("GET", f"/burn?seconds={seconds}")
            answered.append(connection.getresponse().status)

    threads = [threading.Thread(target=burn, daemon=True) for _ in range(BURNERS)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
    if answered != [200] * BURNERS:
        raise BenchError(f"{server.name}: the busy views answered {answered}")


def _echo(bench: Bench, what: str, path: str) -> Rounds:
    def rate(server: Running) -> Sample:
        answer = bench.client.sockets(
            server, "echo", path, connections=50, seconds=bench.options.seconds, s=32, k=1
        )
        return Sample(answer["per_s"], answer["server_us_per_msg"])

    rounds = _compare(bench, (TXCHANNELS, *PEERS), rate)
    bench.outcome.add(what, "messages/s", rounds)
    return rounds


def _compare(
    bench: Bench, servers: tuple[Server, ...], measure: Callable[[Running], Sample]
) -> Rounds:
    """Interleave one measurement over *servers*, each of them idle when its turn comes."""
    with bench.running(*servers) as up:

        def turn(server: Running) -> Sample:
            value = measure(server)
            server.wait_until_idle()
            return value

        return bench.interleave({server.name: partial(turn, server) for server in up})
