"""An outage, seen by hosts without workers: what must cross hosts is refused at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.joined import Host, Notes, started, wait
from tests.integration.visiting import Echo, Visitor
from tests.servers import Cuttable, RedisServer

pytestmark = pytest.mark.slow

#: Until a server that says nothing any more is known to be away: far above what that takes
#: (two to three seconds), far below the timeout of an answer (two minutes).
NOTICED_SECONDS = 20.0
#: Far above what any answer takes, however it ends, and far below the timeout of one.
PATIENCE_SECONDS = 10.0
#: Far below any timeout, far above what a refusal takes; the quickest of so many must keep it,
#: for on a busy machine each may be held up.
AT_ONCE_SECONDS = 1.0
TRIES = 5
#: How often a request may be refused after the server is back: some thirty take a second, and
#: fewer on a slow machine.
REFUSALS = 150
#: So many batches a host has on their way to a server, at most.
MAX_BATCHES = 2

WORKER = "channels-worker"


class Site:
    """A front, its worker, and the server between them, behind a line that can be cut."""

    def __init__(self, server: RedisServer, line: Cuttable, notes: Notes) -> None:
        url = f"redis://127.0.0.1:{line.port}"
        self.server = server
        self.line = line
        self.notes = notes
        self.front = Host("front", url, notes, "--no-workers")
        self.worker = Host("worker", url, notes, "--threads=8", command=WORKER)

    def answers(self) -> bool:
        return self.front.get("hello").status_code == 200


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    notes = Notes(tmp_path_factory.mktemp("notes"))
    with RedisServer() as server, Cuttable(server.port) as line:
        site = Site(server, line, notes)
        with started(site.worker, site.front):
            wait(site.answers, "the front finds the worker")
            yield site


def refused(site: Site) -> None:
    """The front refuses, at once."""
    seconds = []
    for _ in range(TRIES):
        begun = time.monotonic()
        response = site.front.get("hello")
        seconds.append(time.monotonic() - begun)
        assert response.status_code == 503
        assert "The server cannot reach the application now" in response.text
    assert min(seconds) < AT_ONCE_SECONDS


def heard_from_redis(site: Site) -> None:
    """Wait until the front has had Redis' answer to all that it has sent until now.

    A worker may be sooner; and what has no answer when the server is lost is given up. Answers
    come in order, and no more is sent while as many batches as may be on their way are.
    """
    for _ in range(MAX_BATCHES):
        wait(site.answers, "the front answers")


def test_requests_are_refused_at_once_while_it_is_away(site: Site) -> None:
    site.line.cut()
    wait(lambda: site.front.get("hello").status_code == 503, "a refusal")
    refused(site)
    site.line.mend()
    answers: list[bool] = []

    def answers_again() -> bool:
        answers.append(site.answers())
        return answers[-1]

    wait(answers_again, "the front answers again")
    assert len(answers) < REFUSALS


def test_a_server_that_says_nothing_any_more_is_noticed_soon(site: Site) -> None:
    site.line.silence()
    begun = time.monotonic()
    assert site.front.get("hello").status_code == 503
    seconds = time.monotonic() - begun
    print(f"\nsilence: refused after {seconds:.2f} s")  # noqa: T201
    assert seconds < NOTICED_SECONDS
    refused(site)
    site.line.mend()
    begun = time.monotonic()
    wait(site.answers, "the front answers again")
    print(f"silence: back after {time.monotonic() - begun:.2f} s")  # noqa: T201


def test_sockets_whose_messages_were_lost_go_on(site: Site) -> None:
    """Each has one under way at any moment, to the worker or back."""
    socket_count = 8
    sockets = [Echo(site.front, patience=1.0) for _ in range(socket_count)]
    for socket in sockets:
        socket.pause = 0
        socket.start()
    try:
        for outage in (site.line.cut, site.line.silence):
            for socket in sockets:
                socket.goes_on()
            outage()
            wait(lambda: site.front.get("hello").status_code == 503, "it is noticed")
            site.line.mend()
            wait(site.answers, "the front answers again")
        for socket in sockets:
            back = sum(socket.back.values())
            wait(lambda one=socket, n=back: sum(one.back.values()) > n + 20, "it goes on")
            assert not socket.failures
            assert set(socket.back.values()) == {1}, "nothing came back twice"
        assert not site.notes["disconnects"]
    finally:
        for socket in sockets:
            socket.__exit__()


def test_sockets_whose_server_was_killed_go_on(site: Site) -> None:
    """The answer to one page may be what is lost, on its way when the server was killed."""
    visitor = Visitor(site.front, patience=PATIENCE_SECONDS)
    with Echo(site.front, patience=1.0) as socket, visitor:
        socket.goes_on()
        site.server.kill()
        try:
            wait(lambda: visitor.statuses[503], "a refusal")
        finally:
            site.server.start()
        before = visitor.statuses[200]
        wait(lambda: visitor.statuses[200] > before + 5, "the front answers again")
        socket.goes_on()
        assert set(visitor.statuses) == {200, 503}
        assert not visitor.failures
        assert visitor.given_up <= 1


def test_a_socket_is_told_what_its_consumer_did_before_the_outage_was_over(
    site: Site, tmp_path: Path
) -> None:
    """A consumer that runs through an outage: its socket does not wait for it afterwards."""
    with site.front.connect("gate") as socket:
        gate = tmp_path / "gate"
        socket.send(str(gate))
        wait(lambda: site.notes["waiting"], "the consumer waits")
        heard_from_redis(site)
        site.line.cut()
        wait(lambda: site.front.get("hello").status_code == 503, "it is noticed")
        site.line.mend()
        wait(site.answers, "the front answers again")
        socket.send("next")
        assert socket.recv(30) == "next"
        gate.touch()
        assert socket.recv(30) == str(gate)


def test_a_request_that_runs_through_an_outage_is_answered(site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(site.front.get("wait", gate=str(gate))))
    waiting = len(site.notes["waiting"])
    asking.start()
    wait(lambda: len(site.notes["waiting"]) > waiting, "the view waits")
    heard_from_redis(site)
    site.line.cut()
    wait(lambda: site.front.get("hello").status_code == 503, "it is noticed")
    site.line.mend()
    wait(site.answers, "the front answers again")
    gate.touch()
    asking.join(30)
    assert [one.text for one in answers] == ["waited on worker"]


def test_the_log_tells_each_loss_and_return_once(site: Site) -> None:
    for host in (site.front, site.worker):
        wait(lambda one=host: is_back(told_by(one)), "its log tells of its return")
        told = told_by(host)
        losses = [line for line in told if " is lost: " in line]
        returns = [line for line in told if " is connected" in line]
        assert len(returns) == len(losses) + 1, "\n".join(told)
        assert len(told) < 6 + 4 * len(losses)


def told_by(host: Host) -> list[str]:
    return [line for line in host.log.splitlines() if "txchannels.layers.redis.link" in line]


def is_back(told: list[str]) -> bool:
    """Whether the last that is told of a loss or a return is a return."""
    turns = [line for line in told if " is lost: " in line or " is connected" in line]
    return " is connected" in turns[-1]
