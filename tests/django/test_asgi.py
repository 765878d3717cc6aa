from __future__ import annotations

import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from tests.fakes import RecordingLayer
from txchannels.django import DEFAULT_CHANNEL_LAYER, Channel
from txchannels.django.asgi import (
    ChannelLayerManager,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    channel_layers,
    get_channel_layer,
)
from txchannels.django.legacy import LegacyLayer
from txchannels.django.routing import Router
from txchannels.layers.memory import MemoryLayer


class Backend:
    """A backend with a blocking face, as those of txchannels are."""

    def __init__(self, *, size, colour="red"):
        self.size = size
        self.colour = colour
        self.blocking = RecordingLayer()


class TakesAny:
    def __init__(self, **config):
        self.config = config

    def send_many(self, sends, *, wait=0.0):
        return []


def layers_of(**entries):
    return override_settings(CHANNEL_LAYERS=entries)


def entry(name="Backend", **more):
    return {"BACKEND": f"{__name__}.{name}", "CONFIG": {"size": 3}, **more}


# What the settings say


def test_without_settings_the_default_is_the_memory_layer_without_routes():
    wrapper = ChannelLayerManager()["default"]
    assert isinstance(wrapper.channel_layer, MemoryLayer)
    assert wrapper.router.channels == set()
    assert wrapper.local_only()
    assert str(wrapper) == "default (txchannels.layers.memory.MemoryLayer)"


def test_settings_without_a_default_leave_it_the_memory_layer():
    with layers_of(other=entry()):
        manager = ChannelLayerManager()
        assert isinstance(manager["default"].channel_layer, MemoryLayer)
        assert isinstance(manager["other"].channel_layer, Backend)


def test_a_backend_is_made_of_its_config():
    with layers_of(default=entry(ROUTING="tests.django.routings.site.as_list")):
        wrapper = ChannelLayerManager()["default"]
    assert (wrapper.channel_layer.size, wrapper.channel_layer.colour) == (3, "red")
    assert wrapper.alias == DEFAULT_CHANNEL_LAYER
    assert wrapper.routing == "tests.django.routings.site.as_list"
    assert wrapper.router.channels == {"news"}
    assert not wrapper.local_only()


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"CONFIG": {"size": 3, "colr": 1}}, r"\['a'\].*Backend takes no CONFIG key 'colr'"),
        ({"CONFIG": {}}, r"\['a'\].*Backend needs the CONFIG key 'size'"),
        ({"BACKEND": "nowhere.Layer"}, r"\['a'\]: cannot import BACKEND.*no module 'nowhere'"),
        ({"BACKEND": f"{__name__}.Nothing"}, "has no 'Nothing'"),
        ({"CONFG": {}}, r"\['a'\] has the unknown key 'CONFG'"),
    ],
)
def test_what_cannot_work_is_named_with_its_layer(wrong, fault):
    with layers_of(a=entry(**wrong)), pytest.raises(InvalidChannelLayerError, match=fault):
        ChannelLayerManager()["a"]


def test_a_layer_without_a_backend_or_a_name_is_refused():
    with layers_of(a={"CONFIG": {}}):
        manager = ChannelLayerManager()
        with pytest.raises(InvalidChannelLayerError, match=r"\['a'\] has no BACKEND"):
            manager["a"]
        with pytest.raises(ValueError, match="no layer 'b'"):
            manager["b"]


def test_an_import_error_inside_the_backends_module_is_left_alone():
    with (
        layers_of(a={"BACKEND": "tests.django.routings.broken.Layer"}),
        pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"),
    ):
        ChannelLayerManager()["a"]


def test_a_backend_that_takes_any_key_is_given_it():
    with layers_of(a=entry("TakesAny", CONFIG={"what": "ever"})):
        assert ChannelLayerManager()["a"].channel_layer.config == {"what": "ever"}


def test_a_test_backend_has_the_test_config():
    with layers_of(a=entry(TEST_CONFIG={"size": 4}), b=entry()):
        manager = ChannelLayerManager()
        assert manager.make_test_backend("a").channel_layer.size == 4
        assert manager.make_backend("a").channel_layer.size == 3
        with pytest.raises(InvalidChannelLayerError, match=r"\['b'\] has no TEST_CONFIG"):
            manager.make_test_backend("b")


# The manager


def test_a_layer_is_made_once_whoever_asks_first():
    made = []
    barrier = threading.Barrier(8)

    class Counting(ChannelLayerManager):
        def make_backend(self, name):
            made.append(name)
            return super().make_backend(name)

    manager = Counting()

    def ask():
        barrier.wait()
        got.append(manager["default"])

    got: list[ChannelLayerWrapper] = []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["default"]
    assert len({id(wrapper) for wrapper in got}) == 1


def test_a_layer_can_be_exchanged():
    manager = ChannelLayerManager()
    mine = ChannelLayerWrapper(RecordingLayer(), "default", [])
    first = manager["default"]
    assert manager.set("default", mine) is first
    assert manager["default"] is mine
    assert manager.set("default", None) is mine
    assert manager["default"] not in (first, mine)


def test_aliases_are_known_whether_made_or_only_configured():
    with layers_of(other=entry()):
        manager = ChannelLayerManager()
        manager.set("extra", ChannelLayerWrapper(RecordingLayer(), "extra", []))
        assert "default" in manager
        assert "other" in manager
        assert "extra" in manager
        assert "none" not in manager


def test_a_project_gets_the_layer_itself(layer):
    assert get_channel_layer() is layer


# The wrapper


def test_calls_go_to_the_blocking_face():
    with layers_of(default=entry()):
        wrapper = ChannelLayerManager()["default"]
    wrapper.send("a", {"n": 1})
    wrapper.group_add("g", "a")
    assert wrapper.channel_layer.blocking.on("a") == [{"n": 1}]
    assert wrapper.receive(["a"]) == ("a", {"n": 1})
    assert wrapper.groups["g"] == ["a"]
    assert wrapper.extensions == ("groups", "flush")
    with pytest.raises(AttributeError):
        _ = wrapper.nothing


def test_hot_calls_are_bound_once():
    wrapper = ChannelLayerWrapper(RecordingLayer(), "default", [])
    assert {"send", "send_many", "send_group", "group_add", "receive"} <= set(vars(wrapper))


def test_another_blocking_face_can_be_bound():
    backend = Backend(size=3)
    wrapper = ChannelLayerWrapper(backend, "default", [])
    first = backend.blocking
    first.flush = first.extra = print
    wrapper.rebind()
    backend.blocking = second = RecordingLayer()
    assert wrapper.send == first.send
    wrapper.rebind()
    assert wrapper.blocking is second
    assert wrapper.send == second.send
    assert wrapper.send_many == second.send_many
    assert not hasattr(wrapper, "flush")
    assert not hasattr(wrapper, "extra")


def test_a_routing_is_imported_when_it_is_needed():
    wrapper = ChannelLayerWrapper(RecordingLayer(), "default", "tests.nowhere.routing")
    with pytest.raises(ImproperlyConfigured, match=r"no module 'tests\.nowhere'"):
        _ = wrapper.router


def test_the_router_is_made_once_and_can_be_replaced():
    wrapper = ChannelLayerWrapper(RecordingLayer(), "default", [])
    assert wrapper.router is wrapper.router
    mine = wrapper.router = Router([])
    assert wrapper.router is mine


def test_a_layer_without_send_many_is_adapted():
    class Old:
        def send(self, channel, message):
            raise NotImplementedError

        def receive(self, channels, block=False):
            raise NotImplementedError

    old = Old()
    wrapper = ChannelLayerWrapper(old, "old", [])
    assert wrapper.channel_layer is old
    assert isinstance(wrapper.blocking, LegacyLayer)


def test_the_memory_layer_carries_what_a_channel_sends():
    wrapper = ChannelLayerManager()["default"]
    Channel("news", channel_layer=wrapper).send({"pair": (1, 2)})
    assert wrapper.receive(["news"]) == ("news", {"pair": [1, 2]})


def test_the_manager_of_the_site_is_one_of_these():
    assert isinstance(channel_layers, ChannelLayerManager)
