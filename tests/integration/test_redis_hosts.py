"""Sockets on one host, consumers on others: `--no-workers` and `channels-worker`, and mixtures."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.joined import WAIT, Host, Notes, started, wait
from tests.integration.visiting import Loop, Member, Teller, Visitor, first_to_all, settled
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

WORKER = "channels-worker"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    return Notes(tmp_path_factory.mktemp("notes"))


@pytest.fixture(scope="module")
def fronts(server: RedisServer, notes: Notes) -> Iterator[list[Host]]:
    """Two hosts that serve sockets, and one that works; `worker` is started beside it."""
    fronts = [Host(name, server.url, notes, "--no-workers") for name in ("left", "right")]
    worker = Host("steady", server.url, notes, "--threads=4", command=WORKER)
    with started(worker, *fronts):
        for front in fronts:
            wait(lambda one=front: one.get("hello").status_code == 200, "a worker is found")
        yield fronts


@pytest.fixture
def front(fronts: list[Host]) -> Host:
    return fronts[0]


class Asking(threading.Thread):
    """One request in a thread of its own."""

    def __init__(self, host: Host, path: str, **parameters: str) -> None:
        super().__init__()
        self._host, self._path, self._parameters = host, path, parameters
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        self.answer = self._host.get(self._path, **self._parameters)

    def ended(self) -> httpx.Response:
        self.join(WAIT)
        assert self.answer is not None
        return self.answer


# What a worker does for a front


def test_a_page_comes_from_the_worker(front: Host) -> None:
    assert front.get("hello").text == "Hello from steady"
    assert front.get("nowhere").status_code == 404


def test_an_upload_streams_to_the_worker(front: Host) -> None:
    body = b"".join(f"{number:09}\n".encode() for number in range(500_000))
    answer = httpx.post(f"{front.url}/upload", content=body, timeout=WAIT).json()
    digest = hashlib.sha256(body).hexdigest()
    assert answer == {"size": len(body), "sha256": digest, "host": "steady"}


def test_a_response_streams_from_the_worker(front: Host, tmp_path: Path) -> None:
    gate, count = tmp_path / "gate", 100
    url = f"{front.url}/parts?gate={gate}&count={count}"
    with httpx.stream("GET", url, timeout=WAIT) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"begun\n"
        gate.touch()
        rest = b"".join(pieces)
    assert rest == b"".join(f"{one:08}".encode().ljust(50_000, b".") for one in range(count))


def test_a_client_that_leaves_ends_the_stream_on_the_worker(front: Host, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with ExitStack() as stack:
        for _ in range(4):
            url = f"{front.url}/parts?gate={gate}&count=100000"
            pieces = stack.enter_context(httpx.stream("GET", url, timeout=WAIT)).iter_raw()
            assert next(pieces) == b"begun\n"
        gate.touch()
    assert front.get("hello").status_code == 200, "the four threads are free again"


def test_a_socket_gets_an_echo_of_each_message(front: Host) -> None:
    with front.connect("echo") as socket:
        for text in ["", "h\xe9llo", "x" * 70_000, "y" * 900_000]:
            socket.send(text)
            assert socket.recv(WAIT) == text


def test_a_socket_is_refused_by_the_worker(front: Host) -> None:
    with pytest.raises(InvalidStatus) as caught, front.connect("deny"):
        pass
    assert caught.value.response.status_code == 403


def test_a_sockets_messages_are_handled_one_after_the_other(front: Host, notes: Notes) -> None:
    count = 50
    with front.connect("order") as socket:
        for number in range(count):
            socket.send(str(number))
        assert [socket.recv(WAIT) for _ in range(count)] == [str(one) for one in range(count)]
    words = [line[0] for line in notes["order"]]
    assert words == ["connected", *map(str, range(count))]


def test_a_group_reaches_the_sockets_of_all_fronts_once(fronts: list[Host]) -> None:
    with ExitStack() as stack:
        members = [stack.enter_context(Member(front)) for front in fronts for _ in range(3)]
        tellers = [stack.enter_context(Teller(front)) for front in fronts]
        settled(tellers, members)
        texts = [f"said by {number}" for number in range(len(members))]
        for member, text in zip(members, texts, strict=True):
            member.tell(text)
        for member in members:
            wait(lambda one=member: all(text in one.got for text in texts), "all have come")
            assert {member.got[text] for text in texts} == {1}


# Several workers


def test_work_goes_to_the_worker_that_is_idle(
    fronts: list[Host], server: RedisServer, notes: Notes, tmp_path: Path
) -> None:
    """The other one has its only thread blocked, and that of the steady one, too."""
    gate = tmp_path / "gate"
    blocking = [Asking(fronts[0], "wait", gate=str(gate)) for _ in range(4)]
    wait(lambda: len(notes["waiting"]) >= 4, "the steady worker is full")
    options = ("--threads=1",)
    busy = Host("busy", server.url, notes, *options, command=WORKER)
    idle = Host("idle", server.url, notes, *options, command=WORKER)
    with started(busy):
        blocking.append(Asking(fronts[1], "wait", gate=str(gate)))
        wait(lambda: ["busy"] in notes["waiting"], "the busy worker is full")
        with started(idle):
            for front in fronts * 5:
                assert front.get("hello").text == "Hello from idle"
            gate.touch()
            told = Counter(one.ended().text for one in blocking)
    assert told == {"waited on steady": 4, "waited on busy": 1}


def test_two_workers_share_the_work(
    fronts: list[Host], server: RedisServer, notes: Notes, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    second = Host("second", server.url, notes, "--threads=4", command=WORKER)
    before = len(notes["waiting"])
    with started(second):
        asking = [Asking(fronts[number % 2], "wait", gate=str(gate)) for number in range(8)]
        wait(lambda: len(notes["waiting"]) == before + 8, "all eight run at once")
        gate.touch()
        told = Counter(one.ended().text for one in asking)
    assert told == {"waited on steady": 4, "waited on second": 4}


def test_a_worker_that_is_killed_while_idle_costs_no_request(
    front: Host, server: RedisServer, notes: Notes
) -> None:
    victim = Host("victim", server.url, notes, "--threads=4", command=WORKER)
    with started(victim):
        wait(lambda: front.get("hello").text == "Hello from victim", "it works, too")
        victim.kill()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: front.get("hello"), range(40)))
    assert {answer.text for answer in answers} == {"Hello from steady"}


def test_a_worker_that_is_killed_at_work_costs_only_that(
    server: RedisServer, notes: Notes, tmp_path: Path
) -> None:
    """Nobody answers what it has begun: 503 after the response timeout. A socket goes on."""
    config = {"hosts": [server.url], "prefix": "killed:"}
    front = Host("third", config, notes, "--no-workers", "--response-timeout=3")
    victim = Host("victim", config, notes, "--threads=4", command=WORKER)
    rescue = Host("rescue", config, notes, "--threads=4", command=WORKER)
    gate = tmp_path / "never"
    with started(victim, front), front.connect("echo") as socket:
        wait(lambda: front.get("hello").status_code == 200, "the worker is found")
        socket.send("before")
        assert socket.recv(WAIT) == "before"
        before = len(notes["waiting"])
        asking = Asking(front, "wait", gate=str(gate))
        wait(lambda: len(notes["waiting"]) > before, "the view waits")
        with started(rescue):
            victim.kill()
            socket.send("after")
            assert socket.recv(WAIT) == "after"
            assert front.get("hello").text == "Hello from rescue"
            assert asking.ended().status_code == 503


def test_a_worker_that_is_stopped_finishes_what_it_has_begun(
    front: Host, server: RedisServer, notes: Notes, tmp_path: Path
) -> None:
    gates = [tmp_path / "one", tmp_path / "two"]
    before = len(notes["waiting"])
    blocking = [Asking(front, "wait", gate=str(gates[0])) for _ in range(4)]
    wait(lambda: len(notes["waiting"]) == before + 4, "the steady worker is full")
    leaving = Host("leaving", server.url, notes, command=WORKER)
    with started(leaving):
        asking = Asking(front, "wait", gate=str(gates[1]))
        wait(lambda: ["leaving"] in notes["waiting"], "the view waits")
        leaving.signal(15)
        leaving.wait_for("SIGTERM: stopping, within")
        gates[0].touch()
        with Visitor(front) as visitor:
            visitor.goes_on()
            gates[1].touch()
            assert leaving.wait() == 0
            visitor.goes_on()
        assert asking.ended().text == "waited on leaving"
        assert {one.ended().text for one in blocking} == {"waited on steady"}
        assert set(visitor.statuses) == {200}


def test_workers_that_come_and_go_under_load_cost_no_request(
    front: Host, server: RedisServer, notes: Notes
) -> None:
    with ExitStack() as stack:
        visitors = [stack.enter_context(Visitor(front)) for _ in range(8)]
        for number in range(3):
            passing = Host(f"passing-{number}", server.url, notes, command=WORKER)
            with started(passing):
                for visitor in visitors:
                    visitor.goes_on()
                assert passing.stop() == 0
    assert {status for visitor in visitors for status in visitor.statuses} == {200}


# A front that ends


def test_a_front_that_is_stopped_has_its_disconnects_run_on_the_worker(
    fronts: list[Host], server: RedisServer, notes: Notes
) -> None:
    leaving = Host("leaving-front", server.url, notes, "--no-workers")
    with started(leaving), ExitStack() as stack:
        sockets = [stack.enter_context(leaving.connect("echo")) for _ in range(5)]
        for socket in sockets:
            socket.send("hello")
            assert socket.recv(WAIT) == "hello"
        assert leaving.stop() == 0
        for socket in sockets:
            with pytest.raises(ConnectionClosed) as caught:
                socket.recv(WAIT)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012

        def told() -> list[list[str]]:
            """Of these; clients of tests before this one may only now be known to have left."""
            return [line for line in notes["disconnects"] if line[2] == "1012"]

        wait(lambda: len(told()) >= 5, "all are disconnected")
        assert told() == [["steady", "/echo", "1012"]] * 5


def test_the_members_of_a_front_that_was_killed_harm_nobody(
    fronts: list[Host], server: RedisServer, notes: Notes
) -> None:
    victim = Host("victim-front", server.url, notes, "--no-workers")
    with started(victim), ExitStack() as stack:
        members = [stack.enter_context(Member(one)) for one in (victim, *fronts)]
        tellers = [stack.enter_context(Teller(front)) for front in fronts]
        settled(tellers, members)
        victim.kill()
        first_to_all(tellers, members[1:], max(members[1].when.values()))
        for loop in (*tellers, *members[1:]):
            goes_on(loop)


def goes_on(loop: Loop) -> None:
    loop.goes_on()
