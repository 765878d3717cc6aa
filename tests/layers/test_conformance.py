"""The shipped conformance suite, on our layers and on a plain one as others write them."""

from __future__ import annotations

import unittest

from twisted.internet.task import Clock

from txchannels.layers.memory import MemoryLayer
from txchannels.testing.conformance import LayerConformance, ReactorConformance


class TurnedByHand:
    """A memory layer whose clock the test turns."""

    def setUp(self):
        self.clock = Clock()
        super().setUp()

    def make_layer(self, **config):
        return MemoryLayer(clock=self.clock.seconds, **config)

    def let_pass(self, seconds):
        self.clock.advance(seconds)


class TestMemoryLayer(TurnedByHand, LayerConformance, unittest.TestCase):
    pass


class TestMemoryLayerInTheReactor(TurnedByHand, ReactorConformance, unittest.TestCase):
    def make_reactor(self, layer):
        return layer.reactor(self.call_from_thread, self.clock)

    def tearDown(self):
        assert not self.clock.getDelayedCalls()


class _Plain:
    """A layer with nothing but what ASGI draft version 1 asks for."""

    extensions = ("groups", "flush")

    def __init__(self, blocking):
        self.group_expiry = blocking.group_expiry
        self.ChannelFull = type("FullOfOthers", (Exception,), {})
        self._blocking = blocking

    def send(self, channel, message):
        try:
            self._blocking.send(channel, message)
        except self._blocking.ChannelFull:
            raise self.ChannelFull from None

    def receive(self, channels, block=False):
        return self._blocking.receive(channels)

    def __getattr__(self, name):
        if name.startswith(("group_", "send_group", "new_channel", "flush")):
            return getattr(self._blocking, name)
        raise AttributeError(name)


class TestLayerOfOthers(TurnedByHand, LayerConformance, unittest.TestCase):
    def make_layer(self, **config):
        return _Plain(super().make_layer(**config).blocking)


class TestSystemTime(LayerConformance, unittest.TestCase):
    """Where time is the system's, the suite waits for it."""

    expiry_seconds = 0.1

    def make_layer(self, **config):
        return MemoryLayer(**config)


def test_a_suite_without_its_hook_says_so():
    class Forgotten(LayerConformance, unittest.TestCase):
        pass

    result = unittest.TestResult()
    Forgotten("test_a_message_is_received_once").run(result)
    [(_, text)] = result.errors
    assert "make_layer" in text


def test_the_suite_finds_a_layer_that_does_not_conform():
    class Wrong(LayerConformance, unittest.TestCase):
        def make_layer(self, **config):
            layer = MemoryLayer(**config).blocking
            layer.send = layer._hub.send
            return layer

    result = unittest.TestResult()
    Wrong("test_a_message_may_be_changed_after_it_was_sent").run(result)
    Wrong("test_a_message_is_received_once").run(result)
    assert len(result.failures) == 1
