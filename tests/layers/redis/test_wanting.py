"""A reader elsewhere asks a channel's home for its messages, until it has been heard."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from tests.layers.redis.test_replies import short_lease  # noqa: F401 - a fixture
from tests.servers import wait_until
from txchannels.layers.redis import whereabouts

WAIT_SECONDS = 20.0


@contextmanager
def lost_question(site, home, there, channel):
    """In the context, a thread *there* waits for *channel*, and what it has asked is lost."""
    [link] = home.hub.links
    transport = link.reader._connection.transport
    home.call(transport.pauseProducing)
    site.redis.client_unblock(link.reader._identity)
    inbox = site.inbox_of(home.hub.address)
    got = []

    def read():
        got.append(there.threads.receive([channel], block=True, timeout=WAIT_SECONDS))

    reading = threading.Thread(target=read)
    reading.start()
    wait_until(lambda: there.hub._known.has_asked(channel), "its home was asked")
    assert site.redis.delete(inbox) == 1
    home.call(transport.resumeProducing)
    yield got
    reading.join()


@pytest.fixture
def home(site, short_lease):  # noqa: F811
    home = site.host()
    home.read("work")
    return home


def test_a_home_that_has_not_heard_is_asked_again(site, home, monkeypatch):
    monkeypatch.setattr(whereabouts, "ASK_AGAIN_SECONDS", 0.2)
    there = site.host()
    channel = home.threads.new_channel("http.request.body?")
    home.threads.send(channel, {"n": 0})
    with lost_question(site, home, there, channel) as got:
        wait_until(lambda: got, "the message arrives")
    assert got == [(channel, {"n": 0})]


def test_a_home_is_asked_again_when_the_server_is_back(site, home, monkeypatch):
    monkeypatch.setattr(whereabouts, "ASK_AGAIN_SECONDS", 3600.0)
    there = site.host()
    channel = home.threads.new_channel("http.request.body?")
    home.threads.send(channel, {"n": 0})
    with lost_question(site, home, there, channel) as got:
        there.call(there.hub.links[0].lose, "for the test")
        wait_until(lambda: got, "the message arrives")
    assert got == [(channel, {"n": 0})]


def test_a_home_that_has_heard_is_not_asked_with_every_look(site, home):
    there = site.host()
    channel = home.threads.new_channel("http.request.body?")
    asked = []
    want = there.hub.writer.want
    there.hub.writer.want = lambda *arguments: asked.append(1) or want(*arguments)
    assert there.threads.receive([channel]) == (None, None)
    wait_until(lambda: there.hub._known.has_asked(channel), "its home was asked")
    for _ in range(10):
        assert there.threads.receive([channel], block=True, timeout=0.01) == (None, None)
    assert len(asked) == 1
