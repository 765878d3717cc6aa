"""A link that is lost: what the old connection may not take, the way back, and the end."""

from __future__ import annotations

import pytest

from tests.layers.redis.hubs import Site
from tests.servers import Cuttable, RedisServer, wait_until
from txchannels.layers.redis import RedisLayer
from txchannels.layers.redis import link as link_module


class Leaky(Cuttable):
    """A line that can forget its connections, and close neither end: both wait for ever."""

    def forget_all(self) -> None:
        with self._lock:
            self._forgotten = list(self._ends)
            for end in self._forgotten:
                self._selector.unregister(end)
            self._ends.clear()

    def __exit__(self, *of: object) -> None:
        super().__exit__(*of)
        for end in getattr(self, "_forgotten", []):
            end.close()


class Through:
    """A server as it is reached through a line."""

    def __init__(self, server, line):
        self.client = server.client
        self.url = f"redis://127.0.0.1:{line.port}/0"


@pytest.fixture
def server():
    with RedisServer() as server:
        yield server


@pytest.fixture
def line(server):
    with Leaky(server.port) as line:
        yield line


@pytest.fixture
def site(server, line, turning):
    site = Site(Through(server, line), turning)
    yield site
    site.close()


def waiting(site):
    """The numbers of the clients for which the server holds a wait."""
    return {one["id"] for one in site.redis.client_list() if "b" in one["flags"]}


def test_a_connection_that_the_network_has_lost_takes_no_message(site, server, line, monkeypatch):
    monkeypatch.setattr("txchannels.layers.redis.reader.WAIT_SECONDS", 600)
    monkeypatch.setattr("txchannels.layers.redis.reader.WAIT_ANSWER_SECONDS", 600.0)
    host = site.host()
    [link] = host.hub.links
    channel = host.open("a")
    host.threads.group_add("room", channel)
    host.call(link.reader.begin_anew)
    wait_until(lambda: not link.reader._is_ending_wait, "it waits anew")
    wait_until(lambda: len(waiting(site)) == 1, "the server has seen it")
    old = waiting(site)
    gaps = []
    host.call(host.hub.when_gap, lambda *gap: gaps.append(gap))
    line.forget_all()
    host.call(link.lose, "for the test")
    wait_until(lambda: gaps, "the gap is over")
    program = RedisLayer(hosts=[server.url], prefix=site.prefix).blocking
    for n in range(3):
        program.send_group("room", {"n": n})
    wait_until(lambda: len(host.numbers(channel)) >= 3, "all has come")
    assert host.numbers(channel) == [0, 1, 2]
    assert not waiting(site) & old


def test_who_has_the_number_after_a_restart_is_left_alone(site, server):
    host = site.host()
    [link] = host.hub.links
    run, _ = link._waits._last
    server.restart()
    with server.client() as client:
        wait_until(lambda: link.is_up and link._waits._last[0] != run, "it is back")
        assert client.info("commandstats").get("cmdstat_client|unblock") is None


def test_a_link_that_does_not_last_is_tried_again_more_slowly(site, monkeypatch):
    monkeypatch.setattr(link_module, "STEADY_SECONDS", 600.0)
    host = site.host()
    [link] = host.hub.links
    seconds = []

    def lose():
        link.lose("for the test")
        seconds.append(link._retry_seconds)

    for _ in range(5):
        wait_until(lambda: link.is_up, "it is up")
        host.call(lose)
    assert seconds == sorted(seconds)
    assert seconds[-1] == link_module.LAST_RETRY_SECONDS
    monkeypatch.setattr(link_module, "STEADY_SECONDS", 0.01)
    wait_until(lambda: link.is_up, "it is up")
    wait_until(lambda: link._retry_seconds == link_module.FIRST_RETRY_SECONDS, "it lasts")


def test_a_stop_waits_for_no_server_that_is_silent(site, line, monkeypatch):
    monkeypatch.setattr(link_module, "SEND_SECONDS", 600.0)
    host = site.host()
    [link] = host.hub.links
    line.silence()
    host.call(host.face.send, "work?x", {"n": 0})
    host.stop()  # or the site's own guard says so
    assert not link.is_connected
    line.mend()
