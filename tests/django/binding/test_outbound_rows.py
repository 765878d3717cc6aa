"""What a binding takes for a new row, and for the row as it is."""

from __future__ import annotations

import json
import pickle
import uuid
from threading import Barrier, Thread

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from tests.django.binding.conftest import BY_SHELF
from tests.django.binding.shelves.models import (
    Book,
    Code,
    Item,
    ItemOnPaper,
    Token,
)

pytestmark = pytest.mark.usefixtures("rows")


# Which rows are new


def test_a_key_that_is_given_is_no_sign_of_an_older_row(bind, sent):
    bind(model=Code, fields=["name"])
    bind(model=Token, fields=["name"], stream="tokens")
    code = Code(code="abc", name="a")
    code.save()
    code.save()
    token = Token(name="b")
    token.save()
    token.save()
    assert [(action, data["name"]) for _, action, data in sent()] == [
        ("create", "a"),
        ("update", "a"),
        ("create", "b"),
        ("update", "b"),
    ]


def test_a_new_instance_that_overwrites_a_row_is_an_update(bind, sent, two_shelves):
    one, two = two_shelves
    Item.objects.create(pk=5, name="a", shelf=one)
    bind(group_names=BY_SHELF)
    Item(pk=5, name="b", shelf=one).save()
    Item(pk=5, name="c", shelf=two).save()
    assert [(action, data["name"]) for _, action, data in sent()] == [
        ("update", "b"),
        ("delete", "b"),
        ("create", "c"),
    ]


@pytest.mark.parametrize("names", [BY_SHELF, classmethod(lambda cls, instance: ["items"])])
def test_a_copy_under_another_key_is_new(bind, sent, two_shelves, names):
    item = Item.objects.create(name="a", shelf=two_shelves[0])
    bind(group_names=names)
    item.pk = 1000
    item.name = "b"
    item.save()
    assert [action for _, action, _ in sent()] == ["create"]


def test_the_key_of_a_uuid_is_sent_as_text(bind, payloads):
    bind(model=Token, fields=["name"])
    token = Token.objects.create(id=uuid.UUID(int=7), name="a")
    [frame] = payloads()
    assert frame["payload"]["pk"] == str(token.pk)


# What the row says


def test_what_is_sent_is_what_was_saved(bind, sent, two_shelves):
    """With update_fields, the instance's other values stay its own."""
    one, two = two_shelves
    item = Item.objects.create(name="a", amount=1, shelf=one)
    bind(group_names=BY_SHELF)
    item.name, item.amount, item.shelf = "b", 2, two
    item.save(update_fields=["name"])
    assert sent() == [(f"shelf-{one.pk}", "update", {"name": "b", "amount": 1, "shelf": one.pk})]
    assert (item.amount, item.shelf_id) == (2, two.pk)


def test_a_value_that_the_database_works_out_is_sent_as_a_value(bind, sent):
    item = Item.objects.create(name="a", amount=1)
    bind()
    item.amount = models.F("amount") + 5
    item.save()
    assert [data["amount"] for _, _, data in sent()] == [6]


def test_what_a_site_puts_on_an_instance_is_there_when_it_is_sent(bind):
    item = Item.objects.create(name="a")
    seen = []

    def serialize(self, instance, action):
        seen.append(instance.by_whom)
        return {}

    bind(serialize=serialize)
    item.by_whom = "ada"
    item.save()
    item.save(update_fields=["name"])
    assert seen == ["ada", "ada"]


def test_an_instance_that_was_loaded_in_part_is_sent_whole(bind, sent):
    Item.objects.create(name="a", amount=7)
    bind()
    item = Item.objects.only("name").get()
    item.name = "b"
    item.save()
    assert [data for _, _, data in sent()] == [{"name": "b", "amount": 7, "shelf": None}]


def test_groups_that_depend_on_nothing_cost_no_query(bind):
    item = Item.objects.create(name="a")
    bind()
    with CaptureQueriesContext(connection) as queries:
        item.save()
    assert len(queries) == 1


def test_groups_that_depend_on_the_row_cost_one(bind, two_shelves):
    item = Item.objects.create(name="a", shelf=two_shelves[0])
    bind(group_names=classmethod(lambda cls, row: [f"x{row.shelf_id}", row.name]))
    with CaptureQueriesContext(connection) as queries:
        item.save()
    assert len(queries) == 2
    with CaptureQueriesContext(connection) as queries:
        Item.objects.create(name="b")
    assert len(queries) == 1


# Other classes of the same rows


def test_a_row_that_is_saved_as_its_proxy_is_told(bind, sent):
    bind()
    row = ItemOnPaper.objects.create(name="a")
    row.save()
    row.delete()
    assert [action for _, action, _ in sent()] == ["create", "update", "delete"]


def test_a_binding_of_a_proxy_is_given_the_proxy(bind, sent):
    bind(
        model=ItemOnPaper,
        group_names=classmethod(lambda cls, instance: [instance.on_paper()]),
    )
    item = Item.objects.create(name="a")
    item.name = "b"
    item.save()
    item.delete()
    assert type(item) is Item
    assert [(group, action) for group, action, _ in sent()] == [
        ("paper-a", "create"),
        ("paper-a", "delete"),
        ("paper-b", "create"),
        ("paper-b", "delete"),
    ]


def test_a_child_is_told_with_the_fields_of_its_parent(bind, payloads):
    bind(model=Book, fields=["name", "pages"])
    book = Book.objects.create(name="a", pages=9)
    [frame] = payloads()
    assert frame["payload"] == {
        "action": "create",
        "pk": book.pk,
        "data": {"name": "a", "pages": 9},
        "model": "shelves.book",
    }


def test_a_child_is_a_row_of_its_parents_too(bind, payloads):
    bind(model=Item, fields=["name"])
    book = Book.objects.create(name="a", pages=9)
    book.name = "b"
    book.save()
    pk = book.pk
    book.delete()
    found = [frame["payload"] for frame in payloads()]
    assert {(each["pk"], each["model"]) for each in found} == {(pk, "shelves.item")}
    actions = [(each["action"], each["data"]["name"]) for each in found]
    assert actions[:2] == [("create", "a"), ("update", "b")]
    assert set(actions[2:]) == {("delete", "b")}


def test_rows_that_are_deleted_along_with_another_are_told(bind, sent, two_shelves):
    one, _ = two_shelves
    Item.objects.create(name="a", shelf=one)
    bind(group_names=BY_SHELF)
    gone = f"shelf-{one.pk}"
    one.delete()
    assert [(group, action) for group, action, _ in sent()] == [(gone, "delete")]


def test_what_sends_no_signal_is_not_told(bind, sent):
    bind()
    Item.objects.bulk_create([Item(name="a")])
    Item.objects.update(name="b")
    assert sent() == []


def test_fixtures_are_not_told(bind, sent, tmp_path):
    bind(group_names=classmethod(lambda cls, instance: [instance.shelf.name]))
    fixture = tmp_path / "items.json"
    fields = {"name": "a", "shelf": 77}
    rows = [
        {"model": "shelves.item", "pk": 1, "fields": fields},
        {"model": "shelves.shelf", "pk": 77, "fields": {"name": "later"}},
    ]
    fixture.write_text(json.dumps(rows))
    call_command("loaddata", fixture, verbosity=0)
    assert Item.objects.get().shelf.name == "later"
    assert sent() == []


# Instances


def test_nothing_stays_on_an_instance(bind):
    item = Item.objects.create(name="a")
    before = set(vars(item))
    bind()
    item.save()
    assert set(vars(item)) == before
    assert pickle.loads(pickle.dumps(item)).name == "a"


def test_a_save_that_saves_again_is_a_creation_all_the_same(bind, sent):
    def save_again(instance, created, **kwargs):
        if created:
            instance.amount = 9
            instance.save()

    post_save.connect(save_again, sender=Item)
    try:
        bind()
        Item.objects.create(name="a")
    finally:
        post_save.disconnect(save_again, sender=Item)
    assert sorted(action for _, action, _ in sent()) == ["create", "update"]


def test_a_save_that_fails_does_not_disturb_the_next(bind, sent, two_shelves):
    one, two = two_shelves
    Item.objects.create(name="a", shelf=one)
    item = Item.objects.create(name="b", shelf=two)
    bind(group_names=BY_SHELF)
    item.name, item.shelf = "a", one
    for _ in range(150):
        with pytest.raises(IntegrityError):
            item.save()
    assert sent() == []
    item.name = "c"
    item.save()
    assert [(group, action) for group, action, _ in sent()] == [
        (f"shelf-{two.pk}", "delete"),
        (f"shelf-{one.pk}", "create"),
    ]


def test_threads_that_save_one_instance_do_not_mix_up_what_was_before(bind, sent, two_shelves):
    """Both have looked at the row before either has changed it."""
    one, two = two_shelves
    item = Item.objects.create(name="a", shelf=one)
    binding = bind(group_names=BY_SHELF)
    item.shelf = two
    looked = Barrier(2, timeout=30)

    def change():
        binding.pre_change_receiver(item, "update", using="default")
        looked.wait()
        binding.post_change_receiver(item, "update", using="default")
        # A connection to a database in memory does not close itself.
        BaseDatabaseWrapper.close(connections["default"])

    threads = [Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted((group, action) for group, action, _ in sent()) == [
        (f"shelf-{one.pk}", "delete"),
        (f"shelf-{one.pk}", "delete"),
        (f"shelf-{two.pk}", "create"),
        (f"shelf-{two.pk}", "create"),
    ]
