"""A change is told when it is sure to stay; in the tests of a site, as simply as without."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.test import TestCase

from tests.django.binding.conftest import BY_SHELF
from tests.django.binding.shelves.models import Book, Item, Shelf
from txchannels.django import route
from txchannels.django.binding.websockets import WebsocketBinding
from txchannels.django.channel import Channel, Group
from txchannels.django.generic.websockets import WebsocketDemultiplexer
from txchannels.django.test import ChannelTestCase, TransactionChannelTestCase, WSClient
from txchannels.django.test.routes import apply_routes


@contextmanager
def rolled_back():
    """A transaction, or a savepoint, that comes to nothing."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def actions(sent):
    return [action for _, action, _ in sent()]


@pytest.fixture(autouse=True)
def _rows(rows):
    pass


# In transactions


def test_nothing_is_told_before_the_commit_and_then_all_in_order(bind, sent):
    bind()
    with transaction.atomic():
        item = Item.objects.create(name="a")
        with transaction.atomic():
            item.name = "b"
            item.save()
        item.delete()
        assert sent() == []
    assert [(action, data["name"]) for _, action, data in sent()] == [
        ("create", "a"),
        ("update", "b"),
        ("delete", "b"),
    ]


def test_what_is_rolled_back_is_told_to_nobody(bind, sent):
    bind()
    with rolled_back():
        Item.objects.create(name="a")
    assert sent() == []


def test_what_is_rolled_back_to_a_savepoint_is_told_to_nobody(bind, sent):
    bind()
    with transaction.atomic():
        Item.objects.create(name="a")
        with rolled_back():
            Item.objects.create(name="b")
        Item.objects.create(name="c")
    assert [data["name"] for _, _, data in sent()] == ["a", "c"]


def test_a_delete_is_told_after_its_own_transaction(bind, sent):
    item = Item.objects.create(name="a")
    Book.objects.create(name="b")
    bind()
    item.delete()
    Book.objects.get().delete()
    assert set(actions(sent)) == {"delete"}


def test_a_binding_may_choose_not_to_wait(bind, sent):
    bind(send_on_commit=False)
    with rolled_back():
        Item.objects.create(name="a")
    assert actions(sent) == ["create"]


def test_without_autocommit_nobody_can_know_and_it_is_told_at_once(bind, sent):
    bind()
    transaction.set_autocommit(False)
    try:
        Item.objects.create(name="a")
        assert actions(sent) == ["create"]
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def test_in_a_consumer_it_goes_out_when_the_consumer_ends(bind, sent, consumer_runs):
    from txchannels.django.message import pending_message_store

    bind()
    with transaction.atomic():
        Item.objects.create(name="a")
    assert sent() == []
    pending_message_store.send_all()
    assert actions(sent) == ["create"]


# In a site's tests


class ItemBinding(WebsocketBinding):
    model = None
    fields = ("name", "shelf")
    stream = "items"
    channel_session_user = False

    @classmethod
    def group_names(cls, instance):
        return ["items"]

    def has_permission(self, user, action, pk):
        return True


class Told:
    """A test case whose binding ends with it, and a client in the binding's group."""

    def setUp(self):
        body = {"__module__": __name__, "model": Item}
        self.binding = type(ItemBinding)("BoundItemBinding", (ItemBinding,), body)
        self.addCleanup(self.binding.unregister)
        self.client = WSClient()
        self.client.join_group("items")

    def heard(self):
        found = []
        while (frame := self.client.receive()) is not None:
            found.append(frame["payload"]["action"])
        return found

    def demultiplexer(self):
        return WebsocketDemultiplexer.as_route({"consumers": {"items": self.binding.consumer}})

    def ask(self, **payload):
        text = {"stream": "items", "payload": payload}
        with apply_routes([self.demultiplexer()]):
            self.client.send_and_consume("websocket.receive", text=text)


@pytest.mark.usefixtures("shelves")
class ToldAtOnce(Told, ChannelTestCase):
    """A plain test: it is in a transaction that is never committed."""

    def test_changes_are_heard(self):
        item = Item.objects.create(name="a")
        assert self.heard() == ["create"]
        item.save()
        assert self.heard() == ["update"]
        Item.objects.filter(pk=item.pk).delete()
        assert self.heard() == ["delete"]

    def test_a_child_is_heard(self):
        book = Book.objects.create(name="a")
        book.delete()
        assert set(self.heard()) == {"create", "delete"}

    def test_what_clients_ask_for_is_heard(self):
        self.ask(action="create", data={"name": "a"})
        pk = Item.objects.get().pk
        self.ask(action="update", pk=pk, data={"name": "b"})
        self.ask(action="delete", pk=pk)
        assert self.heard() == ["create", "update", "delete"]

    def test_what_is_refused_leaves_the_tests_transaction_intact(self):
        Item.objects.create(name="a", shelf=Shelf.objects.create(name="s"))
        pk = Item.objects.get().pk
        self.heard()
        self.ask(action="update", pk=pk, data={"shelf": 1000})
        self.ask(action="update", pk=pk + 1, data={"name": "b"})
        assert self.heard() == ["error", "delete"]
        assert Item.objects.get().name == "a"

    def test_the_codes_own_transactions_are_carried_out_as_djangos_tests_do(self):
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            Item.objects.create(name="a").delete()
            assert self.heard() == []
        assert self.heard() == ["create", "delete"]

    def test_what_the_code_rolls_back_is_not_heard(self):
        with self.captureOnCommitCallbacks(execute=True), rolled_back():
            Item.objects.create(name="a")
        assert self.heard() == []


@pytest.mark.usefixtures("shelves")
class ToldOnCommit(Told, TransactionChannelTestCase):
    """A test with real transactions: all is as on the site."""

    available_apps = None

    def _fixture_teardown(self):
        """The `rows` of this file empties the tables."""

    def test_commits_are_heard_and_rolled_back_changes_are_not(self):
        with transaction.atomic():
            Item.objects.create(name="a")
            assert self.heard() == []
        assert self.heard() == ["create"]
        with rolled_back():
            Item.objects.all().delete()
        assert self.heard() == []

    def test_a_consumers_transaction_is_told_when_it_ends(self):
        def rename(message):
            with transaction.atomic():
                Item.objects.create(name="a")
            Group("items").send({"text": json.dumps({"payload": {"action": "end"}})})

        with apply_routes([route("rename", rename)]):
            Channel("rename").send({})
            self.client.consume("rename")
        assert self.heard() == ["create", "end"]


class PlainDjangoTest(TestCase):
    """Django's own test case, which knows nothing of layers."""

    def test_its_blocks_are_what_tells_it_apart(self):
        blocks = connection.atomic_blocks
        assert blocks
        assert all(block._from_testcase for block in blocks)


def test_moves_within_one_transaction_are_told_one_by_one(bind, sent):
    one, two = (Shelf.objects.create(name=name) for name in ("one", "two"))
    item = Item.objects.create(name="a", shelf=one)
    bind(group_names=BY_SHELF)
    with transaction.atomic():
        item.shelf = two
        item.save()
        item.shelf = one
        item.save()
    assert [(group[-1] == str(one.pk)[-1], action) for group, action, _ in sent()] == [
        (True, "delete"),
        (False, "create"),
        (False, "delete"),
        (True, "create"),
    ]
