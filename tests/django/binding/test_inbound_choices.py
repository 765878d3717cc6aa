"""Which rows a client may have a relation point to."""

from __future__ import annotations

import json

import pytest

from tests.django.binding.conftest import create, update
from tests.django.binding.shelves.models import Item, Shelf, ShelfManager, Tag

pytestmark = pytest.mark.usefixtures("rows")


@pytest.fixture
def hides(monkeypatch):
    """The default manager of shelves does not show the one named hidden."""
    monkeypatch.setattr(
        ShelfManager,
        "get_queryset",
        lambda self: super(ShelfManager, self).get_queryset().exclude(name="hidden"),
    )


@pytest.mark.usefixtures("hides")
def test_what_the_default_manager_hides_is_for_no_client(bind, ask):
    hidden = Shelf._base_manager.create(name="hidden")
    answers = [
        ask(bind(), create(name="a", shelf=key)) for key in (hidden.pk, hidden.pk + 1, ["hidden"])
    ]
    assert [list(answer["errors"]) for [answer] in answers] == [["shelf"]] * 3
    said = [answer["errors"]["shelf"][0] for [answer] in answers]
    assert said[0].replace(str(hidden.pk), "") == said[1].replace(str(hidden.pk + 1), "")
    assert Item.objects.count() == 0


@pytest.mark.parametrize("key", [lambda row: row.pk, lambda row: [row.name]])
def test_a_binding_says_which_rows_its_client_may_choose(bind, ask, key):
    mine, other = (Shelf.objects.create(name=name) for name in ("mine", "other"))
    binding = bind(get_choices=lambda self, field: Shelf.objects.filter(name="mine"))
    assert ask(binding, create(name="a", shelf=key(mine))) == []
    [answer] = ask(binding, create(name="b", shelf=key(other)))
    assert list(answer["errors"]) == ["shelf"]
    item = Item.objects.get()
    [answer] = ask(binding, update(item.pk, shelf=key(other)))
    assert list(answer["errors"]) == ["shelf"]
    assert Item.objects.get().shelf == mine
    assert ask(binding, update(item.pk, shelf=None)) == []


def test_links_are_chosen_of_the_same(bind, ask):
    mine, other = (Tag.objects.create(name=name) for name in ("mine", "other"))
    asked = []

    def get_choices(self, field):
        asked.append(field.name)
        return Tag.objects.filter(name="mine")

    binding = bind(fields=["name", "tags"], get_choices=get_choices)
    assert ask(binding, create(name="a", tags=[mine.pk])) == []
    [answer] = ask(binding, create(name="b", tags=[mine.pk, other.pk]))
    assert list(answer["errors"]) == ["tags"]
    assert list(Item.objects.get().tags.all()) == [mine]
    assert asked == ["tags", "tags"]


def test_a_key_that_is_json_nested_too_deep_is_no_key(bind, ask, monkeypatch):
    # As keys of several fields are, where Django has them.
    monkeypatch.setattr(Item._meta.pk, "to_python", json.loads)
    [answer] = ask(bind(), update("[" * 100_000, name="a"))
    assert answer == {"close": 1007}
