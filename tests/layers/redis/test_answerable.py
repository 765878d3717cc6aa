"""Whether answers of other hosts can come: they come by the shard that holds the inbox."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis import RedisLayer
from txchannels.layers.redis.places import shard_of
from txchannels.protocols.site import Site
from txchannels.settings import HttpSettings, WebSocketSettings


class Link:
    """A link that is up or away."""

    def __init__(self, is_up: bool) -> None:
        self.is_up = is_up


class World:
    """A site without workers on three shards, all of them up."""

    def __init__(self) -> None:
        self.clock = Clock()
        layer = RedisLayer(hosts=["redis://a", "redis://b", "redis://c"])
        self.face = layer.reactor(self.clock.callLater, self.clock)
        self.sent: list[str] = []
        self.site = Site(
            HttpSettings(),
            WebSocketSettings(),
            self.face,
            clock=self.clock.seconds,
            wall_clock=lambda: 1e9,
        )
        self.face.send = lambda channel, message: self.sent.append(channel)
        self.home = shard_of(self.site.prefix, 3)
        hub = self.face.hub
        hub.routes._links = [Link(True) for _ in range(3)]
        self.links = hub.routes._links


def test_one_whose_answers_cannot_come_is_refused_at_once() -> None:
    world = World()
    world.links[world.home].is_up = False
    assert not world.face.can_answer(world.site.prefix)
    with pytest.raises(LayerUnavailable):
        world.site.send_first("http.request", {})
    assert world.sent == []
    assert world.site.counters["layer.unavailable"] == 1
    world.links[world.home].is_up = True
    world.site.send_first("http.request", {})
    assert world.sent == ["http.request"]


def test_other_shards_do_not_matter_to_it() -> None:
    world = World()
    for at, link in enumerate(world.links):
        link.is_up = at == world.home
    world.site.send_first("http.request", {})
    assert world.sent == ["http.request"]


def test_what_stays_here_is_answered_here() -> None:
    world = World()
    world.links[world.home].is_up = False
    world.face.is_here = lambda channel: channel == "http.request"  # type: ignore[method-assign]
    world.site.send_first("http.request", {})
    with pytest.raises(LayerUnavailable):
        world.site.send_first("websocket.connect", {})
    assert world.sent == ["http.request"]


def test_a_layer_that_cannot_say_it_is_taken_to_answer() -> None:
    world = World()

    class Plain:
        sent: list[str] = []  # noqa: RUF012

        def is_here(self, channel: str) -> bool:
            return False

        def send(self, channel: str, message: object) -> None:
            self.sent.append(channel)

    world.site.layer = Plain()  # type: ignore[assignment]
    world.site.send_first("http.request", {})
    assert Plain.sent == ["http.request"]
