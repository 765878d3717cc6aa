"""Which binding classes are registered, when, and what is wrong with the others."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db import models as django_models

from tests.django.binding.shelves.models import Draft, Item, ItemOnPaper, Shelf
from txchannels.django import binding as package
from txchannels.django.binding import CREATE, DELETE, UPDATE, Binding, BindingMetaclass
from txchannels.django.binding.base import Binding as SameBinding
from txchannels.django.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers


def receivers_of(binding, model=Item):
    """How many receivers of *binding* the signals have for *model*."""
    signals = django_models.signals
    found = 0
    for name in ("pre_save", "post_save", "pre_delete", "post_delete"):
        signal = getattr(signals, name)
        own = getattr(binding, f"{name}_receiver")
        live = signal._live_receivers(model)
        live = live[0] if isinstance(live, tuple) else live
        found += sum(1 for each in live if (each[0] if isinstance(each, tuple) else each) == own)
    return found


def test_the_names_are_those_of_channels_1():
    assert (CREATE, UPDATE, DELETE) == ("create", "update", "delete")
    assert Binding is SameBinding
    assert package.base.CREATE is CREATE
    assert isinstance(WebsocketBinding, BindingMetaclass)


def test_a_class_that_is_made_later_is_registered_at_once(bind):
    assert receivers_of(bind()) == 4


def test_registering_twice_is_registering_once(bind):
    binding = bind()
    BindingMetaclass.register_all()
    binding.register()
    assert receivers_of(binding) == 4


def test_a_class_can_be_taken_away_again(bind, rows, sent):
    binding = bind()
    binding.unregister()
    binding.unregister()
    Item.objects.create(name="a")
    assert receivers_of(binding) == 0
    assert binding not in BindingMetaclass.binding_classes
    assert sent() == []


def test_a_model_may_be_named(bind):
    binding = bind(model="shelves.Item")
    assert binding.model is Item
    assert binding.model_label == "shelves.item"
    assert receivers_of(binding) == 4


def test_a_subclass_inherits_the_model_and_is_registered_itself(bind, rows, payloads):
    first = bind(model="shelves.Item")
    second = bind(first, model=first.model, stream="others")
    Item.objects.create(name="a")
    assert sorted(frame["stream"] for frame in payloads()) == ["items", "others"]
    assert receivers_of(second) == 4


def test_model_none_in_a_classs_own_body_makes_it_abstract(bind):
    class Base(WebsocketBinding):
        model = None
        fields = ("name",)
        stream = "x"

    class Between(Base):
        model = None

    bound = bind(Between)
    try:
        assert bound.model is Item
        assert "_senders" not in vars(Base)
        assert "_senders" not in vars(Between)
    finally:
        Base.unregister()
        Between.unregister()


def test_a_class_without_a_model_is_refused_by_name():
    with pytest.raises(ValueError, match=r"test_registration.*Lost has no model"):

        class Lost(WebsocketBinding):
            stream = "x"
            fields = ()


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"fields": None}, "has neither fields nor exclude"),
        ({"stream": None}, "has no stream"),
        ({"stream": ""}, "has no stream"),
        ({"model": "shelves.Nothing"}, "names the model 'shelves.Nothing': App 'shelves'"),
        ({"model": "nowhere.Item"}, "names the model 'nowhere.Item': No installed app"),
        ({"model": "Item"}, "names the model 'Item'"),
        ({"model": Draft}, "which is none that has rows"),
        ({"model": object}, "which is none that has rows"),
        ({"fields": ["name", "nmae"]}, "has fields that shelves.item does not: nmae"),
        ({"fields": None, "exclude": ["secret"]}, "has exclude that shelves.item does not: secret"),
        ({"fields": "name"}, "has fields = 'name'; it must be a list"),
        ({"fields": None, "exclude": "name"}, "has exclude = 'name'; it must be a list"),
    ],
)
def test_what_cannot_work_is_refused_by_name_and_leaves_nothing(bind, attributes, words):
    before = list(BindingMetaclass.binding_classes)
    with pytest.raises(ValueError, match=r"The binding .*ItemBinding") as refused:
        bind(**attributes)
    assert words in str(refused.value)
    assert BindingMetaclass.binding_classes == before


def test_a_binding_without_a_stream_may_speak_something_else(bind):
    assert receivers_of(bind(Binding, stream=None)) == 4


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"fields": ["name"]}, {"name"}),
        ({"fields": ("amount", "name")}, {"name", "amount"}),
        ({"fields": None, "exclude": ["plan", "tags", "more"]}, None),
        ({"fields": "__all__"}, None),
        ({"fields": ["__all__"]}, None),
    ],
)
def test_fields_are_listed_or_all_or_all_but_some(bind, rows, sent, attributes, expected):
    bind(**attributes)
    Item.objects.create(name="a")
    [(_, _, data)] = sent()
    everything = {field.name for field in (*Item._meta.fields, *Item._meta.many_to_many)} - {"id"}
    assert set(data) == (expected or everything - set(attributes.get("exclude", ())))


def test_a_binding_that_lacks_a_definition_says_which(bind, rows):
    bare = bind(Binding)
    with pytest.raises(NotImplementedError, match=r"ItemBinding must define serialize"):
        Item.objects.create(name="a")
    with pytest.raises(NotImplementedError, match=r"must define encode"):
        bare.encode("x", {})
    with pytest.raises(NotImplementedError, match=r"must define deserialize"):
        bare().deserialize(None)
    bare.unregister()
    bind(group_names=Binding.group_names)
    with pytest.raises(NotImplementedError, match=r"must define group_names"):
        Item.objects.create(name="b")


def test_a_member_path_goes_through_what_can_be_called_and_stops_at_nothing(bind, rows, sent):
    bind(
        WebsocketBindingWithMembers,
        fields=[],
        send_members=["label", "label.upper", "shelf.name", "shelf_name", "tags.count"],
    )
    shelf = Shelf.objects.create(name="s")
    Item.objects.create(name="a", amount=2, shelf=shelf)
    Item.objects.create(name="b")
    one, two = (data for _, _, data in sent())
    assert one == {
        "label": "2 x a",
        "label__upper": "2 X A",
        "shelf__name": "s",
        "shelf_name": "s",
        "tags__count": 0,
    }
    assert (two["shelf__name"], two["shelf_name"]) == (None, None)


EARLY = """
import sys
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["txchannels.django", "django.contrib.contenttypes", "early"],
    CHANNEL_LAYERS={},
)
import types
early = types.ModuleType("early")
early.__path__ = []
sys.modules["early"] = early
models = types.ModuleType("early.models")
sys.modules["early.models"] = models
SOURCE = '''
from django.db import models
from txchannels.django.binding.websockets import WebsocketBinding

class EarlyBinding(WebsocketBinding):
    model = "early.Thing"
    stream = "things"
    %s

class Thing(models.Model):
    name = models.CharField(max_length=5)
'''
import importlib.abc, importlib.machinery
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name in ("early", "early.models"):
            return importlib.machinery.ModuleSpec(name, self, is_package=name == "early")
    def exec_module(self, module):
        if module.__name__ == "early":
            module.__file__ = "early/__init__.py"
        else:
            exec(SOURCE % sys.argv[1], vars(module))
del sys.modules["early"], sys.modules["early.models"]
sys.meta_path.insert(0, Finder())
import django
django.setup()
from early.models import EarlyBinding, Thing
print(EarlyBinding.model is Thing, EarlyBinding._senders == (Thing,))
"""


def run_early(line):
    return subprocess.run(
        [sys.executable, "-c", EARLY, line],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_classes_beside_models_are_registered_when_the_applications_are_ready():
    finished = run_early("fields = ['name']")
    assert finished.stdout == "True True\n", finished.stderr


def test_a_wrong_class_beside_models_stops_the_start():
    finished = run_early("")
    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: The binding early.models.EarlyBinding has neither fields")


def test_a_proxy_may_be_bound(bind):
    binding = bind(model=ItemOnPaper)
    assert binding.model_label == "shelves.itemonpaper"
    assert receivers_of(binding, Item) == 4
    assert receivers_of(binding, ItemOnPaper) == 4
