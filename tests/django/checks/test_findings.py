"""Each finding: a site that has it, and the same site mended, which has not."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.core.checks import ERROR, WARNING, run_checks
from django.db import models
from django.test import override_settings

from tests.django.checks import consumers
from txchannels.django import include, route, route_class
from txchannels.django.checks import options
from txchannels.django.checks.reports import IDS

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")

MEMORY = "txchannels.layers.memory.MemoryLayer"
REDIS = "txchannels.layers.redis.RedisLayer"
CONNECT, RECEIVE = consumers.CONNECT, consumers.RECEIVE
POSTGRES = "django.db.backends.postgresql"
CELERY = {"CELERY_BROKER_URL": "redis://localhost"}

Settings = dict[str, Any]


def findings(**settings: Any) -> dict[str, Any]:
    """What ``check --deploy --tag txchannels`` finds, by number."""
    with override_settings(**{"MEDIA_ROOT": "/srv/media", **settings}):
        found = run_checks(tags=["txchannels"], include_deployment_checks=True)
    return {one.id.removeprefix("txchannels."): one for one in found}


def layers(*routing: Any, backend: str = MEMORY, **config: Any) -> Settings:
    """The default layer with this routing and CONFIG."""
    entry = {"BACKEND": backend, "ROUTING": list(routing), "CONFIG": config}
    return {"CHANNEL_LAYERS": {"default": entry}}


def redis(**config: Any) -> Settings:
    return layers(backend=REDIS, **config)


def own(**options: Any) -> Settings:
    return {"TXCHANNELS": options}


@dataclass
class Case:
    """One way to get a finding.

    Attributes:
        number: Of the finding.
        wrong: Settings that have it.
        right: What is set instead in a site that has not.
        says: A pattern that the message matches.
    """

    number: str
    wrong: Settings
    right: Settings = field(default_factory=dict)
    says: str = "."


WITHOUT_SESSIONS = ["django.contrib.auth", "django.contrib.contenttypes", "txchannels.django"]
WITHOUT_AUTH = ["django.contrib.sessions", "txchannels.django"]
BOTH_MIDDLEWARES = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ENGINE = "django.contrib.sessions.backends"
LOCAL_CACHE = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
SHARED_CACHE = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
STATIC = ["django.contrib.staticfiles", "txchannels.django"]


CASES = [
    Case("W009", {"CHANNEL_LAYERS": {"defualt": {"BACKEND": MEMORY}}}, layers(), "not 'defualt'"),
    Case(
        "W021",
        {"CHANNEL_LAYER": {}},
        {**layers(), "CHANNEL_LAYER": {}},
        "CHANNEL_LAYER is not read; did you mean CHANNEL_LAYERS",
    ),
    Case("W021", {"TXCHANNEL": {}}, {"TXCHANNEL": {}, **own()}, "mean TXCHANNELS"),
    Case(
        "W022",
        {"CHANNEL_LAYERS": {"default": {"BACKEND": MEMORY}}},
        {"CHANNEL_LAYERS": {"default": {"BACKEND": MEMORY, "ROUTING": []}}},
        r"CHANNEL_LAYERS\['default'\] has no ROUTING",
    ),
    Case(
        "W023",
        layers(route("websocket.recieve", consumers.plain)),
        layers(route("websocket.receive", consumers.plain)),
        "'websocket.recieve'.* mean 'websocket.receive'",
    ),
    Case(
        "W023",
        layers(include([route("websocket_connect", consumers.plain)])),
        layers(include([route("chat.receive", consumers.plain), route("jobs", consumers.plain)])),
        "mean 'websocket.connect'",
    ),
    Case("E001", {"CHANNEL_LAYERS": ["default"]}, layers(), "is a list, not a dict"),
    Case("E001", {"CHANNEL_LAYERS": None}, {"CHANNEL_LAYERS": {}}, "is None, not a dict"),
    Case("E001", {"CHANNEL_LAYERS": []}, layers(), "is a list, not a dict"),
    Case("E001", {"CHANNEL_LAYERS": {"default": MEMORY}}, layers(), "'default'.*str, not a dict"),
    Case("E001", {"CHANNEL_LAYERS": {"default": {}}}, layers(), "'default'.*no BACKEND"),
    Case("E001", {"CHANNEL_LAYERS": {5: {"BACKEND": MEMORY}}}, layers(), "named by no text"),
    Case(
        "E001",
        {"CHANNEL_LAYERS": {"default": {"BACKEND": MEMORY, "ROUTES": []}}},
        layers(),
        "unknown key 'ROUTES'",
    ),
    Case("E001", layers(backend="no.such.Layer"), layers(), "no module 'no'"),
    Case("E001", {"CHANNEL_LAYERS": {"default": {"BACKEND": 5}}}, layers(), "no text"),
    Case("E001", layers(hosts=[]), redis(), "takes no CONFIG key 'hosts'"),
    Case("E001", layers(expiry=-1), layers(expiry=1), r"^CHANNEL_LAYERS\['default'\]: expiry -1"),
    Case("E001", redis(hosts="redis://localhost"), redis(), "CONFIG.*not in a list"),
    Case(
        "E001",
        {"CHANNEL_LAYERS": {**layers()["CHANNEL_LAYERS"], "b": {"BACKEND": "x.Y"}}},
        layers(),
        r"CHANNEL_LAYERS\['b'\]",
    ),
    Case(
        "E001",
        layers(backend="tests.django.checks.consumers.BlockingLayer"),
        layers(),
        "by the daemon itself",
    ),
    Case(
        "E002",
        {"CHANNEL_LAYERS": {"default": {"BACKEND": MEMORY, "ROUTING": "no.such.routing"}}},
        says=r"CHANNEL_LAYERS\['default'\]\['ROUTING'\].*no module 'no'",
    ),
    Case(
        "E002",
        {
            "CHANNEL_LAYERS": {
                "default": {"BACKEND": MEMORY, "ROUTING": "tests.django.routings.broken.routing"}
            }
        },
        says=r"broken\.py, line \d+",
    ),
    Case("E002", layers("no route"), layers(route("a", consumers.plain)), "no route"),
    Case("E003", own(THREDS=3), own(THREADS=3), r"key 'THREDS'; did you mean THREADS\?$"),
    Case("E003", own(nothing_like_it=3), own(), r"unknown key 'nothing_like_it'\.$"),
    Case("E003", own(THREADS="many"), own(THREADS="3"), r"TXCHANNELS\['THREADS'\] 'many'"),
    Case("E003", own(MAX_AGE=0.5), own(MAX_AGE=5), "--max-age 0.5"),
    Case("E003", {"TXCHANNELS": ["THREADS"]}, own(), "is a list, not a dict"),
    Case("E003", {"TXCHANNELS": None}, own(), "is None, not a dict"),
    Case("E004", own(LAYER="other"), own(LAYER="default"), "'other'.*only: default"),
    Case(
        "E005",
        {"CHANNEL_SESSION_ENGINE": f"{ENGINE}.signed_cookies"},
        {"CHANNEL_SESSION_ENGINE": f"{ENGINE}.db"},
        "CHANNEL_SESSION_ENGINE.*in cookies",
    ),
    Case(
        "E005",
        {
            **layers(route(RECEIVE, consumers.with_channel_session)),
            "SESSION_ENGINE": f"{ENGINE}.signed_cookies",
        },
        {"CHANNEL_SESSION_ENGINE": f"{ENGINE}.cache"},
        "^SESSION_ENGINE.*in cookies",
    ),
    Case("E005", {"CHANNEL_SESSION_ENGINE": "no.such"}, says="cannot be imported.*No module"),
    Case(
        "E006",
        {
            **layers(route(RECEIVE, consumers.with_channel_session)),
            "INSTALLED_APPS": WITHOUT_SESSIONS,
        },
        {"SESSION_ENGINE": f"{ENGINE}.cache"},
    ),
    Case(
        "E007",
        {**layers(route_class(consumers.WithHttpUser)), "INSTALLED_APPS": WITHOUT_AUTH},
        {"INSTALLED_APPS": [*WITHOUT_SESSIONS, "django.contrib.sessions"]},
    ),
    Case(
        "W001",
        {**layers(route(CONNECT, consumers.plain)), **own(WS_ORIGIN=["*"])},
        own(WS_ORIGIN=["https://example.com"]),
        "consumers.plain:",
    ),
    Case(
        "W001",
        {**layers(route(RECEIVE, consumers.plain)), **own(WS_ORIGIN=["*"])},
        layers(route("jobs", consumers.plain)),
        "the default consumer",
    ),
    Case(
        "W001",
        {**layers(route_class(consumers.Open)), **own(WS_ORIGIN=["*"])},
        layers(route_class(consumers.Guarded)),
        "consumers.Open:",
    ),
    Case(
        "W002",
        {**layers(channel_capacity={"http.*": 10}), **own(THREADS=11)},
        own(THREADS=10),
        "http.request holds 10 messages.*11 threads",
    ),
    Case(
        "W002",
        {**layers(channel_capacity={"http.*": 10}), **own(THREADS=6, PROCESSES=2)},
        own(THREADS=5, PROCESSES=2),
        "12 threads",
    ),
    Case(
        "W003",
        {"DATABASES": {"default": {"ENGINE": POSTGRES, "OPTIONS": {"pool": True}}}},
        {"DATABASES": {"default": {"ENGINE": POSTGRES, "OPTIONS": {"pool": {"max_size": 64}}}}},
        "64 threads.*pool of 4",
    ),
    Case(
        "W003",
        {
            "DATABASES": {"b": {"ENGINE": POSTGRES, "OPTIONS": {"pool": {"min_size": 9}}}},
            **own(THREADS=10),
        },
        own(THREADS=9),
        "pool of 9.*'b'",
    ),
    Case("W004", CELERY, redis(), "Celery is configured"),
    Case("W004", own(NO_WORKERS=True), redis(), "NO_WORKERS"),
    Case("W004", own(ONLY_CHANNELS="http.*"), own(), "ONLY_CHANNELS"),
    Case("W004", own(EXCLUDE_CHANNELS="jobs"), own(), "EXCLUDE_CHANNELS"),
    Case("W007", layers(route_class(consumers.FromOriginal)), layers(), "FromOriginal"),
    Case(
        "W008",
        {**redis(symmetric_encryption_keys=["another key", "k" * 50]), "SECRET_KEY": "k" * 50},
        {"SECRET_KEY": "another one"},
    ),
    Case(
        "W008",
        {**redis(symmetric_encryption_keys=["former"]), "SECRET_KEY_FALLBACKS": ["former"]},
        redis(symmetric_encryption_keys=["one of its own"]),
    ),
    Case(
        "W009",
        {"CHANNEL_LAYERS": {"main": {"BACKEND": MEMORY}}},
        own(LAYER="main"),
        "not 'main'",
    ),
    Case(
        "W010",
        layers(route(CONNECT, consumers.plain), route(RECEIVE, consumers.with_user)),
        layers(route(CONNECT, consumers.takes_user_over), route(RECEIVE, consumers.with_user)),
        "consumers.plain",
    ),
    Case(
        "W010",
        layers(route_class(consumers.WithUser)),
        layers(route(CONNECT, consumers.takes_over_by_hand), route_class(consumers.WithUser)),
        "WithUser",
    ),
    Case(
        "W011",
        layers(route(CONNECT, consumers.plain), route(RECEIVE, consumers.ordered)),
        layers(route([CONNECT, RECEIVE], consumers.ordered)),
    ),
    Case(
        "W012",
        {
            **layers(route(RECEIVE, consumers.with_channel_session)),
            "SESSION_ENGINE": f"{ENGINE}.cache",
            "CACHES": LOCAL_CACHE,
            **own(PROCESSES=2),
        },
        {"CACHES": SHARED_CACHE},
        "^SESSION_ENGINE.*LocMemCache",
    ),
    Case(
        "W012",
        {
            **layers(route(CONNECT, consumers.with_http_session)),
            "SESSION_ENGINE": f"{ENGINE}.cache",
            "CACHES": LOCAL_CACHE,
            **own(PROCESSES=1),
        },
        own(),
    ),
    Case(
        "W013",
        layers(route(CONNECT, consumers.with_http_user)),
        {"MIDDLEWARE": BOTH_MIDDLEWARES},
        "SessionMiddleware|AuthenticationMiddleware",
    ),
    Case(
        "W014",
        {"ASGI_APPLICATION": "mysite.asgi.application"},
        layers(route(CONNECT, consumers.plain)),
    ),
    Case("W016", {**own(ROOT_PATH="/shop"), "FORCE_SCRIPT_NAME": "/"}, own(ROOT_PATH="/")),
    Case(
        "W016",
        {**own(ROOT_PATH="/shop/"), "FORCE_SCRIPT_NAME": "/other"},
        {"FORCE_SCRIPT_NAME": "/shop"},
        "'/shop/'.*'/other'",
    ),
    Case(
        "W017",
        layers(*consumers.unreachable),
        layers(*consumers.reachable),
        "consumers.other is never reached.*consumers.plain",
    ),
    Case("W017", layers(*consumers.inner_unreachable), layers(), "websocket.receive"),
    Case(
        "W018",
        layers(route(CONNECT, consumers.plain, path=r"^chat/$")),
        layers(route(CONNECT, consumers.plain, path=r"^/chat/$")),
        r"\^chat/\$",
    ),
    Case("W018", layers(include([], path="chat")), layers(include([], path="(?i)/chat"))),
    Case("W101", {"DEBUG": True}),
    Case("W102", own(RELOAD=True)),
    Case(
        "W103",
        {"INSTALLED_APPS": STATIC, "STATIC_URL": "/static/"},
        {"STATIC_ROOT": "/srv/static"},
    ),
    Case(
        "W103",
        {"INSTALLED_APPS": STATIC, "STATIC_URL": "/static/"},
        {"STATIC_URL": "https://cdn.example.com/"},
    ),
    Case(
        "W103",
        {"INSTALLED_APPS": STATIC, "STATIC_URL": "/static/"},
        {"MIDDLEWARE": ["whitenoise.middleware.WhiteNoiseMiddleware"]},
    ),
    Case(
        "W105",
        {**layers(route(CONNECT, consumers.plain)), "ALLOWED_HOSTS": ["*"]},
        {"ALLOWED_HOSTS": ["example.com"]},
    ),
]

#: Those that need more than settings; each has a test of its own.
OTHERS = {"W005", "W006", "W015", "W019", "W020", "W104"}


def test_a_sound_site_has_none():
    assert findings() == {}


def test_every_finding_is_provoked():
    assert {case.number for case in CASES} | OTHERS == set(IDS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_a_site_that_is_wrong_has_it_and_a_mended_one_has_not(case):
    found = findings(**case.wrong)
    assert case.number in found
    finding = found[case.number]
    assert re.search(case.says, finding.msg), finding.msg
    assert finding.level == (ERROR if case.number.startswith("E") else WARNING)
    assert finding.hint.endswith(".") or "'" in finding.hint
    mended = {**case.wrong, **case.right} if case.right else {}
    assert case.number not in findings(**mended)


@pytest.mark.parametrize(
    "consumer", [consumers.guarded, consumers.Guarded, consumers.GuardedBelow, consumers.Streams]
)
def test_a_consumer_that_looks_at_the_origin_may_be_asked_from_anywhere(consumer):
    routing = [route(CONNECT, consumer)]
    found = findings(**layers(*routing), **own(WS_ORIGIN="*"), MIDDLEWARE=BOTH_MIDDLEWARES)
    assert "W001" not in found


def test_an_ordered_class_orders_its_connect_too():
    assert findings(**layers(route_class(consumers.Ordered))) == {}


def test_a_stream_has_the_user_of_the_socket_that_it_is_part_of():
    found = findings(**layers(route_class(consumers.Streams)), MIDDLEWARE=BOTH_MIDDLEWARES)
    assert found == {}


@pytest.mark.parametrize(
    ("backend", "successor"),
    [
        ("asgi_redis.RedisChannelLayer", REDIS),
        ("channels_redis.core.RedisChannelLayer", REDIS),
        ("asgi_ipc.IPCChannelLayer", "txchannels.layers.ipc.IPCLayer"),
        ("channels.layers.InMemoryChannelLayer", MEMORY),
    ],
)
def test_a_layer_of_channels_is_told_its_successor(backend, successor):
    assert successor in findings(**layers(backend=backend))["E001"].hint


@pytest.mark.parametrize(
    ("wrong", "helps"),
    [
        (own(THREDS=3), r"Write 'THREADS', if .*most worker threads.*\(--threads=N\)\.$"),
        (own(threads=3), r"Write 'THREADS', .*--threads"),
        (own(nothing_like_it=3), "Take 'nothing_like_it' away.*twistd channels --help"),
        (own(THREADS="many"), r"^THREADS is: most worker threads.*\(--threads=N\)\.$"),
        (own(NO_WORKERS="perhaps"), r"^NO_WORKERS is: .*\(--no-workers\)\.$"),
        (own(MAX_AGE=0.5), r"^MAX_AGE is: .*\(--max-age=SECONDS\)\.$"),
        ({"TXCHANNELS": ["THREADS"]}, "Write TXCHANNELS = {"),
    ],
)
def test_the_hint_is_about_what_is_wrong(wrong, helps):
    assert re.search(helps, findings(**wrong)["E003"].hint)


def test_a_secret_of_the_layers_settings_is_not_shown():
    found = findings(**redis(hosts=["redis://:geheim@localhost:99999/0"]))
    assert "geheim" not in str(found["E001"])


def test_a_check_can_be_silenced():
    with override_settings(
        DEBUG=True, MEDIA_ROOT="/srv/media", SILENCED_SYSTEM_CHECKS=["txchannels.W101"]
    ):
        [found] = run_checks(tags=["txchannels"], include_deployment_checks=True)
        assert found.is_silenced()


def test_what_is_for_production_is_not_looked_for_at_a_desk():
    with override_settings(DEBUG=True):
        assert run_checks(tags=["txchannels"]) == []


def test_a_check_that_fails_harms_no_other(monkeypatch):
    def fail():
        raise TypeError("an unusual setting")

    monkeypatch.setattr(options, "check", fail)
    found = findings(**layers(backend="no.such.Layer"))
    assert set(found) == {"E001", "W019"}
    assert "options could not be run: TypeError: an unusual setting" in found["W019"].msg


def test_uploads_without_a_folder_are_found():
    from django.apps import apps

    try:

        class Upload(models.Model):
            file = models.FileField()

            class Meta:
                app_label = "txchannels"

            def __str__(self):
                return self.file.name

        found = findings(MEDIA_ROOT="")["W104"]
        assert "txchannels.Upload.file" in found.msg
        assert findings() == {}
    finally:
        apps.all_models["txchannels"].pop("upload", None)
        apps.clear_cache()


def test_nothing_is_connected_to(monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("a check connects")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert findings(**redis(hosts=["redis://redis.example:6379"])) == {}


def test_no_reactor_is_installed():
    assert "twisted.internet.reactor" not in sys.modules or findings() == {}
