from __future__ import annotations

import json
import logging
import subprocess
import sys
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import override_settings
from django.urls import get_script_prefix, set_script_prefix

from tests.fakes import RecordingLayer
from tests.integration.daemon import ROOT, bare_environment
from txchannels.django import Group, bootstrap
from txchannels.django.asgi import channel_layers
from txchannels.django.bootstrap import check_site, load_layer, load_settings
from txchannels.django.handler import ViewConsumer
from txchannels.django.signals import worker_process_ready, worker_ready
from txchannels.django.staticfiles import StaticFilesConsumer
from txchannels.errors import ConfigurationError

NAME = "tests.site.settings"


@pytest.fixture
def fresh(monkeypatch):
    """The layers are made anew, and nothing global is left changed."""
    monkeypatch.setattr(channel_layers, "_wrappers", {})
    monkeypatch.setattr(
        "txchannels.django.databases.ThreadConnections.take_over", lambda self: None
    )
    yield
    set_script_prefix("/")


@contextmanager
def bare_root():
    """The root logger without handlers, while a test runs: pytest has some there."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        yield root
    finally:
        root.handlers = handlers


# Settings (where they are missing or broken: tests/integration/test_bad_input.py)


def test_what_the_site_says_of_us_is_returned():
    with bare_root():
        with override_settings(TXCHANNELS={"THREADS": 5}):
            assert load_settings(NAME) == {"THREADS": 5}
        assert load_settings(NAME) == {}


def test_the_environment_names_the_settings_too(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", NAME)
    with bare_root():
        assert load_settings(None) == {}
        assert load_settings("") == {}


@pytest.mark.parametrize(
    ("module", "named"), [(None, "DJANGO_SETTINGS_MODULE"), ("a b", "--settings")]
)
def test_who_has_named_the_settings_is_named(monkeypatch, module, named):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "a b")
    with pytest.raises(ConfigurationError, match=f"^{named} 'a b': is no module"):
        load_settings(module)


def test_without_a_name_there_is_none(monkeypatch):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    with pytest.raises(ConfigurationError, match=r"--settings: name the site's settings module"):
        load_settings(None)


@pytest.mark.parametrize("values", [[], "THREADS", 5, None])
def test_what_the_site_says_of_us_is_a_dict(values):
    with bare_root(), override_settings(TXCHANNELS=values):  # noqa: SIM117
        with pytest.raises(ConfigurationError, match="must be a dict"):
            load_settings(NAME)


# What is logged where


def test_errors_reach_standard_error(capsys):
    with bare_root():
        load_settings(NAME)
        logging.getLogger("shop").warning("no more tea")
        logging.getLogger("shop").info("a customer")
    error = capsys.readouterr().err
    assert "WARNING shop: no more tea" in error
    assert "a customer" not in error


def test_a_site_that_says_where_to_is_left_alone():
    own = logging.NullHandler()
    with bare_root() as root:
        root.addHandler(own)
        load_settings(NAME)
        assert root.handlers == [own]


def test_under_debug_django_shows_its_own_errors_itself():
    with bare_root() as root:
        load_settings(NAME)
        (handler,) = root.handlers
    record = logging.LogRecord("django.request", logging.ERROR, "", 0, "broken", None, None)
    with override_settings(DEBUG=True):
        assert not handler.filter(record)
    assert handler.filter(record)


def test_what_a_stranger_did_wrong_is_one_line(capsys):
    with bare_root():
        load_settings(NAME)
        try:
            raise ValueError("their fault")
        except ValueError:
            logging.getLogger("django.security.DisallowedHost").exception("a strange host")
            logging.getLogger("shop").exception("our fault")
    said = capsys.readouterr().err
    assert said.count("Traceback") == 1
    assert said.splitlines()[0].endswith("ERROR django.security.DisallowedHost: a strange host")


def test_a_request_that_is_refused_is_one_line_and_a_view_that_fails_is_not(capsys):
    with bare_root():
        load_settings(NAME)
        logger = logging.getLogger("django.request")
        try:
            raise ValueError("no boundary")
        except ValueError:
            logger.warning("Bad Request", exc_info=True)
            assert "Traceback" not in capsys.readouterr().err
            logger.exception("Internal Server Error")
            assert "Traceback" in capsys.readouterr().err


# The layer


def test_without_a_layer_a_site_has_views_and_no_websockets(fresh):
    site = load_layer("default")
    assert site.settings_module == NAME
    assert site.layer_name == "default (txchannels.layers.memory.MemoryLayer)"
    assert "http.request" in site.channels


def test_the_default_layer_reaches_only_its_own_process(fresh):
    assert load_layer("default").is_local


class Joined:
    """A layer whose blocking face is another one when a reactor has joined it."""

    def __init__(self):
        self.blocking = RecordingLayer()


def test_the_sites_code_uses_the_face_of_a_joined_layer(fresh):
    layers = {
        "default": {"BACKEND": f"{__name__}.Joined", "ROUTING": {"greet": f"{__name__}.greet"}}
    }
    with override_settings(CHANNEL_LAYERS=layers):
        site = load_layer("default")
        assert not site.is_local
        before = site.layer.blocking
        after = site.layer.blocking = RecordingLayer()
        site.layer_joined()
        site.run("greet", {"reply_channel": "sockets!a", "order": 1})
    assert before.batches == []
    assert after.on("sockets!a") == [{"text": "hello"}, {"consumed": 1}]
    assert after.groups == {"all": ["sockets!a"]}


def greet(message):
    Group("all").add(message.reply_channel)
    message.reply_channel.send({"text": "hello"})


def test_an_unknown_layer_is_refused(fresh):
    with pytest.raises(ConfigurationError, match=r"--layer 'x': CHANNEL_LAYERS has only: default"):
        load_layer("x")


def test_static_urls_have_the_prefix_of_the_site(fresh):
    load_layer("default", "/shop")
    assert get_script_prefix() == "/shop/"
    with override_settings(FORCE_SCRIPT_NAME="/forced/"):
        load_layer("default", "/shop")
    assert get_script_prefix() == "/forced/"


@pytest.mark.parametrize(
    ("allowed", "debug", "host", "is_allowed"),
    [
        (["example.com"], False, "example.com", True),
        (["example.com"], False, "EXAMPLE.com:8000", True),
        (["example.com"], False, "example.com.", True),
        (["example.com"], False, "evil.example", False),
        (["example.com"], True, "localhost", False),
        ([".example.com"], False, "a.example.com:1", True),
        (["*"], False, "evil.example", True),
        (["*"], False, "", False),
        (["[::1]"], False, "[::1]:8000", True),
        ([], False, "localhost", False),
        ([], True, "a.localhost:8000", True),
        ([], True, "127.0.0.1:8000", True),
        ([], True, "[::1]", True),
        ([], True, "evil.example", False),
    ],
)
def test_the_hosts_are_those_that_django_allows(fresh, allowed, debug, host, is_allowed):
    site = load_layer("default")
    with override_settings(ALLOWED_HOSTS=allowed, DEBUG=debug):
        assert site.is_host_allowed(host) is is_allowed


def test_ready_sends_the_workers_signals(fresh):
    heard = []

    def receiver(signal, **more):
        heard.append(signal)

    for signal in (worker_ready, worker_process_ready):
        signal.connect(receiver)
    load_layer("default").ready()
    for signal in (worker_ready, worker_process_ready):
        signal.disconnect(receiver)
    assert heard == [worker_process_ready, worker_ready]


@pytest.mark.parametrize(
    ("debug", "apps", "consumer"),
    [
        (False, ["django.contrib.staticfiles"], ViewConsumer),
        (True, [], ViewConsumer),
        (True, ["django.contrib.staticfiles"], StaticFilesConsumer),
    ],
)
def test_static_files_are_served_under_debug_only(debug, apps, consumer):
    with override_settings(DEBUG=debug, STATIC_URL="/static/", ROOT_URLCONF=__name__):
        settings.INSTALLED_APPS = [*apps]
        assert type(bootstrap._views(ViewConsumer)) is consumer


def test_the_sites_checks_run(fresh):
    with override_settings(ROOT_URLCONF=__name__):
        check_site()
    with (
        override_settings(ROOT_URLCONF="tests.django.test_dotted"),
        pytest.raises(ConfigurationError, match=r"manage\.py check: .*urlpatterns"),
    ):
        check_site()


urlpatterns: list[object] = []


def test_the_urls_are_imported_before_the_first_request(fresh, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "urls_of_the_start.py").write_text("urlpatterns = []\n")
    with override_settings(ROOT_URLCONF="urls_of_the_start"):
        load_layer("default")
    assert sys.modules.pop("urls_of_the_start")


@pytest.mark.parametrize(
    ("text", "said"),
    [("1 / 0", r"\(traceback above\): ZeroDivisionError"), ("urlpatterns = 5", "urlpatterns")],
)
def test_urls_that_cannot_be_imported_are_refused(fresh, tmp_path, monkeypatch, text, said):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_urls.py").write_text(f"{text}\n")
    with (
        override_settings(ROOT_URLCONF="broken_urls"),
        pytest.raises(ConfigurationError, match=f"ROOT_URLCONF.*{said}"),
    ):
        load_layer("default")
    sys.modules.pop("broken_urls", None)


def test_the_daemon_takes_over_the_connections():
    program = (
        "import json\n"
        "from txchannels.django.bootstrap import load_layer, load_settings\n"
        f"load_settings({NAME!r}); load_layer('default')\n"
        "from django.core.signals import request_finished\n"
        "from django.db import close_old_connections\n"
        "print(json.dumps(request_finished.disconnect(close_old_connections)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ended.stdout) is False
