# ruff: noqa: PT009, PT027 - a third party's tests may not have pytest
"""The reactor's face of a layer."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from txchannels.testing.conformance.hooks import GUARD_SECONDS, LayerTests

__all__ = ["ReactorConformance"]


class ReactorConformance(LayerTests):
    """The reactor's face of a layer that the daemon itself can use.

    `self.call_from_thread` stands for the reactor's; what came across runs in `turn_until`.
    """

    def setUp(self) -> None:
        super().setUp()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def call_from_thread(self, call: Callable[[], None]) -> None:
        """Run *call* in the reactor's thread, which is that of the test."""
        self._calls.put(call)

    def make_reactor(self, layer: Any) -> Any:
        """The reactor's face of *layer*. To be overridden where it needs more."""
        return layer.reactor(self.call_from_thread)

    def turn_until(self, is_so: Callable[[], bool]) -> None:
        """Turn the reactor until *is_so*. To be overridden for a real reactor."""
        until = time.monotonic() + GUARD_SECONDS
        while not is_so():
            try:
                self._calls.get(timeout=max(0.0, until - time.monotonic()))()
            except Empty:
                self.fail("the reactor waited in vain")

    def open_faces(self, **config: Any) -> tuple[Any, Any]:
        """Both faces of a layer for this test: the reactor's, the blocking one."""
        layer = self.open_layer(**config)
        return self.make_reactor(layer), layer.blocking

    def subscribe(self, reactor: Any, *channels: str) -> tuple[Any, list[Any]]:
        """A subscription, and what it is sent."""
        got: list[Any] = []
        return reactor.subscribe(channels, lambda *message: got.append(message)), got

    def test_a_subscriber_is_sent_what_it_has_requested(self) -> None:
        reactor, blocking = self.open_faces()
        subscription, got = self.subscribe(reactor, "chat")
        blocking.send("chat", {"n": 0})
        blocking.send("chat", {"n": 1})
        subscription.request(1)
        self.turn_until(lambda: len(got) == 1)
        subscription.request(2)
        blocking.send("chat", {"n": 2})
        blocking.send("chat", {"n": 3})
        self.turn_until(lambda: len(got) == 3)
        self.assertEqual(got, [("chat", {"n": n}) for n in range(3)])
        self.assertEqual(subscription.cancel(), 0)
        self.assert_received(blocking, "chat", [{"n": 3}])

    def test_a_cancelled_subscriber_is_sent_nothing(self) -> None:
        reactor, blocking = self.open_faces()
        subscription, got = self.subscribe(reactor, "chat")
        subscription.request(3)
        self.assertTrue(reactor.is_wanted("chat"))
        self.assertEqual(subscription.cancel(), 3)
        self.assertFalse(reactor.is_wanted("chat"))
        subscription.request(1)
        blocking.send("chat", {})
        self.assertEqual(got, [])
        self.assert_received(blocking, "chat", [{}])

    def test_an_owner_gets_what_is_sent_to_its_channels_in_order(self) -> None:
        reactor, blocking = self.open_faces()
        got: list[Any] = []
        inbox = reactor.open_inbox("conformance!", got.extend)
        a, b = inbox.open("a"), inbox.open("b")
        sends = [(a, {"n": 0}), (b, {"n": 1}), (a, {"n": 2})]
        self.assertEqual(blocking.send_many([("channel", *send) for send in sends]), [])
        self.turn_until(lambda: len(got) == 3)
        self.assertEqual(got, sends)

    def test_a_closed_channel_is_gone_and_has_left_its_groups(self) -> None:
        reactor, blocking = self.open_faces()
        inbox = reactor.open_inbox("conformance!", lambda _: None)
        channel = inbox.open("a")
        blocking.group_add("room", channel)
        inbox.close(channel)
        self.assertFalse(blocking.send(channel, {}))
        self.assertEqual(list(blocking.group_channels("room")), [])

    def test_an_owned_member_stays_as_long_as_its_channel(self) -> None:
        reactor, blocking = self.open_faces(group_expiry=self.expiry_seconds)
        got: list[Any] = []
        inbox = reactor.open_inbox("conformance!", got.extend)
        for local in "ab":
            blocking.group_add("room", inbox.open(local))
        self.let_pass(self.expiry_seconds * 2)
        self.assertEqual(blocking.send_group("room", {"n": 0}), 0)
        self.turn_until(lambda: bool(got))
        self.assertEqual(len(got), 1)
        self.assertEqual(sorted(got[0][0]), ["conformance!a", "conformance!b"])
        self.assertEqual(got[0][1], {"n": 0})

    def test_a_paused_channel_is_full(self) -> None:
        reactor, blocking = self.open_faces()
        channel = reactor.open_inbox("conformance!", lambda _: None).open("a")
        inbox = reactor.open_inbox("other!", lambda _: None)
        paused = inbox.open("a")
        inbox.pause(paused)
        with self.assertRaises(blocking.ChannelFull):
            blocking.send(paused, {})
        self.assertTrue(blocking.send(channel, {}))
        inbox.resume(paused)
        self.assertTrue(blocking.send(paused, {}))

    def test_room_is_told_once(self) -> None:
        reactor, blocking = self.open_faces()
        channel = reactor.new_channel("body?")
        while reactor.offer(channel, {}):
            pass
        told: list[int] = []
        reactor.when_room(channel, lambda: told.append(1))
        reactor.drop_channel(channel)
        self.turn_until(lambda: bool(told))
        self.assertEqual(told, [1])
        # What was dropped is gone before what is sent after it is there.
        blocking.send(channel, {"n": 1})
        self.assert_received(blocking, channel, [{"n": 1}])

    def test_a_message_is_received_by_a_deferred(self) -> None:
        reactor, blocking = self.open_faces()
        if "twisted" not in reactor.extensions:
            self.skipTest("the layer has no extension 'twisted'")
        got: list[Any] = []
        reactor.receive_twisted(["chat"]).addCallback(got.append)
        blocking.send("chat", {"n": 0})
        self.turn_until(lambda: bool(got))
        self.assertEqual(got, [("chat", {"n": 0})])
