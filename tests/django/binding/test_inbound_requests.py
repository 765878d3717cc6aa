"""Who may ask, in what order, and what is no request at all."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import AnonymousUser

from tests.django.binding.conftest import create, update
from tests.django.binding.shelves.models import (
    Item,
)
from txchannels.django import route
from txchannels.django.binding import Binding
from txchannels.django.generic.websockets import WebsocketDemultiplexer, WebsocketMultiplexer
from txchannels.django.sessions import session_for_reply_channel
from txchannels.django.utils import name_that_thing

pytestmark = pytest.mark.usefixtures("rows")


# Who may


def test_what_is_not_allowed_is_ignored(bind, ask, caplog):
    asked = []

    def refuse(self, user, action, pk):
        asked.append((user, action, pk))
        return False

    item = Item.objects.create(name="a")
    binding = bind(has_permission=refuse)
    assert ask(binding, create(name="b")) == []
    assert ask(binding, update(str(item.pk), name="b")) == []
    assert ask(binding, {"action": "delete", "pk": item.pk}) == []
    assert ask(binding, {"action": "explode", "pk": item.pk, "data": {}}) == []
    assert [(action, pk) for _, action, pk in asked] == [
        ("create", None),
        ("update", item.pk),
        ("delete", item.pk),
        ("explode", item.pk),
    ]
    assert all(isinstance(user, AnonymousUser) for user, _, _ in asked)
    assert [row.name for row in Item.objects.all()] == ["a"]
    assert caplog.records == []


def test_permission_has_to_be_defined(bind, make_message):
    binding = bind(has_permission=Binding.has_permission)
    message = make_message(text=json.dumps(create(name="a")))
    with pytest.raises(NotImplementedError, match=r"ItemBinding must define has_permission"):
        binding.consumer(message)
    assert Item.objects.count() == 0


def test_rows_out_of_sight_are_as_if_gone(bind, ask):
    mine, other = Item.objects.create(name="a", owner="me"), Item.objects.create(name="b")
    binding = bind(get_queryset=lambda self: Item.objects.filter(owner="me"))
    assert ask(binding, update(mine.pk, amount=5)) == []
    for action in ("update", "delete"):
        [answer] = ask(binding, {"action": action, "pk": other.pk, "data": {"amount": 5}})
        assert answer["action"] == "delete"
    assert sorted(Item.objects.values_list("name", "amount")) == [("a", 5), ("b", 0)]


def test_an_instance_may_be_prepared_before_it_is_checked(bind, ask):
    def prepare(self, instance, action):
        instance.owner = f"{action}d by {self.user or 'nobody'}"[:20]

    assert ask(bind(prepare=prepare), create(name="a")) == []
    assert Item.objects.get().owner == "created by Anonymous"


def test_the_user_is_the_channel_sessions(bind, open_socket_of, database):
    seen = []

    def look(self, user, action, pk):
        seen.append((user.is_anonymous, self.message.channel_session.session_key[:3]))
        return False

    binding = bind(has_permission=look, channel_session_user=True)
    socket = open_socket_of(binding)
    socket(1, create(name="a"))
    assert seen == [(True, "chn")]


def test_a_channel_session_comes_without_a_user_too(bind, open_socket_of, database):
    seen = []

    def look(self, user, action, pk):
        seen.append((hasattr(self.message, "user"), user.is_anonymous))
        self.message.channel_session["seen"] = True
        return False

    binding = bind(has_permission=look, channel_session=True)
    open_socket_of(binding)(1, create(name="a"))
    assert seen == [(False, True)]
    assert session_for_reply_channel("sockets!a")["seen"]


# Order


def test_slight_ordering_is_refused(bind, make_message):
    binding = bind(slight_ordering=True)
    with pytest.raises(ValueError, match=r"ItemBinding sets slight_ordering, which is gone"):
        binding.consumer(make_message(text=json.dumps(create(name="a"))))


def test_an_ordered_binding_of_its_own_route_waits_for_its_turn(bind, open_socket_of, database):
    receive = open_socket_of(bind(strict_ordering=True))
    receive(1, create(name="second"))
    assert Item.objects.count() == 0
    receive(0, create(name="first"))
    assert [item.name for item in Item.objects.all()] == ["first"]


def test_an_ordered_binding_orders_its_demultiplexer(bind, make_message, database):
    class Streams(WebsocketDemultiplexer):
        consumers = {"items": bind(strict_ordering=True).consumer}  # noqa: RUF012

    def receive(order):
        frame = {"stream": "items", "payload": create(name=str(order))}
        return make_message(path="/", order=order, text=json.dumps(frame))

    Streams(receive(2))
    assert Item.objects.count() == 0
    Streams(make_message("websocket.connect", path="/", order=0))
    Streams(receive(1))
    assert [item.name for item in Item.objects.all()] == ["1"]


# Frames that are none


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "has no action"),
        ({"action": None, "data": {}}, "has no action"),
        ({"action": ["create"], "data": {}}, "has no action"),
        ({"action": "create"}, "has no data that is an object"),
        ({"action": "create", "data": None}, "has no data that is an object"),
        ({"action": "create", "data": [["name", "a"]]}, "has no data that is an object"),
        ({"action": "create", "data": "name"}, "has no data that is an object"),
        ({"action": "update", "pk": 1}, "has no data that is an object"),
        ({"action": "update", "data": {}}, "has no pk such as those of shelves.item: None"),
        ({"action": "update", "pk": None, "data": {}}, "has no pk"),
        ({"action": "update", "pk": "x", "data": {}}, "has no pk such as"),
        ({"action": "update", "pk": "1\0", "data": {}}, "has no pk"),
        ({"action": "update", "pk": 1.0, "data": {}}, "has no pk"),
        ({"action": "update", "pk": True, "data": {}}, "has no pk"),
        ({"action": "update", "pk": [1], "data": {}}, "has no pk"),
        ({"action": "delete", "pk": {"id": 1}}, "has no pk"),
        ({"action": "delete"}, "has no pk"),
        ({"action": "explode", "pk": 1, "data": {}}, "asks for an unknown action: 'explode'"),
        ({"action": "x" * 9999, "pk": 1, "data": {}}, "asks for an unknown action: 'xxx"),
        ({"action": "a\nb", "pk": 1, "data": {}}, r"asks for an unknown action: 'a\nb'"),
    ],
)
def test_what_is_no_request_closes_the_socket_with_1007_and_a_line(
    bind, ask, caplog, payload, words
):
    Item.objects.create(name="a")
    assert ask(bind(), payload) == [{"close": 1007}]
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.exc_info is None
    assert words in record.getMessage()
    assert len(record.getMessage().splitlines()) == 1
    assert len(record.getMessage()) < 500
    assert [item.name for item in Item.objects.all()] == ["a"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"bytes": b"{}", "text": None}, 1003),
        ({"text": "nonsense"}, 1007),
        ({"text": "[]"}, 1007),
        ({"text": "null"}, 1007),
        ({"text": '{"action": "create", "data": {"name": NaN}}'}, 1007),
        ({"text": '{"action": "create", "data": {"more": ' + "[" * 70 + "]" * 70 + "}}"}, 1007),
        ({"text": "[" * 100_000}, 1007),
    ],
)
def test_a_binding_without_a_demultiplexer_reads_as_carefully(
    bind, make_message, layer, caplog, fields, code
):
    from txchannels.django.asgi import channel_layers
    from txchannels.django.dispatch import Dispatcher
    from txchannels.django.routing import Router

    router = Router([route("websocket.receive", bind().consumer)])
    content = {"reply_channel": "sockets!a", "path": "/", **fields}
    Dispatcher(channel_layers["default"], router)("websocket.receive", content)
    assert layer.on("sockets!a") == [{"close": code}]
    [record] = caplog.records
    assert record.exc_info is None


def test_an_unknown_action_is_a_value_error_as_in_channels_1(bind, make_message):
    frame = {"action": "explode", "pk": 1, "data": {}}
    with pytest.raises(ValueError, match="unknown action"):
        bind().consumer(make_message(text=json.dumps(frame)))
    other = bind(Binding, deserialize=lambda self, message: ("explode", 1, {}))
    with pytest.raises(ValueError, match="The message asks for an unknown action"):
        other.consumer(make_message(text=""))


def test_a_site_may_know_more_actions(bind, ask):
    done = []

    def run_action(self, action, pk, data):
        if action == "explode":
            done.append((pk, data))
        else:
            super(type(self), self).run_action(action, pk, data)

    binding = bind(run_action=run_action)
    assert ask(binding, {"action": "explode", "pk": 1, "data": {"x": 1}}) == []
    assert ask(binding, create(name="a")) == []
    assert done == [(1, {"x": 1})]
    assert Item.objects.count() == 1


# The consumer


def test_connect_and_disconnect_are_not_for_a_binding(bind, make_message):
    binding = bind(deserialize=lambda self, message: 1 / 0)
    for channel in ("websocket.connect", "websocket.disconnect"):
        binding.consumer(make_message(channel))


def test_a_consumer_is_named_after_its_binding(bind):
    assert name_that_thing(bind().consumer) == "tests.django.binding.conftest.ItemBinding.consumer"


def test_without_a_demultiplexer_the_answer_names_the_bindings_own_stream(
    bind, make_message, layer
):
    binding = bind(stream="mine")
    binding.consumer(make_message(text=json.dumps(update(1000, name="a"))))
    [reply] = layer.on("sockets!a")
    assert json.loads(reply["text"])["stream"] == "mine"
    binding.consumer(make_message(reply_channel=None, text=json.dumps(update(1000, name="a"))))


def test_the_multiplexers_json_is_the_bindings(bind, payloads):
    class Versioned(WebsocketMultiplexer):
        @classmethod
        def encode_json(cls, content):
            return json.dumps({"v": 2, **content})

    bind(multiplexer_class=Versioned)
    Item.objects.create(name="a")
    assert [frame["v"] for frame in payloads()] == [2]


def test_what_a_request_is_about_is_on_the_binding(bind, make_message):
    seen = {}

    def run_action(self, action, pk, data):
        seen.update(vars(self))

    item = Item.objects.create(name="a")
    message = make_message(text=json.dumps(update(item.pk, name="b")))
    bind(run_action=run_action).consumer(message, room="x")
    assert seen.pop("user").is_anonymous
    assert seen == {
        "message": message,
        "kwargs": {"room": "x"},
        "action": "update",
        "pk": item.pk,
        "data": {"name": "b"},
    }
