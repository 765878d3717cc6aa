"""Event streams and polls of a real daemon: one process, several, several hosts."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.daemon import Daemon
from tests.integration.joined import wait
from tests.integration.listening import Listener, all_listening
from tests.servers import RedisServer

SITE = "tests.integration.events_site.settings"
WAIT = 60.0

pytestmark = pytest.mark.slow


class Site(Daemon):
    """A daemon of the site; `send` may go to another host of it."""

    def __init__(self, *options: str, layer: Any = None, command: str = "channels") -> None:
        environment = {} if layer is None else {"LAYER": json.dumps(layer)}
        super().__init__(SITE, *options, environment=environment, command=command)
        self._token = ""

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=WAIT, **more)

    def send(self, text: str, **parameters: Any) -> None:
        if not self._token:
            self._token = self.get("/page/").cookies["csrftoken"]
        headers = {"X-CSRFToken": self._token, "Cookie": f"csrftoken={self._token}"}
        response = httpx.post(
            f"{self.url}/send/",
            content=text.encode(),
            params=parameters,
            headers=headers,
            timeout=WAIT,
        )
        assert response.status_code == 204

    @property
    def members(self) -> int:
        return self.get("/members/").json()["members"]

    def check(self) -> None:
        for fault in ("Traceback", "Unhandled", "CRITICAL"):
            assert fault not in self.log, self.log


def redis_layer(server: RedisServer) -> Any:
    return {
        "BACKEND": "txchannels.layers.redis.RedisLayer",
        "CONFIG": {"hosts": [server.url]},
    }


@pytest.fixture(scope="module")
def memory() -> Iterator[list[Site]]:
    with Site("--threads=4") as site:
        yield [site, site]
        assert site.stop() == 0
        site.check()


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Site]]:
    with Site("--processes=2", "--threads=2") as site:
        yield [site, site]
        assert site.stop() == 0
        site.check()


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Site]]:
    """One that serves sockets alone, and one that does all."""
    with RedisServer() as server:
        layer = redis_layer(server)
        with Site("--no-workers", layer=layer) as front, Site("--threads=4", layer=layer) as whole:
            wait(lambda: front.get("/process/").status_code == 200, "a worker is found", WAIT)
            yield [front, whole]
            for site in (front, whole):
                assert site.stop() == 0
                site.check()


@pytest.mark.parametrize("layout", ["memory", "processes", "hosts"])
def test_one_group_reaches_sockets_streams_and_polls_alike(
    layout: str, request: pytest.FixtureRequest
) -> None:
    site, other = request.getfixturevalue(layout)
    before = other.members
    with ExitStack() as stack:
        socket = stack.enter_context(
            connect(f"ws://127.0.0.1:{site.port}/socket/", proxy=None, ping_interval=None)
        )
        stream = stack.enter_context(Listener(site, "/prices/?known=2", Last_Event_ID="1"))
        consumer = stack.enter_context(Listener(site, "/consumer/"))
        poll = stack.enter_context(Listener(site, "/poll/"))
        stream.wait_for("2")
        consumer.wait_for_head()
        wait(lambda: other.members == before + 4, "all four are members", WAIT)
        other.send("3", id=3)
        stream.wait_for("2", "3")
        consumer.wait_for("3")
        assert socket.recv(timeout=WAIT) == "3"
        assert json.loads(poll.wait_for_end().body) == [{"data": "3", "id": "3"}]
        assert stream.source.last_id == "3"
        wait(lambda: other.members == before + 3, "the poll has left", WAIT)
    wait(lambda: other.members == before, "all have left", WAIT)


def test_a_response_is_not_compressed_and_has_what_middleware_adds(memory: list[Site]) -> None:
    with Listener(memory[0], "/prices/", Accept_Encoding="gzip") as stream:
        stream.wait_for_head()
        assert "content-encoding" not in stream.fields
        assert stream.fields["content-type"] == "text/event-stream"
        assert stream.fields["set-cookie"].startswith("sessionid=")
        stream.wait(lambda one: one.source.beats)


def test_a_poll_without_news_is_answered_204(memory: list[Site]) -> None:
    response = memory[0].get("/poll/?timeout=0.5")
    assert (response.status_code, response.content) == (204, b"")
    assert memory[0].get("/poll/?known=2").json() == [
        {"data": "1", "id": "1"},
        {"data": "2", "id": "2"},
    ]


def test_head_is_answered_at_once(memory: list[Site]) -> None:
    response = httpx.head(f"{memory[0].url}/prices/", timeout=WAIT)
    assert response.headers["Content-Type"] == "text/event-stream"


def test_a_site_hears_of_those_that_leave(memory: list[Site]) -> None:
    [site, _] = memory
    with Listener(site, "/gone/") as watching:
        watching.wait_for_head()
        with Listener(site, "/prices/") as stream:
            stream.wait_for_head()
        watching.wait(lambda one: "/prices/" in one.texts)


def test_hundreds_of_streams_hold_no_thread(memory: list[Site]) -> None:
    [site, _] = memory
    threads = site.threads
    with ExitStack() as stack:
        streams = all_listening(stack, (Listener(site, "/prices/") for _ in range(400)))
        wait(lambda: site.members == 400, "all are members", WAIT)
        assert site.threads <= threads + 4
        site.send("to all", id=9)
        for stream in streams:
            stream.wait_for("to all")
    wait(lambda: site.members == 0, "all have left", WAIT)


@pytest.mark.parametrize("path", ["/prices/", "/consumer/"])
def test_one_that_does_not_read_is_dropped_and_no_other_waits(
    path: str, memory: list[Site]
) -> None:
    [site, _] = memory
    with Listener(site, path) as slow, Listener(site, path) as other:
        for one in (slow, other):
            one.wait_for_head()
        wait(lambda: site.members == 2, "both are members", WAIT)
        count = 0
        while site.members == 2:
            assert count < 200, "it was never dropped"
            site.send("x" * 200_000, id=count)
            count += 1
            other.wait(lambda one, count=count: one.source.last_id == str(count - 1))
        assert len(other.texts) == count


def test_a_reload_keeps_streams_open_and_the_new_code_sends_to_them(
    processes: list[Site],
) -> None:
    [site, _] = processes
    with Listener(site, "/prices/") as stream:
        stream.wait_for_head()
        former = {site.get("/process/").text for _ in range(20)}
        site.signal(signal.SIGHUP)
        wait(
            lambda: not former & {site.get("/process/").text for _ in range(20)},
            "only the new generation works",
            WAIT,
        )
        site.send("after", id=1)
        stream.wait_for("after")


def test_a_stop_ends_streams_in_order_and_says_when_to_come_back() -> None:
    with Site() as site, ExitStack() as stack:
        streams = all_listening(stack, (Listener(site, "/prices/") for _ in range(150)))
        poll = stack.enter_context(Listener(site, "/poll/"))
        wait(lambda: site.members == 151, "all are members", WAIT)
        site.signal(signal.SIGTERM)
        retries = set()
        for stream in streams:
            retries.add(stream.wait_for_end().source.retry)
        assert len(retries) > 10
        assert poll.wait_for_end().status == 204
        assert site.wait() == 0
        site.check()


def test_who_comes_back_is_sent_what_it_has_missed(memory: list[Site]) -> None:
    [site, _] = memory
    with Listener(site, "/prices/?known=3") as stream:
        stream.wait_for("1", "2", "3")
        last = stream.source.last_id
    with Listener(site, "/prices/?known=5", Last_Event_ID=last) as stream:
        stream.wait_for("4", "5")
