"""What ``runserver`` does in the process that runs the site's code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.signals import request_started
from django.template import engines
from django.test import override_settings
from django.utils import autoreload

from txchannels.django.devserver import TEMPLATES_UID, Development, read_templates_anew
from txchannels.django.handler import ViewConsumer
from txchannels.django.signals import consumer_started
from txchannels.django.staticfiles import StaticFilesConsumer
from txchannels.errors import ConfigurationError

STATIC = ["django.contrib.staticfiles", "django.contrib.contenttypes", "txchannels.django"]
BAD_ROUTING = {"default": {"BACKEND": "txchannels.layers.memory.MemoryLayer", "ROUTING": ["no"]}}
TEMPLATES = {"BACKEND": "django.template.backends.django.DjangoTemplates"}


@pytest.mark.parametrize(
    ("wishes", "debug", "consumer"),
    [
        ({"use_static": True}, True, StaticFilesConsumer),
        ({"use_static": True}, False, ViewConsumer),
        ({"use_static": True, "insecure": True}, False, StaticFilesConsumer),
        ({"use_static": False, "insecure": True}, True, ViewConsumer),
    ],
)
def test_static_files_are_served_as_asked(wishes, debug, consumer):
    with override_settings(DEBUG=debug, INSTALLED_APPS=STATIC, STATIC_URL="/static/"):
        assert type(Development(wishes).views()) is consumer


def test_without_the_application_there_are_no_static_files():
    with override_settings(DEBUG=True):
        assert type(Development({"use_static": True}).views()) is ViewConsumer


def test_what_the_checks_find_is_shown(capsys):
    with override_settings(TXCHANNELS={"NO_WORKERS": True}):
        Development({"no_color": True}).check_site()
    shown = capsys.readouterr()
    assert "Performing system checks..." in shown.out
    assert "txchannels.W004" in shown.err


def test_an_error_of_the_checks_is_one():
    with (
        override_settings(CHANNEL_LAYERS=BAD_ROUTING),
        pytest.raises(ConfigurationError, match=r"txchannels\.E002"),
    ):
        Development({}).check_site()


def test_the_checks_are_skipped_if_asked(capsys):
    with override_settings(CHANNEL_LAYERS=BAD_ROUTING):
        Development({"skip_checks": True}).check_site()
    assert capsys.readouterr().out == ""


def test_migrations_that_are_missing_are_shown(capsys, tables):
    Development({}).check_databases()
    assert "unapplied" not in capsys.readouterr().out


def test_the_site_sees_that_it_is_the_process_that_serves(monkeypatch):
    monkeypatch.setenv("RUN_MAIN", "")
    Development({}).load_settings("tests.site.settings")
    assert os.environ["RUN_MAIN"] == "true"


def test_what_others_want_to_be_watched_is(tmp_path):
    (tmp_path / "a.yaml").touch()
    (tmp_path / "b.txt").touch()
    single = tmp_path / "c.txt"

    def watch(sender: Any, **kwargs: Any) -> None:
        sender.watch_dir(tmp_path, "*.yaml")
        sender.extra_files.add(single)

    autoreload.autoreload_started.connect(watch)
    try:
        found = {Path(file) for file in Development({}).extra_files()}
    finally:
        autoreload.autoreload_started.disconnect(watch)
    assert {tmp_path / "a.yaml", single} <= found
    assert tmp_path / "b.txt" not in found


def test_a_template_is_read_anew_for_each_request_and_message(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("one")
    with override_settings(DEBUG=True, TEMPLATES=[{**TEMPLATES, "DIRS": [tmp_path]}]):
        read_templates_anew()
        try:
            assert engines["django"].get_template("page.html").render() == "one"
            page.write_text("two")
            assert engines["django"].get_template("page.html").render() == "one"
            request_started.send(sender=None)
            assert engines["django"].get_template("page.html").render() == "two"
            page.write_text("three")
            consumer_started.send(sender=None)
            assert engines["django"].get_template("page.html").render() == "three"
        finally:
            for signal in (request_started, consumer_started):
                signal.disconnect(dispatch_uid=TEMPLATES_UID)


def test_templates_that_cannot_be_set_up_harm_no_request():
    with override_settings(TEMPLATES=[{"BACKEND": "no.such.Engine"}]):
        read_templates_anew()
        try:
            request_started.send(sender=None)
        finally:
            for signal in (request_started, consumer_started):
                signal.disconnect(dispatch_uid=TEMPLATES_UID)
