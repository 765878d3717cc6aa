"""The examples of ``docs/events.md`` run as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.daemon import ROOT, bare_environment

pytestmark = pytest.mark.slow

SETTINGS = """
SECRET_KEY = "for tests"
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["txchannels.django", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "shop.routing.channel_routing",
    }
}
USE_TZ = True
"""
URLS = """
from django.urls import path
from shop import views, models

urlpatterns = [
    path("prices/", models.prices),
    path("plain/", views.prices),
    path("poll/", views.prices_poll),
    path("set/", views.set_price),
]
"""
MORE_TESTS = """
from txchannels.django import Group
from txchannels.django.message import Message
from txchannels.django.test import ChannelTestCase, Client, EventClient
from shop.models import Price, set_price


class MoreTests(ChannelTestCase):
    def test_the_first_views(self):
        client = EventClient()
        listening = [client.get("/plain/"), client.get("/poll/")]
        client.post("/set/", {"price": "5"})
        for response in listening:
            self.assertEqual(client.receive_all(response), [{"text": "5"}])

    def test_the_history(self):
        for value in range(5):
            Price.objects.create(value=value)
        first, *_, newest = Price.objects.order_by("pk")
        client = EventClient()
        response = client.get("/prices/", headers={"Last-Event-ID": str(first.pk)})
        ids = [int(event["id"]) for event in client.receive_all(response)]
        self.assertEqual(ids, list(range(first.pk + 1, newest.pk + 1)))
        response = client.get("/prices/?last_event_id=garbage")
        self.assertEqual(client.receive_all(response), [{"text": "4.0", "id": str(newest.pk)}])
        set_price(7.5)
        self.assertEqual([event["text"] for event in client.receive_all(response)], ["7.5"])

    def test_the_consumer(self):
        client = Client()
        client.send_and_consume("http.request", {"path": "/prices/", "method": "GET"})
        self.assertIn("events", client.receive())
        Group("prices").send({"text": "5"})
        self.assertEqual(client.receive(), {"text": "5"})
"""


def examples() -> list[str]:
    text = (ROOT / "docs" / "events.md").read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_every_example_passes(tmp_path: Path) -> None:
    views, models, routing, tests = examples()
    files = {
        "__init__": "",
        "settings": SETTINGS,
        "urls": URLS,
        "views": views,
        "models": models,
        "routing": routing,
        "tests_page": tests,
        "tests_more": MORE_TESTS,
    }
    (tmp_path / "shop").mkdir()
    for name, text in files.items():
        (tmp_path / "shop" / f"{name}.py").write_text(text)
    finished = subprocess.run(
        [sys.executable, "-m", "django", "test", "--pattern=tests_*.py", "shop"],
        cwd=tmp_path,
        env=bare_environment(tmp_path, DJANGO_SETTINGS_MODULE="shop.settings"),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Ran 4 tests" in finished.stderr
