"""What importing a room loads, seen in a fresh interpreter.

The import contracts see who names whom. They do not see what is loaded on the way: by a
re-export in an `__init__`, an import by name, a library that installs the reactor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import txchannels

PACKAGE = Path(txchannels.__file__).parent
REACTOR = "twisted.internet.reactor"

#: txredisapi installs the reactor: only the daemon imports these, when it joins the layer.
JOINING = {f"txchannels.layers.redis.{name}" for name in ("connection", "failures", "sentinel")}

#: Each room, and the modules (each with all inside it) that it never loads.
UNWANTED = {
    "tap": {REACTOR, "django"},
    "tap_worker": {REACTOR, "django"},
    "service": {REACTOR, "django"},
    "devserver": {REACTOR, "django"},
    "threaded": {REACTOR},
    "supervised": {REACTOR, "django", "txchannels.django"},
    "worker_process": {REACTOR, "django"},
    "processes": {REACTOR, "django"},
    "working": {REACTOR, "django"},
    "command": {REACTOR, "django"},
    "asking": {REACTOR, "django"},
    "watching": {REACTOR, "django"},
    "delaying": {REACTOR, "django"},
    "plain": {"twisted", "django"},
    "__main__": {REACTOR, "twisted", "django"},
    "options": {"twisted", "django"},
    "listening": {REACTOR, "django"},
    "lifecycle": {REACTOR, "django"},
    "file_limit": {REACTOR, "django"},
    "notify": {REACTOR, "django"},
    "testing": {REACTOR, "txchannels.tap", "txchannels.service"},
    "protocols": {REACTOR, "django", "txchannels.django", "txchannels.workers"},
    "workers": {REACTOR, "django", "txchannels.django", "txchannels.protocols"},
    "layers": {
        REACTOR,
        "django",
        "txchannels.django",
        "txchannels.protocols",
        "txchannels.workers",
    },
    "django": {"twisted", "txchannels.protocols", "txchannels.workers"},
    "settings": {"twisted", "django"},
    "messages": {"twisted", "django"},
    "errors": {"twisted", "django"},
}

#: Imports what it is told, and says what each import has added.
PROBE = """
import importlib, json, sys
seen, added = set(sys.modules), {}
for name in sys.argv[1:]:
    importlib.import_module(name)
    added[name] = sorted(set(sys.modules) - seen)
    seen.update(sys.modules)
print(json.dumps(added))
"""

#: Modules of an application may need the registry of Django's applications.
SETUP = """
import django
from django.conf import settings
contrib = ["auth", "contenttypes", "sessions", "staticfiles"]
applications = [f"django.contrib.{name}" for name in contrib]
own = ["txchannels.django", "txchannels.django.delay"]
settings.configure(INSTALLED_APPS=[*applications, *own])
django.setup()
"""


def modules_of(room: str) -> list[str]:
    """The names of the room's modules, but of those that are programs."""
    if (PACKAGE / f"{room}.py").exists():
        return [f"txchannels.{room}"]
    paths = sorted((PACKAGE / room).rglob("*.py"))
    names = (path.relative_to(PACKAGE.parent).with_suffix("").parts for path in paths)
    return [".".join(parts).removesuffix(".__init__") for parts in names if parts[-1] != "__main__"]


def loads(*modules: str, program: str = PROBE) -> dict[str, set[str]]:
    """Which modules were loaded by the import of each of *modules*, one after the other."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    finished = subprocess.run(
        [sys.executable, "-c", program, *modules],
        capture_output=True,
        text=True,
        timeout=60,
        env=bare,
        cwd=PACKAGE.parent,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return {name: set(added) for name, added in json.loads(finished.stdout).items()}


def inside(loaded: set[str], *packages: str) -> set[str]:
    """Those of *loaded* that are one of *packages*, or in one."""
    return {
        name
        for name in loaded
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    }


def trespasses(room: str, loaded: dict[str, set[str]]) -> dict[str, set[str]]:
    """What each module of *room* has loaded and must not, where there is any."""
    found = {name: inside(added, *UNWANTED[room]) for name, added in loaded.items()}
    return {name: added for name, added in found.items() if added}


def test_the_package_itself_loads_nothing() -> None:
    loaded = loads("txchannels")["txchannels"]
    assert inside(loaded, "txchannels") == {"txchannels"}
    assert inside(loaded, "twisted", "django", "zope", "msgpack") == set()


def test_the_plugin_loads_nothing_of_ours() -> None:
    plugin = "twisted.plugins.txchannels_plugin"
    assert inside(loads(plugin)[plugin], "txchannels", "django", REACTOR) == set()


def test_the_public_api_needs_no_settings_and_loads_nothing_more() -> None:
    loaded = loads("txchannels.django")["txchannels.django"]
    assert inside(loaded, "txchannels") == {"txchannels", "txchannels.django"}
    assert inside(loaded, "django", "twisted") == set()


def test_every_room_is_named_here() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__pycache__"} <= set(UNWANTED)


@pytest.mark.parametrize("room", sorted(set(UNWANTED) - {"django"}))
def test_a_room_loads_nothing_that_it_must_not_know(room: str) -> None:
    modules = [name for name in modules_of(room) if name not in JOINING]
    assert trespasses(room, loads(*modules)) == {}


def test_a_program_that_sends_through_redis_loads_no_twisted() -> None:
    name = "txchannels.layers.redis.blocking"
    assert inside(loads(name)[name], "twisted", "txredisapi", "django") == set()


def test_the_django_room_loads_no_twisted() -> None:
    loaded = loads(*modules_of("django"), program=SETUP + PROBE)
    assert trespasses("django", loaded) == {}
