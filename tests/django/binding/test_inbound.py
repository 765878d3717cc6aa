"""What clients ask for, done: rows and relations."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils.timezone import get_default_timezone

from tests.django.binding.conftest import create, update
from tests.django.binding.shelves.models import (
    Book,
    Code,
    Item,
    ItemOnPaper,
    Shelf,
    Tag,
    Token,
)

pytestmark = pytest.mark.usefixtures("rows")


# What is done


def test_a_client_creates_updates_and_deletes(bind, ask, sent):
    binding = bind()
    assert ask(binding, create(name="a", amount=5)) == []
    item = Item.objects.get()
    assert (item.name, item.amount) == ("a", 5)
    assert ask(binding, update(item.pk, amount=6)) == []
    item.refresh_from_db()
    assert (item.name, item.amount) == ("a", 6)
    assert ask(binding, {"action": "delete", "pk": item.pk, "data": {}}) == []
    assert Item.objects.count() == 0
    assert [action for _, action, _ in sent()] == ["create", "update", "delete"]


def test_a_delete_needs_no_data_and_a_key_may_be_text(bind, ask):
    item = Item.objects.create(name="a")
    assert ask(bind(), {"action": "delete", "pk": str(item.pk)}) == []
    assert Item.objects.count() == 0


def test_what_the_whitelist_does_not_have_is_ignored(bind, ask):
    binding = bind(fields=["name"])
    ask(binding, create(name="a", amount=5, done=True, owner="me", nonsense=1, id=77, pk=77))
    item = Item.objects.get()
    assert (item.amount, item.done, item.owner) == (0, False, "nobody")
    assert item.pk != 77
    ask(binding, update(item.pk, name="b", amount=5, owner="me", id=78))
    item = Item.objects.get()
    assert (item.name, item.amount, item.owner) == ("b", 0, "nobody")


def test_what_is_excluded_is_ignored(bind, ask):
    binding = bind(fields=None, exclude=["amount"])
    ask(binding, create(name="a", amount=5, done=True))
    item = Item.objects.get()
    assert (item.amount, item.done) == (0, True)


def test_what_is_not_editable_and_files_are_never_written(bind, ask):
    binding = bind(fields="__all__")
    ask(binding, create(name="a", owner="me", plan="../../secret.txt", id=77))
    item = Item.objects.get()
    assert (item.owner, item.plan.name) == ("nobody", "")
    assert item.pk != 77
    binding.unregister()
    named = bind(fields=["name", "owner", "plan"])
    ask(named, update(item.pk, owner="me", plan="secret.txt"))
    item = Item.objects.get()
    assert (item.owner, item.plan.name) == ("nobody", "")


def test_an_update_changes_no_other_field(bind, ask):
    item = Item.objects.create(name="a", amount=5)
    ask(bind(fields=["name", "amount", "done"]), update(item.pk, done=True))
    item.refresh_from_db()
    assert (item.name, item.amount, item.done) == ("a", 5, True)


def test_a_row_is_not_kept_from_changing_by_what_the_client_has_not_sent(bind, ask):
    item = Item.objects.create(name="too long " * 5, amount=5)
    assert ask(bind(), update(item.pk, amount=6)) == []
    item.refresh_from_db()
    assert item.amount == 6


def test_values_become_those_of_their_fields(bind, ask):
    values = {
        "name": "a",
        "amount": "7",
        "done": "True",
        "price": 1.5,
        "due": "2026-01-02T03:04:05Z",
        "day": "2026-01-02",
        "stars": 3,
        "more": {"deep": [None, True]},
    }
    assert ask(bind(fields="__all__"), create(**values)) == []
    item = Item.objects.get()
    assert (item.amount, item.done, item.price) == (7, True, Decimal("1.50"))
    assert item.due == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (item.day.isoformat(), item.stars) == ("2026-01-02", 3.0)
    assert item.more == {"deep": [None, True]}


def test_a_time_without_a_zone_is_the_sites(bind, ask):
    assert ask(bind(fields="__all__"), create(name="a", due="2026-01-02T03:04")) == []
    assert Item.objects.get().due == datetime(2026, 1, 2, 3, 4, tzinfo=get_default_timezone())


def test_nothing_is_what_an_empty_text_means_for_a_number(bind, ask):
    binding = bind(fields="__all__")
    item = Item.objects.create(name="a", price=3)
    assert ask(binding, update(item.pk, price="", due="", more={})) == []
    item.refresh_from_db()
    assert item.price is None


def test_a_new_row_never_overwrites_one(bind, ask):
    Code.objects.create(code="abc", name="old")
    binding = bind(model=Code, fields=["code", "name"])
    [answer] = ask(binding, create(code="abc", name="new"))
    assert answer["errors"] == {"code": ["Code with this Code already exists."]}
    assert Code.objects.get().name == "old"
    assert ask(binding, create(code="xyz", name="new")) == []
    assert Code.objects.get(pk="xyz").name == "new"


def test_a_key_is_never_changed(bind, ask):
    Code.objects.create(code="abc", name="old")
    assert ask(bind(model=Code, fields=["code", "name"]), update("abc", code="xyz", name="b")) == []
    assert list(Code.objects.values_list("code", "name")) == [("abc", "b")]


@pytest.mark.parametrize(("fields", "chosen"), [("__all__", False), (["id", "name"], True)])
def test_a_key_with_a_default_is_the_clients_only_where_it_is_named(bind, ask, fields, chosen):
    key = uuid.UUID(int=9)
    assert ask(bind(model=Token, fields=fields), create(id=str(key), name="a")) == []
    assert (Token.objects.get().pk == key) is chosen


def test_a_child_is_created_with_its_parents_fields(bind, ask):
    assert ask(bind(model=Book, fields="__all__"), create(name="a", pages=3, item_ptr=99)) == []
    book = Book.objects.get()
    assert (book.name, book.pages) == ("a", 3)


def test_rows_of_all_kinds_of_keys_are_updated(bind, ask):
    book = Book.objects.create(name="a", pages=1)
    token, code = Token.objects.create(name="a"), Code.objects.create(code="x")
    bindings = {
        book.pk: bind(model=Book, fields=["name", "pages"]),
        str(token.pk): bind(model="shelves.Token", fields=["name"]),
        code.pk: bind(model=Code, fields=["name"]),
    }
    for pk, binding in bindings.items():
        assert ask(binding, update(pk, name="b", pages=2)) == []
    item = ItemOnPaper.objects.create(name="a")
    assert ask(bind(model=ItemOnPaper), update(item.pk, name="c")) == []
    assert Book.objects.get(name="b").pages == 2
    for row in (token, code, item):
        row.refresh_from_db()
    assert (token.name, code.name, item.name) == ("b", "b", "c")


# Relations


def test_a_foreign_key_is_a_key_or_a_natural_one_or_nothing(bind, ask):
    shelf = Shelf.objects.create(name="s")
    binding = bind()
    assert ask(binding, create(name="a", shelf=shelf.pk)) == []
    assert ask(binding, create(name="b", shelf=["s"])) == []
    assert ask(binding, create(name="c", shelf=str(shelf.pk))) == []
    assert set(Item.objects.values_list("shelf", flat=True)) == {shelf.pk}
    pk = Item.objects.get(name="a").pk
    assert ask(binding, update(pk, shelf=None)) == []
    assert Item.objects.get(name="a").shelf is None


@pytest.mark.parametrize(
    "value", [1000, 10**30, -1, "x", "", 1.5, True, {}, [], ["nobody"], ["a", "b"], [[1]], "\0"]
)
def test_a_foreign_key_to_nothing_is_refused(bind, ask, caplog, value):
    Shelf.objects.create(name="s")
    [*answers] = ask(bind(), create(name="a", shelf=value))
    if value == "":
        assert answers == []
    else:
        [answer] = answers
        assert list(answer["errors"]) == ["shelf"]
        assert Item.objects.count() == 0
    assert caplog.records == []


def test_links_are_set_and_sent_along(bind, ask, sent):
    tags = [Tag.objects.create(name=name) for name in "xy"]
    binding = bind(fields=["name", "tags"])
    assert ask(binding, create(name="a", tags=[tag.pk for tag in tags])) == []
    item = Item.objects.get()
    assert sorted(item.tags.values_list("name", flat=True)) == ["x", "y"]
    *_, (_, action, data) = sent()
    assert (action, sorted(data["tags"])) == ("update", [tag.pk for tag in tags])
    assert ask(binding, update(item.pk, tags=[])) == []
    assert [data["tags"] for _, _, data in sent()] == [[]]


@pytest.mark.parametrize(
    "value", [1, "x", None, {}, [1000], [10**30], ["x"], [None], [True], [[1]], list(range(2000))]
)
def test_links_to_nothing_are_refused(bind, ask, caplog, value):
    [answer] = ask(bind(fields=["name", "tags"]), create(name="a", tags=value))
    assert list(answer["errors"]) == ["tags"]
    assert Item.objects.count() == 0
    assert caplog.records == []


def test_links_that_there_must_be_are_asked_for(bind, ask):
    tag = Tag.objects.create(name="x")
    binding = bind(model=Code, fields="__all__")
    for data in ({"code": "a"}, {"code": "a", "tags": []}):
        [answer] = ask(binding, create(**data))
        assert answer["errors"] == {"tags": ["This field cannot be blank."]}
    assert ask(binding, create(code="a", tags=[tag.pk])) == []
    assert ask(binding, update("a", name="b")) == []


def test_a_row_whose_links_fail_is_not_made(bind, ask, sent, monkeypatch):
    tag = Tag.objects.create(name="x")
    binding = bind(fields=["name", "tags"])
    monkeypatch.setattr(Item, "tags", property(lambda self: 1 / 0))
    ask(binding, create(name="a", tags=[tag.pk]))
    monkeypatch.undo()
    assert Item.objects.count() == 0
    assert sent() == []
