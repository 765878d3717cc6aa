"""The shipped conformance suite, on a daemon's hub as other processes have it."""

from __future__ import annotations

import unittest
from queue import Empty

import pytest
from twisted.internet.task import Clock

from tests.layers.ipc.hosting import Daemon
from tests.layers.redis.reactors import ReactorThread
from tests.servers import wait_until
from txchannels.testing.conformance import LayerConformance, ReactorConformance


@pytest.fixture(scope="module", autouse=True)
def reactor_thread():
    with ReactorThread() as turning:
        Program.turning = turning
        yield


class Program:
    """A program that is connected to a daemon."""

    turning: ReactorThread
    expiry_seconds = 0.5

    def make_layer(self, **config):
        daemon = Daemon(self.turning, **config)
        daemon.open()
        self.addCleanup(daemon.__exit__)
        return daemon.program(**config)

    def close_layer(self, layer):
        layer.blocking.link().close()


class TestProgram(Program, LayerConformance, unittest.TestCase):
    def test_adding_again_renews_a_membership(self):
        self.expiry_seconds = 1.5  # a slow machine may take a while to look, after the last wait
        super().test_adding_again_renews_a_membership()


class TestProgramWithAReactor(Program, ReactorConformance, unittest.TestCase):
    def make_reactor(self, layer):
        clock = Clock()
        face = layer.reactor(self.call_from_thread, clock)
        face.start()
        self.addCleanup(self.stop_face, face, clock)
        return face

    def stop_face(self, face, clock):
        face.stop()
        assert not clock.getDelayedCalls()

    def turn_until(self, is_so):
        def turn():
            try:
                self._calls.get(timeout=0.01)()
            except Empty:
                pass
            return is_so()

        wait_until(turn, "what was sent has come")
