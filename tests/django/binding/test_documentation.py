"""The Python of ``docs/binding.md`` does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.integration.daemon import ROOT, bare_environment

pytestmark = pytest.mark.slow

SETTINGS = """
SECRET_KEY = "of-the-tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "txchannels.django",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "myapp.apps.MyAppConfig",
]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "myapp.routing.channel_routing",
    }
}
"""

MODELS = """
from django.contrib.auth.models import User
from django.db import models


class Board(models.Model):
    members = models.ManyToManyField(User)


class Task(models.Model):
    board = models.ForeignKey(Board, models.CASCADE)
    owner = models.ForeignKey(User, models.CASCADE, null=True, blank=True)
    title = models.CharField(max_length=20)
    done = models.BooleanField(default=False)
    is_late = True
"""

#: What the page's fragments are bindings of.
FRAGMENTS = """
from myapp.models import Task
from txchannels.django.binding import CREATE
from txchannels.django.binding.websockets import WebsocketBinding as Plain
from txchannels.django.binding.websockets import WebsocketBindingWithMembers as WithMembers


class WebsocketBindingWithMembers(WithMembers):
    model = None
    stream = "members"
    fields = ()

    @classmethod
    def group_names(cls, instance):
        return []


class WebsocketBinding(Plain):
    model = None
    stream = "scoped"
    fields = ("title", "board")

    @classmethod
    def group_names(cls, instance):
        return []

    def has_permission(self, user, action, pk):
        return True
"""

TESTS = """
from django.contrib.auth.models import User
from django.test import TestCase
from myapp import fragments
from myapp.models import Board, Task
from txchannels.django.test import ChannelTestCase, WSClient


class PageTests(ChannelTestCase):
    def ask(self, client, **payload):
        text = {"stream": "tasks", "payload": payload}
        client.send_and_consume("websocket.receive", text=text, path=self.path)

    def test_a_page_writes_and_is_told(self):
        board = Board.objects.create()
        task = Task.objects.create(board=board, title="a")
        self.path = f"/boards/{board.pk}/"
        ann, stranger = WSClient(), WSClient()
        ann.force_login(User.objects.create_user("ann"))
        for client in (ann, stranger):
            client.send_and_consume("websocket.connect", path=self.path)
        self.ask(stranger, action="delete", pk=task.pk)
        self.ask(ann, action="update", pk=task.pk, data={"done": True})
        for client in (ann, stranger):
            payload = client.receive()["payload"]
            self.assertEqual(payload["action"], "update")
            self.assertEqual(payload["data"], {"title": "a", "done": True})
            self.assertEqual(payload["model"], "myapp.task")
            self.assertIsNone(client.receive())

    def test_members_are_sent(self):
        task = Task(owner=User(first_name="Ann", last_name="Lee"))
        data = fragments.Members().serialize_data(task)
        self.assertEqual(data, {"owner__get_full_name": "Ann Lee", "is_late": True})

    def test_rows_are_those_of_the_users_boards_and_new_ones_are_theirs(self):
        ann = User.objects.create_user("ann")
        board = Board.objects.create()
        Task.objects.create(board=board, title="a")
        binding = fragments.Scoped()
        binding.user = ann
        self.assertEqual(binding.get_queryset().count(), 0)
        board.members.add(ann)
        self.assertEqual(binding.get_queryset().count(), 1)
        binding.create({"title": "b", "board": board.pk})
        self.assertEqual(Task.objects.get(title="b").owner, ann)
"""


def test_every_example_works(tmp_path):
    page = (ROOT / "docs" / "binding.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    binding, streams, config, members, scoped, tests = blocks
    members = members.replace("class TaskBinding(", "class Members(")
    scoped = scoped.replace("class TaskBinding(", "class Scoped(")
    app = tmp_path / "myapp"
    app.mkdir()
    model = "    model = Task\n"
    files = {
        "__init__.py": "",
        "models.py": MODELS,
        "bindings.py": binding,
        "routing.py": f"from myapp.bindings import TaskBinding\n{streams}",
        "apps.py": f"from django.apps import AppConfig\n\n{config}",
        "fragments.py": f"{FRAGMENTS}\n\n{members}{model}\n\n{scoped}\n{model}",
        "tests.py": TESTS,
        "tests_of_the_page.py": tests,
    }
    for name, source in files.items():
        (app / name).write_text(source)
    (tmp_path / "settings.py").write_text(SETTINGS)
    finished = subprocess.run(
        [sys.executable, "-m", "django", "test", "--pattern=tests*.py", "myapp"],
        cwd=tmp_path,
        env=bare_environment(tmp_path, DJANGO_SETTINGS_MODULE="settings"),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Ran 4 tests" in finished.stderr
