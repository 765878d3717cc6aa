"""`ChannelTestCase`: each test has empty layers of its own; afterwards all is as before."""

from __future__ import annotations

import unittest

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase, override_settings

from txchannels.django import Channel, Group, channel_layers, route
from txchannels.django.asgi import InvalidChannelLayerError
from txchannels.django.test import (
    ChannelTestCase,
    Client,
    TransactionChannelTestCase,
    WSClient,
    apply_routes,
)
from txchannels.django.test.layers import layers_for_tests, make_layer_for_tests

MEMORY = "txchannels.layers.memory.MemoryLayer"
LAYERS = {
    "default": {"BACKEND": MEMORY, "ROUTING": [], "TEST_CONFIG": {"capacity": 2}},
    "other": {"BACKEND": MEMORY, "ROUTING": [], "CONFIG": {"capacity": 3}},
    "far": {
        "BACKEND": "txchannels.layers.redis.RedisLayer",
        "ROUTING": [],
        "CONFIG": {"hosts": ["redis://nowhere.invalid"]},
    },
}

#: The one that stood there when the data of `TestInATransaction` was made.
LAYER_OF_CLASS = []


def save_user(message):
    User.objects.create(username=message["name"])
    Channel("saved").send({"name": message["name"]})


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    """Run the tests of *case* as unittest does."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case)(result)
    return result


def failures(result):
    """The last lines of what went wrong."""
    return [text.strip().splitlines()[-1] for _, text in result.failures + result.errors]


@pytest.mark.usefixtures("tables")
class TestInATransaction(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        LAYER_OF_CLASS[:] = [channel_layers["default"]]
        Channel("jobs").send({})  # of a signal's receiver, for instance
        cls.user = User.objects.create(username="first")

    def test_it_is_djangos(self):
        assert isinstance(self, TestCase)
        assert connection.in_atomic_block

    def test_what_the_class_has_sent_is_not_there(self):
        assert channel_layers["default"] is not LAYER_OF_CLASS[0]
        assert self.get_next_message("jobs") is None

    @apply_routes(route("jobs", save_user))
    def test_a_consumer_works_in_the_tests_transaction(self):
        Client().send_and_consume("jobs", {"name": "second"})
        assert User.objects.count() == 2
        assert self.get_next_message("saved", require=True)["name"] == "second"

    @apply_routes(route("jobs", save_user))
    def test_nothing_is_left_of_another_test(self):
        assert User.objects.count() == 1
        self.assertNoMessages()

    @apply_routes(route("jobs", save_user))
    def test_a_database_error_reaches_the_test(self):
        with pytest.raises(Exception, match="UNIQUE"), transaction.atomic():
            Client().send_and_consume("jobs", {"name": "first"})
        assert User.objects.count() == 1

    def test_a_sent_message_that_nobody_consumes_can_be_asserted_on(self):
        Channel("jobs").send({"text": "a"})
        message = self.get_next_message("jobs", require=True)
        assert (message["text"], message.channel.name) == ("a", "jobs")
        assert self.get_next_message("jobs") is None

    def test_a_reply_can_be_taken_by_its_channel(self):
        client = Client()
        Channel(client.reply_channel).send({"text": "a"})
        assert self.get_next_message(client.reply_channel, require=True)["text"] == "a"

    def test_a_missing_message_fails_and_says_where_there_are_some(self):
        Channel("jobs").send({})
        with pytest.raises(AssertionError, match=r"no message on 'job'; .*: jobs"):
            self.get_next_message("job", require=True)

    def test_unconsumed_messages_fail_with_their_channels(self):
        Channel("jobs").send({})
        Channel("jobs").send({})
        with pytest.raises(AssertionError, match="2 on jobs"):
            self.assertNoMessages()

    def test_on_commit_is_run_as_django_runs_it(self):
        def later(message):
            transaction.on_commit(lambda: Group("all").send({"text": "done"}))

        client = WSClient()
        client.join_group("all")
        with (
            apply_routes(route("jobs", later)),
            self.captureOnCommitCallbacks(execute=True),
        ):
            client.send_and_consume("jobs")
        assert client.receive(json=False) == "done"


@pytest.mark.usefixtures("database")
class TestWithCommits(TransactionChannelTestCase):
    @apply_routes(route("jobs", save_user))
    def test_a_consumers_rows_are_committed(self):
        assert isinstance(self, TransactionTestCase)
        assert not connection.in_atomic_block
        Client().send_and_consume("jobs", {"name": "one"})
        assert User.objects.count() == 1
        assert self.get_next_message("saved")["name"] == "one"


def test_layers_are_put_back_after_the_class(tables):
    class Case(ChannelTestCase):
        def test_it(self):
            seen.append(channel_layers["default"])

    seen = []
    before = channel_layers["default"]
    assert run(Case).wasSuccessful()
    assert channel_layers["default"] is before
    assert seen[0] is not before


def test_a_layer_that_nobody_has_used_is_not_made(tables):
    class Case(ChannelTestCase):
        def test_it(self):
            Channel("jobs", alias="far").send({})
            assert self.get_next_message("jobs", alias="far", require=True)

    with override_settings(CHANNEL_LAYERS=LAYERS):
        assert run(Case).wasSuccessful()
        assert channel_layers.set("far", None) is None


def test_all_layers_are_replaced_by_layers_in_memory_with_their_configurations():
    with override_settings(CHANNEL_LAYERS=LAYERS), layers_for_tests() as layers:
        assert set(layers) == {"default", "other", "far"}
        assert all(layer.local_only() for layer in layers.values())
        for alias, capacity in (("default", 2), ("other", 3), ("far", 1000)):
            for _ in range(capacity):
                Channel("jobs", alias=alias).send({})
        with pytest.raises(layers["default"].ChannelFull):
            Channel("jobs").send({})
        with pytest.raises(layers["other"].ChannelFull):
            Channel("jobs", alias="other").send({})


def test_only_the_named_layers_are_replaced(tables):
    class Case(ChannelTestCase):
        test_channel_aliases = ("other",)

        def test_it(self):
            assert channel_layers["default"] is default
            assert channel_layers["other"] is not other

    with override_settings(CHANNEL_LAYERS=LAYERS):
        default, other = channel_layers["default"], channel_layers["other"]
        assert failures(run(Case)) == []
        channel_layers.set("other", None)


def test_an_unknown_alias_is_named(tables):
    class Case(ChannelTestCase):
        test_channel_aliases = ("nowhere",)

        def test_it(self):
            raise AssertionError

    assert "no layer 'nowhere', only: default" in failures(run(Case))[0]


def test_the_backend_itself_is_used_with_test_config():
    with override_settings(CHANNEL_LAYERS=LAYERS):
        made = make_layer_for_tests("default", use_backend=True)
        assert str(made).startswith("default")
        with pytest.raises(InvalidChannelLayerError, match=r"'far'.* has no TEST_CONFIG"):
            make_layer_for_tests("far", use_backend=True)


def test_a_backend_of_the_tests_own_is_flushed_before_and_after(monkeypatch):
    from txchannels.layers.memory import MemoryLayer

    shared = MemoryLayer()
    monkeypatch.setattr("tests.site.settings.SharedLayer", lambda: shared, raising=False)
    entry = {"BACKEND": "tests.site.settings.SharedLayer", "TEST_CONFIG": {}}
    shared.blocking.send("jobs", {})
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        with layers_for_tests(use_backends=True):
            assert channel_layers["default"].channel_layer is shared
            assert Client().get_next_message("jobs") is None
            Channel("jobs").send({})
        assert shared.blocking.receive(["jobs"]) == (None, None)


def test_a_failing_test_leaves_nothing_behind(tables):
    class Case(ChannelTestCase):
        @apply_routes(route("jobs", save_user))
        def test_it(self):
            Channel("jobs").send({})
            raise ValueError("not today")

    before = channel_layers["default"]
    assert failures(run(Case)) == ["ValueError: not today"]
    assert channel_layers["default"] is before


def test_a_skipped_test_is_skipped(tables):
    class Case(ChannelTestCase):
        @unittest.skip("not now")
        def test_it(self):
            raise AssertionError

    result = run(Case)
    assert [reason for _, reason in result.skipped] == ["not now"]


def test_debug_has_the_layers_too(tables):
    class Case(ChannelTestCase):
        def test_it(self):
            seen.append(channel_layers["default"])

    seen = []
    before = channel_layers["default"]
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).debug()
    assert seen[0] is not before
    assert channel_layers["default"] is before


@pytest.mark.usefixtures("tables")
class TestADjangoTestCase(TestCase):
    """A plain one: the site's own layer, if that is in memory, will do."""

    @apply_routes(route("jobs", save_user))
    def test_a_consumer_works_in_the_tests_transaction(self):
        Client().send_and_consume("jobs", {"name": "one"})
        assert User.objects.get().username == "one"
        assert Client().get_next_message("saved")["name"] == "one"
