# ruff: noqa: PT009, PT027 - a third party's tests may not have pytest
"""What only some layers have: ASGI's extensions, and `send_many`."""

from __future__ import annotations

from typing import Any

from txchannels.testing.conformance.hooks import LayerTests

__all__ = ["ExtensionTests", "GroupTests"]


class GroupTests(LayerTests):
    """The extension "groups"."""

    def open_with_groups(self, **config: Any) -> Any:
        blocking = self.open_blocking(**config)
        self.require(blocking, "groups")
        return blocking

    def test_a_group_send_reaches_every_member_once(self) -> None:
        layer = self.open_with_groups()
        for channel in ("a", "b", "local!c", "a"):
            layer.group_add("room", channel)
        self.assertEqual(sorted(layer.group_channels("room")), ["a", "b", "local!c"])
        layer.send_group("room", {"n": 1})
        for channel in ("a", "b"):
            self.assert_received(layer, channel, [{"n": 1}])
        self.assertEqual(self.receive(layer, "local!"), ("local!c", {"n": 1}))

    def test_members_get_messages_of_their_own(self) -> None:
        layer = self.open_with_groups()
        for channel in ("a", "b"):
            layer.group_add("room", channel)
        layer.send_group("room", {"list": []})
        self.receive(layer, "a")[1]["list"].append(1)
        self.assert_received(layer, "b", [{"list": []}])

    def test_a_former_member_gets_nothing(self) -> None:
        layer = self.open_with_groups()
        layer.group_add("room", "a")
        layer.group_add("hall", "a")
        layer.group_discard("room", "a")
        layer.group_discard("room", "a")
        layer.group_discard("nobody", "a")
        layer.send_group("room", {})
        self.assert_received(layer, "a", [])
        self.assertEqual(list(layer.group_channels("hall")), ["a"])

    def test_a_group_without_members_can_be_sent_to(self) -> None:
        layer = self.open_with_groups()
        layer.send_group("nobody", {})
        self.assertEqual(list(layer.group_channels("nobody")), [])

    def test_a_group_send_skips_the_full(self) -> None:
        layer = self.open_with_groups()
        full, free = layer.new_channel("a?"), layer.new_channel("b?")
        for channel in (full, free):
            layer.group_add("room", channel)
        for _ in range(self.capacity):
            layer.send(full, {"n": 0})
        layer.send_group("room", {"n": 1})
        self.assert_received(layer, free, [{"n": 1}])
        self.assert_received(layer, full, [{"n": 0}] * self.capacity)

    def test_a_membership_lapses(self) -> None:
        layer = self.open_with_groups(group_expiry=self.expiry_seconds)
        self.assertEqual(layer.group_expiry, self.expiry_seconds)
        layer.group_add("room", "a")
        self.let_pass(self.expiry_seconds * 1.5)
        self.assertEqual(list(layer.group_channels("room")), [])

    def test_adding_again_renews_a_membership(self) -> None:
        layer = self.open_with_groups(group_expiry=self.expiry_seconds)
        layer.group_add("room", "a")
        self.let_pass(self.expiry_seconds * 0.6)
        layer.group_add("room", "a")
        self.let_pass(self.expiry_seconds * 0.6)
        self.assertEqual(list(layer.group_channels("room")), ["a"])

    def test_names_that_no_group_may_have_are_refused(self) -> None:
        layer = self.open_with_groups()
        for name in ("", "a b", "a!b", "a?b", "a" * 100, "\u00e4", "\u0663", b"a", 3):
            with self.assertRaises((TypeError, AssertionError), msg=repr(name)):
                layer.group_add(name, "a")
            with self.assertRaises((TypeError, AssertionError), msg=repr(name)):
                layer.send_group(name, {})


class ExtensionTests(LayerTests):
    """The other extensions, and `send_many`."""

    def test_flush_forgets_all(self) -> None:
        layer = self.open_blocking()
        self.require(layer, "flush")
        layer.send("chat", {})
        if "groups" in layer.extensions:
            layer.group_add("room", "chat")
        layer.flush()
        self.assert_received(layer, "chat", [])
        if "groups" in layer.extensions:
            self.assertEqual(list(layer.group_channels("room")), [])

    def test_statistics_count(self) -> None:
        layer = self.open_blocking()
        self.require(layer, "statistics")
        channel = layer.new_channel("chat?")
        for _ in range(self.capacity):
            layer.send(channel, {})
        with self.assertRaises(layer.ChannelFull):
            layer.send(channel, {})
        for statistics in (layer.channel_statistics(channel), layer.global_statistics()):
            self.assertEqual(statistics["messages_count"], self.capacity)
            self.assertEqual(statistics["messages_pending"], self.capacity)
            self.assertEqual(statistics["channel_full_count"], 1)
            self.assertGreaterEqual(statistics["messages_max_age"], 0)

    def test_a_message_that_is_too_large_is_refused(self) -> None:
        layer = self.open_blocking()
        if not hasattr(layer, "send_many"):
            self.skipTest("no layer for Channels 1 did that")
        with self.assertRaises(layer.MessageTooLarge):
            layer.send("chat", {"bytes": b"x" * 2**24})
        self.assert_received(layer, "chat", [])

    def test_a_batch_goes_out_in_order_but_for_what_fails(self) -> None:
        layer = self.open_blocking()
        if not hasattr(layer, "send_many"):
            self.skipTest("the layer has no send_many")
        channel = layer.new_channel("chat?")
        layer.group_add("room", channel)
        sends: list[Any] = [("channel", channel, {"n": n}) for n in range(self.capacity + 2)]
        sends[1] = ("group", "room", {"n": 1})
        sends.append(("channel", "other", {"n": 0}))
        failed = layer.send_many(sends)
        self.assertEqual([send for send, _ in failed], sends[self.capacity : self.capacity + 2])
        for _, error in failed:
            self.assertIsInstance(error, layer.ChannelFull)
        self.assert_received(layer, channel, [{"n": n} for n in range(self.capacity)])
        self.assert_received(layer, "other", [{"n": 0}])
