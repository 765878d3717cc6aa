"""What a live test's daemon is told of the settings, and what it makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from txchannels.django import route
from txchannels.django.message import Message
from txchannels.django.test import handover
from txchannels.django.test.handover import IPC_BACKEND, MODULE, settings_of, write_settings
from txchannels.django.test.staticroutes import RoutesAndStaticFiles

MEMORY = "txchannels.layers.memory.MemoryLayer"
REDIS = "txchannels.layers.redis.RedisLayer"


def consumer(message):
    """Is only looked at."""


#: As the settings module of a site might have it.
ROUTES = [route("jobs", consumer)]


@pytest.fixture
def hand_over(tmp_path):
    """The settings as the daemon has them."""

    def hand_over(**changed):
        serving = {"alias": "default", "host": "localhost", "databases": ["default"]}
        serving |= {"socket": Path("/run/layer.sock"), "serve_static": False, **changed}
        write_settings(tmp_path, **serving)
        made: dict = {"__file__": str(tmp_path / f"{MODULE}.py")}
        exec((tmp_path / f"{MODULE}.py").read_text(), made)
        assert made["DATABASES"] == settings_of(made["__file__"])["DATABASES"]
        return made

    return hand_over


def test_the_sites_settings_are_there(hand_over):
    made = hand_over()
    assert made["INSTALLED_APPS"] == settings.INSTALLED_APPS
    assert made["SECRET_KEY"] == settings.SECRET_KEY
    assert made["ALLOWED_HOSTS"] == [*settings.ALLOWED_HOSTS, "localhost"]


def test_databases_are_those_of_the_test_run_and_no_others(hand_over):
    made = hand_over()
    assert made["DATABASES"]["default"]["NAME"] == settings.DATABASES["default"]["NAME"]
    made = hand_over(databases=[])
    assert made["DATABASES"]["default"]["ENGINE"] == "django.db.backends.dummy"


@override_settings(DEBUG=True, MINE={"a": (1, b"2", None), "path": Path("/x")})
def test_overridden_settings_are_handed_over(hand_over):
    made = hand_over()
    assert made["DEBUG"] is True
    assert made["MINE"] == {"a": (1, b"2", None), "path": "/x"}


def test_what_cannot_be_handed_over_is_named(hand_over):
    with (
        override_settings(MINE=[consumer]),
        pytest.raises(ImproperlyConfigured, match=r"MINE .*<function consumer.*a function cannot"),
    ):
        hand_over()
    with (
        override_settings(
            CHANNEL_LAYERS={"default": {"BACKEND": MEMORY, "CONFIG": {"clock": consumer}}}
        ),
        pytest.raises(ImproperlyConfigured, match="CHANNEL_LAYERS: a function cannot"),
    ):
        hand_over()


def test_settings_without_a_module_are_refused(hand_over, monkeypatch):
    bare = LazySettings()
    bare.configure(SECRET_KEY="x", ALLOWED_HOSTS=[])
    monkeypatch.setattr(handover, "settings", bare)
    with pytest.raises(ImproperlyConfigured, match="DJANGO_SETTINGS_MODULE"):
        hand_over()


def test_options_that_say_where_the_site_runs_are_left_out(hand_over, monkeypatch):
    options = {"PORT": 80, "NO_WORKERS": True, "PROCESSES": 4, "WS_MAX_MESSAGE": 5000}
    monkeypatch.setattr("tests.site.settings.TXCHANNELS", options, raising=False)
    assert hand_over()["TXCHANNELS"] == {"WS_MAX_MESSAGE": 5000}


# Layers


def test_without_the_setting_the_layer_is_the_daemons_own(hand_over):
    entry = hand_over()["CHANNEL_LAYERS"]["default"]
    assert entry["BACKEND"] == IPC_BACKEND
    assert entry["CONFIG"] == {"path": "/run/layer.sock"}
    assert entry["ROUTING"] == []


@pytest.mark.parametrize(
    ("entry", "backend", "config"),
    [
        ({"BACKEND": MEMORY, "CONFIG": {"capacity": 3}}, IPC_BACKEND, {"capacity": 3}),
        (
            {"BACKEND": MEMORY, "CONFIG": {"capacity": 3}, "TEST_CONFIG": {"expiry": 9}},
            IPC_BACKEND,
            {"expiry": 9},
        ),
        ({"BACKEND": REDIS, "CONFIG": {"hosts": ["redis://live"]}}, IPC_BACKEND, {}),
        (
            {"BACKEND": REDIS, "CONFIG": {}, "TEST_CONFIG": {"hosts": ["redis://test"]}},
            REDIS,
            {"hosts": ["redis://test"]},
        ),
    ],
)
def test_the_layer_that_is_served(hand_over, entry, backend, config):
    with override_settings(CHANNEL_LAYERS={"default": {**entry, "ROUTING": "a.b"}}):
        made = hand_over()["CHANNEL_LAYERS"]["default"]
    path = {"path": "/run/layer.sock"} if backend == IPC_BACKEND else {}
    assert made == {"BACKEND": backend, "CONFIG": {**config, **path}, "ROUTING": "a.b"}


def test_other_layers_are_in_memory_or_for_tests(hand_over):
    layers = {
        "default": {"BACKEND": MEMORY},
        "far": {"BACKEND": REDIS, "CONFIG": {"hosts": ["redis://live"]}},
        "near": {"BACKEND": REDIS, "TEST_CONFIG": {"hosts": ["redis://test"]}},
    }
    with override_settings(CHANNEL_LAYERS=layers):
        made = hand_over()["CHANNEL_LAYERS"]
    assert (made["far"]["BACKEND"], made["far"]["CONFIG"]) == (MEMORY, {})
    assert (made["near"]["BACKEND"], made["near"]["CONFIG"]) == (
        REDIS,
        {"hosts": ["redis://test"]},
    )


def test_routes_that_are_objects_are_the_settings_modules_own(hand_over, monkeypatch):
    layers = {"default": {"BACKEND": MEMORY, "ROUTING": ROUTES}}
    monkeypatch.setattr("tests.site.settings.CHANNEL_LAYERS", layers, raising=False)
    monkeypatch.setattr(settings, "CHANNEL_LAYERS", layers, raising=False)
    assert hand_over()["CHANNEL_LAYERS"]["default"]["ROUTING"] is ROUTES


# Static files


def test_static_files_come_after_the_sites_own_routes(hand_over):
    [made] = hand_over(serve_static=True)["CHANNEL_LAYERS"]["default"]["ROUTING"]
    assert isinstance(made, RoutesAndStaticFiles)
    assert made.channel_names() == set()  # the app is not installed
    apps = [*settings.INSTALLED_APPS, "django.contrib.staticfiles"]
    with override_settings(INSTALLED_APPS=apps, STATIC_URL="/static/"):
        made = RoutesAndStaticFiles([*ROUTES, route("http.request", consumer, path="/own/")])
        assert made.channel_names() == {"jobs", "http.request"}
        assert made.match(Message({}, "jobs", None)) == (consumer, {})
        assert made.match(Message({"path": "/own/"}, "http.request", None))[0] is consumer
        found = made.match(Message({"path": "/"}, "http.request", None))[0]
    assert type(found).__name__ == "StaticFilesConsumer"
