# ruff: noqa: PT009, PT027 - a third party's tests may not have pytest
"""Sending and receiving, as ASGI draft version 1 has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from txchannels.testing.conformance.hooks import GUARD_SECONDS, LayerTests

__all__ = ["MessageTests"]


class MessageTests(LayerTests):
    """Sending and receiving."""

    def test_a_message_is_received_once(self) -> None:
        layer = self.open_blocking()
        layer.send("chat", {"text": "hello"})
        self.assert_received(layer, "chat", [{"text": "hello"}])

    def test_messages_keep_their_order(self) -> None:
        layer = self.open_blocking()
        channel = layer.new_channel("chat?")
        messages = [{"n": n} for n in range(self.capacity)]
        for message in messages:
            layer.send(channel, message)
        self.assert_received(layer, channel, messages)

    def test_every_kind_of_value_is_carried(self) -> None:
        message: dict[str, Any] = {
            "text": "h\u00e9\u4e16\U0001f600",
            "bytes": bytes(range(256)),
            "empty": ["", b"", [], {}],
            "numbers": [0, -(2**63), 2**63 - 1, 1.5, -0.0],
            "others": [True, False, None],
            "nested": {"list": [{"a": [[b"x", "x"]]}]},
        }
        layer = self.open_blocking()
        layer.send("chat", message)
        _, received = self.receive(layer, "chat")
        self.assertEqual(received, message)
        self.assertIs(type(received["others"][0]), bool)
        self.assertIs(type(received["bytes"]), bytes)

    def test_a_tuple_is_received_as_a_list(self) -> None:
        layer = self.open_blocking()
        layer.send("chat", {"headers": [(b"a", b"b")]})
        self.assert_received(layer, "chat", [{"headers": [[b"a", b"b"]]}])

    def test_a_mebibyte_is_carried(self) -> None:
        layer = self.open_blocking()
        message = {"bytes": b"x" * 2**20}
        layer.send("chat", message)
        self.assert_received(layer, "chat", [message])

    def test_a_message_may_be_changed_after_it_was_sent(self) -> None:
        layer = self.open_blocking()
        message = {"list": [1]}
        layer.send("chat", message)
        message["list"].append(2)
        self.assert_received(layer, "chat", [{"list": [1]}])

    def test_a_message_must_be_a_dict(self) -> None:
        layer = self.open_blocking()
        no_dicts: list[Any] = [[], "text", None]
        for message in no_dicts:
            with self.assertRaises((TypeError, AssertionError)):
                layer.send("chat", message)

    def test_one_of_several_channels_is_received_from(self) -> None:
        layer = self.open_blocking()
        layer.send("b", {"n": 1})
        self.assertEqual(self.receive(layer, "a", "b", "c"), ("b", {"n": 1}))
        self.assertEqual(self.receive(layer, "a", "b", "c"), (None, None))

    def test_no_channel_is_starved(self) -> None:
        layer = self.open_blocking()
        layer.send("quiet", {})
        for _ in range(200):
            layer.send("busy", {})
            channel, _ = self.receive(layer, "busy", "quiet")
            if channel == "quiet":
                return
            while channel == "busy":
                channel, _ = self.receive(layer, "busy")
        self.fail("the quiet channel was never received from")

    def test_process_local_channels_are_received_by_their_prefix(self) -> None:
        layer = self.open_blocking()
        layer.send("local!a", {"n": 1})
        layer.send("local!b", {"n": 2})
        received = [self.receive(layer, "local!") for _ in range(3)]
        expected = [("local!a", {"n": 1}), ("local!b", {"n": 2}), (None, None)]
        self.assertEqual(received, expected)

    def test_blocking_receive_returns_what_comes_or_nothing(self) -> None:
        layer = self.open_blocking()
        layer.send("chat", {"n": 1})
        self.assertEqual(layer.receive(["chat"], block=True), ("chat", {"n": 1}))
        sender = threading.Timer(0.05, layer.send, args=("chat", {"n": 2}))
        sender.start()
        until = time.monotonic() + GUARD_SECONDS
        channel, message = None, None
        while channel is None and time.monotonic() < until:
            channel, message = layer.receive(["chat"], block=True)
        sender.join()
        self.assertEqual((channel, message), ("chat", {"n": 2}))

    def test_a_full_channel_refuses(self) -> None:
        layer = self.open_blocking()
        channel = layer.new_channel("chat?")
        for n in range(self.capacity):
            layer.send(channel, {"n": n})
        with self.assertRaises(layer.ChannelFull):
            layer.send(channel, {"n": self.capacity})
        layer.send("other", {})
        self.assert_received(layer, channel, [{"n": n} for n in range(self.capacity)])

    def test_the_capacity_of_process_local_channels_is_that_of_the_prefix(self) -> None:
        layer = self.open_blocking()
        for n in range(self.capacity):
            layer.send(f"local!{n}", {})
        with self.assertRaises(layer.ChannelFull):
            layer.send("local!more", {})

    def test_capacities_are_given_by_glob_and_the_first_match_wins(self) -> None:
        layer = self.open_blocking(channel_capacity={"chat.a?x": 1, "chat.*": 2})
        for channel, capacity in (("chat.a?x", 1), ("chat.b?x", 2)):
            for _ in range(capacity):
                layer.send(channel, {})
            with self.assertRaises(layer.ChannelFull):
                layer.send(channel, {})

    def test_an_expired_message_is_gone(self) -> None:
        layer = self.open_blocking(expiry=self.expiry_seconds)
        layer.send("chat", {"n": 1})
        self.let_pass(self.expiry_seconds * 1.5)
        self.assertEqual(self.receive(layer, "chat"), (None, None))
        layer.send("chat", {"n": 2})
        self.assert_received(layer, "chat", [{"n": 2}])

    def test_expired_messages_make_room(self) -> None:
        layer = self.open_blocking(expiry=self.expiry_seconds)
        channel = layer.new_channel("chat?")
        for _ in range(self.capacity):
            layer.send(channel, {})
        self.let_pass(self.expiry_seconds * 1.5)
        layer.send(channel, {})

    def test_names_that_no_channel_may_have_are_refused(self) -> None:
        layer = self.open_blocking()
        for name in (
            "",
            "a b",
            "a!b!c",
            "a?b?c",
            "a" * 100,
            "\u00e4",
            "local!\u0663",
            "a?",
            b"a",
            3,
        ):
            with self.assertRaises((TypeError, AssertionError), msg=repr(name)):
                layer.send(name, {})
        for names in ("chat", [], ["a b"], ["local!a"]):
            with self.assertRaises((TypeError, AssertionError), msg=repr(names)):
                layer.receive(names)

    def test_a_new_channel_is_new_and_of_its_pattern(self) -> None:
        layer = self.open_blocking()
        names = {layer.new_channel("reply?") for _ in range(50)}
        self.assertEqual(len(names), 50)
        for name in names:
            self.assertRegex(name, r"^reply\?[a-zA-Z0-9_.\-]+$")
            layer.send(name, {})
            self.assert_received(layer, name, [{}])

    def test_a_new_channel_needs_a_pattern(self) -> None:
        layer = self.open_blocking()
        for pattern in ("reply", "reply!", "reply.x"):
            with self.assertRaises((TypeError, ValueError, AssertionError), msg=pattern):
                layer.new_channel(pattern)

    def test_threads_lose_and_double_nothing(self) -> None:
        layer = self.open_blocking(capacity=1000)
        received: SimpleQueue[Any] = SimpleQueue()

        def send(sender: int) -> None:
            for n in range(100):
                layer.send("chat", {"id": [sender, n]})

        def receive() -> None:
            until = time.monotonic() + GUARD_SECONDS
            while received.qsize() < 400 and time.monotonic() < until:
                _, message = layer.receive(["chat"])
                if message is not None:
                    received.put(message["id"])

        calls: list[Callable[[], None]] = [receive, receive]
        calls += [lambda n=n: send(n) for n in range(4)]  # type: ignore[misc]
        threads = [threading.Thread(target=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = sorted(received.get() for _ in range(received.qsize()))
        self.assertEqual(got, [[sender, n] for sender in range(4) for n in range(100)])
