"""What clients ask for and do not get: they are told why."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.django.binding.conftest import create, update
from tests.django.binding.shelves.models import (
    Item,
    Loan,
    Shelf,
    Token,
)

pytestmark = pytest.mark.usefixtures("rows")


# What is refused


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": "x" * 21}, ["name"]),
        ({"name": ["x"]}, ["name"]),
        ({"name": {"x": 1}}, ["name"]),
        ({"name": True}, ["name"]),
        ({"name": "a\0b"}, ["name"]),
        ({"name": "\ud800"}, ["name"]),
        ({"name": "cursed"}, ["__all__"]),
        ({"name": "a", "amount": "many"}, ["amount"]),
        ({"name": "a", "amount": 1.5}, ["amount"]),
        ({"name": "a", "amount": None}, ["amount"]),
        ({"name": "a", "amount": ""}, ["amount"]),
        ({"name": "a", "amount": [1]}, ["amount"]),
        ({"name": "a", "amount": True}, ["amount"]),
        ({"name": "a", "done": 5}, ["done"]),
        ({"name": "a", "done": None}, ["done"]),
        ({"name": "a", "price": "NaN"}, ["price"]),
        ({"name": "a", "price": "1E+1000000"}, ["price"]),
        ({"name": "a", "price": 123456789}, ["price"]),
        ({"name": "a", "stars": "inf"}, ["stars"]),
        ({"name": "a", "stars": "nan"}, ["stars"]),
        ({"name": "a", "stars": "1e999"}, ["stars"]),
        ({"name": "a", "stars": 10**400}, ["stars"]),
        ({"name": "a", "due": "yesterday"}, ["due"]),
        ({"name": "a", "due": 5}, ["due"]),
        ({"name": "a", "due": "0001-01-01T00:00:00+14:00"}, ["due"]),
        ({"name": "a", "day": 5}, ["day"]),
        ({"name": "a", "day": "2026-02-30"}, ["day"]),
        ({"name": "a", "more": {"x": "\0"}}, ["more"]),
        ({"name": "a", "more": {"\ud800": 1}}, ["more"]),
        ({"name": "a", "more": None}, ["more"]),
        ({"amount": "many"}, ["amount", "name"]),
    ],
    ids=repr,
)
def test_values_that_do_not_fit_are_answered_with_what_is_wrong(bind, ask, caplog, data, fields):
    [answer] = ask(bind(fields="__all__"), create(**data))
    errors = answer.pop("errors")
    assert answer == {"action": "error", "request": "create", "pk": None, "model": "shelves.item"}
    assert sorted(errors) == fields
    assert all(text for texts in errors.values() for text in texts)
    assert Item.objects.count() == 0
    assert caplog.records == []


def test_a_number_that_no_database_keeps_is_refused(bind, ask):
    """By Django, or (before it knew the limits of SQLite) by the database."""
    [answer] = ask(bind(), create(name="a", amount=10**30))
    assert answer["errors"].keys() <= {"amount", "__all__"}
    assert Item.objects.count() == 0


def test_where_rows_can_be_locked_an_update_reads_and_writes_in_one_transaction(
    bind, ask, sent, monkeypatch
):
    item = Item.objects.create(name="a")
    binding = bind()
    monkeypatch.setattr(connection.features, "has_select_for_update", True)
    # What SQLite cannot understand is left out again.
    locked = []
    monkeypatch.setattr(
        connection.ops, "for_update_sql", lambda **options: locked.append(options) or ""
    )
    with CaptureQueriesContext(connection) as queries:
        assert ask(binding, update(item.pk, name="b")) == []
    statements = [query["sql"].split()[0] for query in queries]
    assert len(locked) == 1
    assert (statements[0], statements[-1]) == ("BEGIN", "COMMIT")
    assert "UPDATE" in statements
    assert [action for _, action, _ in sent()] == ["update"]
    [answer] = ask(binding, update(item.pk, name=""))
    assert list(answer["errors"]) == ["name"]
    [answer] = ask(binding, update(1000, name="c"))
    assert answer["action"] == "delete"
    assert [row.name for row in Item.objects.all()] == ["b"]


def test_an_update_that_does_not_fit_changes_nothing(bind, ask, sent):
    item = Item.objects.create(name="a", amount=1)
    binding = bind()
    [answer] = ask(binding, update(item.pk, name="b", amount="many"))
    assert (answer["request"], answer["pk"]) == ("update", item.pk)
    item.refresh_from_db()
    assert (item.name, item.amount) == ("a", 1)
    assert sent() == []


def test_rows_that_must_differ_do(bind, ask):
    shelf = Shelf.objects.create(name="s")
    _, two = (Item.objects.create(name=name, shelf=shelf) for name in "ab")
    [answer] = ask(bind(), update(two.pk, name="a"))
    assert answer["errors"] == {"__all__": ["Item with this Shelf and Name already exists."]}


def test_what_a_field_and_the_model_both_say_is_said_once(bind, ask):
    for data in ({}, {"name": ""}, {"name": None}):
        [answer] = ask(bind(), create(**data))
        texts = answer["errors"]["name"]
        assert texts.count("This field cannot be blank.") == 1


def test_an_error_quotes_no_more_than_a_little(bind, ask):
    [answer] = ask(bind(), create(name="a", amount="x" * 100_000))
    assert len(answer["errors"]["amount"][0]) <= 300


def test_what_the_database_refuses_is_answered_and_logged_in_a_line(bind, ask, caplog):
    """Two clients at once, say: each has looked before the other has saved."""
    item = Item.objects.create(name="a")
    Loan.objects.create(item=item)
    [answer] = ask(bind(), {"action": "delete", "pk": item.pk})
    assert answer["request"] == "delete"
    assert list(answer["errors"]) == ["__all__"]
    assert Item.objects.count() == 1
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.exc_info is None
    assert "ItemBinding could not delete" in record.getMessage()


@pytest.mark.parametrize("action", ["update", "delete"])
@pytest.mark.parametrize("pk", [1000, -1, 10**30])
def test_a_row_that_is_gone_is_dropped_from_the_page_that_still_shows_it(
    bind, ask, caplog, action, pk
):
    answers = ask(bind(), {"action": action, "pk": pk, "data": {"name": "b"}})
    assert answers == [{"action": "delete", "pk": pk, "data": {}, "model": "shelves.item"}]
    assert caplog.records == []
    assert Item.objects.count() == 0


def test_the_key_of_a_row_that_is_gone_is_as_the_client_knows_it(bind, ask):
    key = str(uuid.UUID(int=9))
    [answer] = ask(bind(model=Token, fields=["name"]), update(key, name="b"))
    assert (answer["action"], answer["pk"]) == ("delete", key)
