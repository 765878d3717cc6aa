"""Tables, bindings that end with their test, and what was sent to whom."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management.color import no_style
from django.db import connection

from tests.django.binding.shelves import models
from txchannels.django.asgi import channel_layers
from txchannels.django.binding.websockets import WebsocketBinding
from txchannels.django.dispatch import Dispatcher
from txchannels.django.generic.websockets import WebsocketDemultiplexer
from txchannels.django.routing import Router


@pytest.fixture(scope="session")
def shelves(tables: None) -> None:
    with connection.schema_editor() as editor:
        for model in models.ALL:
            editor.create_model(model)


@pytest.fixture
def rows(shelves: None) -> Iterator[None]:
    """No rows before and after the test; committed, so that threads see them."""
    yield
    many = [field.remote_field.through for model in models.ALL for field in own_links(model)]
    tables = [model._meta.db_table for model in (*models.ALL, *many)]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables))


def own_links(model):
    return model._meta.local_many_to_many


@pytest.fixture
def bind() -> Iterator[Callable[..., Any]]:
    """Makes a binding of items; keyword arguments are its attributes."""
    made = []

    def make(base=WebsocketBinding, **attributes):
        body = {
            "__module__": __name__,
            "__qualname__": "ItemBinding",
            "model": models.Item,
            "stream": "items",
            "fields": ["name", "amount", "shelf"],
            "group_names": classmethod(lambda cls, instance: ["items"]),
            "has_permission": lambda self, user, action, pk: True,
            "channel_session_user": False,
            **attributes,
        }
        made.append(type(base)("ItemBinding", (base,), body))
        return made[-1]

    yield make
    for binding in made:
        binding.unregister()


def by_shelf(cls, instance):
    return [f"shelf-{instance.shelf_id}"] if instance.shelf_id else []


BY_SHELF = classmethod(by_shelf)


@pytest.fixture
def sent(layer) -> Callable[[], list[tuple[str, str, Any]]]:
    """What was sent since the last call: group, action, and data with the primary key."""

    def look():
        messages = list(layer.sent_to_groups)
        layer.sent_to_groups.clear()
        found = []
        for group, message in messages:
            payload = json.loads(message["text"])["payload"]
            found.append((group, payload["action"], payload["data"]))
        return found

    return look


@pytest.fixture
def payloads(layer) -> Callable[[], list[Any]]:
    """The frames that groups were sent since the last call."""

    def look():
        messages = list(layer.sent_to_groups)
        layer.sent_to_groups.clear()
        return [json.loads(message["text"]) for _, message in messages]

    return look


@pytest.fixture
def ask(layer, caplog):
    """Hands a binding a payload, as its demultiplexer does; returns what was answered."""
    caplog.set_level(logging.WARNING, logger="django.channels")

    def hand(binding, payload=None, *, text=None, **frame):
        consumers = {"items": binding.consumer}
        demultiplexer = WebsocketDemultiplexer.as_route({"consumers": consumers})
        if text is None and not frame:
            text = json.dumps({"stream": "items", "payload": payload})
        content = {"reply_channel": "sockets!a", "path": "/", "text": text, **frame}
        layer.waiting.clear()
        Dispatcher(channel_layers["default"], Router([demultiplexer]))("websocket.receive", content)
        return [_payload(reply) for reply in layer.on("sockets!a")]

    return hand


def _payload(reply):
    if "text" not in reply:
        return reply
    frame = json.loads(reply["text"])
    assert frame["stream"] == "items"
    return frame["payload"]


def create(**data):
    return {"action": "create", "data": data}


def update(pk, **data):
    return {"action": "update", "pk": pk, "data": data}


@pytest.fixture
def open_socket_of(make_message):
    """Calls a binding's consumer itself, as a route does."""

    def make(binding):
        def receive(order, payload, **fields):
            message = make_message(path="/", order=order, text=json.dumps(payload), **fields)
            binding.consumer(message)

        return receive

    return make


@pytest.fixture
def two_shelves():
    return models.Shelf.objects.create(name="one"), models.Shelf.objects.create(name="two")
