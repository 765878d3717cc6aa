"""Whom a change of a row is told to, and as what."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.django.binding.conftest import BY_SHELF
from tests.django.binding.shelves.models import (
    Item,
    Shelf,
    Tag,
)
from txchannels.django.asgi import ChannelLayerWrapper, channel_layers
from txchannels.django.binding import Binding
from txchannels.errors import LayerUnavailable, MessageTooLarge

pytestmark = pytest.mark.usefixtures("rows")


# The form


def test_a_message_names_the_stream_the_action_the_key_the_model_and_the_data(bind, payloads):
    bind()
    item = Item.objects.create(name="a", amount=3)
    [frame] = payloads()
    assert frame == {
        "stream": "items",
        "payload": {
            "action": "create",
            "pk": item.pk,
            "data": {"name": "a", "amount": 3, "shelf": None},
            "model": "shelves.item",
        },
    }


def test_values_are_those_of_djangos_serializers(bind, sent):
    bind(fields="__all__")
    shelf = Shelf.objects.create(name="s")
    Item.objects.create(
        name="a",
        shelf=shelf,
        price=Decimal("1.50"),
        due=datetime(2026, 1, 2, 3, 4, 5, 678900, UTC),
        day=date(2026, 1, 2),
        more={"deep": [1]},
        plan="plan.txt",
    )
    [(_, _, data)] = sent()
    assert data == {
        "shelf": shelf.pk,
        "name": "a",
        "amount": 0,
        "done": False,
        "price": "1.50",
        "due": "2026-01-02T03:04:05.678Z",
        "day": "2026-01-02",
        "stars": None,
        "more": {"deep": [1]},
        "plan": "plan.txt",
        "owner": "nobody",
        "tags": [],
    }


def test_links_are_lists_of_keys(bind, sent):
    item = Item.objects.create(name="a")
    tags = [Tag.objects.create(name=name) for name in "xy"]
    item.tags.set(tags)
    bind(fields=["tags"])
    item.save()
    [(_, _, data)] = sent()
    assert sorted(data["tags"]) == [tag.pk for tag in tags]


# Save and delete


def test_create_update_and_delete_are_told(bind, sent):
    bind()
    item = Item.objects.create(name="a")
    item.name = "b"
    item.save()
    item.delete()
    assert [(group, action, data["name"]) for group, action, data in sent()] == [
        ("items", "create", "a"),
        ("items", "update", "b"),
        ("items", "delete", "b"),
    ]


def test_a_row_that_moves_is_deleted_updated_and_created_in_this_order(bind, sent, two_shelves):
    def names(cls, instance):
        return ["all", f"shelf-{instance.shelf.name}"]

    one, two = two_shelves
    bind(group_names=classmethod(names))
    item = Item.objects.create(name="a", shelf=one)
    sent()
    item.shelf = two
    item.save()
    assert [(group, action) for group, action, _ in sent()] == [
        ("shelf-one", "delete"),
        ("all", "update"),
        ("shelf-two", "create"),
    ]


def test_a_group_that_a_row_has_left_is_not_shown_what_it_has_become(bind, sent, two_shelves):
    one, two = two_shelves
    bind(group_names=BY_SHELF)
    item = Item.objects.create(name="public", shelf=one)
    sent()
    item.name, item.shelf = "secret", two
    item.save()
    [(_, _, left), (_, _, joined)] = sent()
    assert (left["name"], left["shelf"]) == ("public", one.pk)
    assert (joined["name"], joined["shelf"]) == ("secret", two.pk)


def test_a_row_of_no_group_is_told_to_nobody(bind, sent, two_shelves):
    bind(group_names=BY_SHELF)
    item = Item.objects.create(name="a")
    assert sent() == []
    item.shelf = two_shelves[0]
    item.save()
    assert [action for _, action, _ in sent()] == ["create"]
    item.shelf = None
    item.save()
    assert [action for _, action, _ in sent()] == ["delete"]


def test_none_and_doubled_groups_are_fine_and_a_text_is_not(bind, sent):
    none = bind(group_names=classmethod(lambda cls, instance: None))
    Item.objects.create(name="a")
    assert sent() == []
    none.unregister()
    twice = bind(group_names=classmethod(lambda cls, instance: ["x", "x"]))
    Item.objects.create(name="b")
    assert [group for group, _, _ in sent()] == ["x"]
    twice.unregister()
    bind(group_names=classmethod(lambda cls, instance: "items"))
    with pytest.raises(TypeError, match=r"must return a list of names, not the text 'items'"):
        Item.objects.create(name="c")


@pytest.mark.parametrize("empty", [{}, None])
def test_an_empty_payload_is_not_sent(bind, payloads, empty):
    bind(serialize=lambda self, instance, action: empty if action == "create" else [action])
    item = Item.objects.create(name="a")
    item.save()
    assert [frame["payload"] for frame in payloads()] == [["update"]]


def test_serialize_knows_the_instance_and_what_came_with_the_signal(bind):
    seen = []

    def serialize(self, instance, action):
        seen.append((action, self.instance is instance, self.signal_kwargs))
        return {}

    bind(serialize=serialize)
    item = Item.objects.create(name="a")
    item.save()
    item.delete()
    assert [(action, same) for action, same, _ in seen] == [
        ("create", True),
        ("update", True),
        ("delete", True),
    ]
    assert [kwargs["using"] for _, _, kwargs in seen] == ["default"] * 3
    assert [kwargs.get("created") for _, _, kwargs in seen] == [True, False, None]


def test_each_binding_of_a_model_sends_for_itself(bind, payloads):
    bind(stream="one", fields=["name"])
    bind(stream="two", fields=["amount"])
    Item.objects.create(name="a")
    assert [(frame["stream"], list(frame["payload"]["data"])) for frame in payloads()] == [
        ("one", ["name"]),
        ("two", ["amount"]),
    ]


def test_a_binding_may_encode_otherwise(bind, layer):
    bind(
        Binding,
        serialize=lambda self, instance, action: action,
        encode=classmethod(lambda cls, stream, payload: {"bytes": f"{stream}:{payload}".encode()}),
    )
    Item.objects.create(name="a")
    assert layer.sent_to_groups == [("items", {"bytes": b"items:create"})]


def test_a_binding_may_be_on_another_layer(bind, layer):
    other = type(layer)()
    old = channel_layers.set("other", ChannelLayerWrapper(other, "other", []))
    try:
        bind(layer_alias="other")
        Item.objects.create(name="a")
        assert layer.sent_to_groups == []
        assert [group for group, _ in other.sent_to_groups] == ["items"]
    finally:
        channel_layers.set("other", old)


# A layer that fails


@pytest.mark.parametrize("error", [LayerUnavailable("away"), MessageTooLarge("2 MiB"), OSError()])
def test_a_row_is_saved_although_nobody_can_be_told(bind, layer, caplog, monkeypatch, error):
    def fail(group, message):
        raise error

    bind(group_names=classmethod(lambda cls, instance: ["a", "b"]))
    wrapper = channel_layers["default"]
    monkeypatch.setattr(wrapper, "send_group", fail)
    item = Item.objects.create(name="a")
    assert Item.objects.filter(pk=item.pk).exists()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert f"Could not tell group a of the create of shelves.item {item.pk}" in caplog.text
    assert ("Traceback" in caplog.text) == isinstance(error, OSError)
