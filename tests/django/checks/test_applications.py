"""INSTALLED_APPS that stand in the way, in a Django of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import sys
from django.conf import settings
settings.configure(INSTALLED_APPS=sys.argv[1:], SECRET_KEY="x", STATIC_URL="/static/")
import django
django.setup()
from django.core.checks import run_checks
for found in run_checks(tags=["txchannels"]):
    print(found.id, found.msg, found.hint)
"""

COMMAND = """
from {base} import Command as Base

class Command(Base):
    pass
"""


def check(folder: Path, *applications: str, program: str = PROGRAM) -> str:
    """What is found where *applications* are installed."""
    finished = subprocess.run(
        [sys.executable, "-c", program, *applications],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def make_application(folder: Path, name: str, base: str) -> None:
    """An application with a ``runserver`` that is built on *base*'s."""
    commands = folder / name / "management" / "commands"
    commands.mkdir(parents=True)
    for package in (commands.parents[1], commands.parent, commands):
        (package / "__init__.py").touch()
    module = f"{base}.management.commands.runserver"
    (commands / "runserver.py").write_text(COMMAND.format(base=module))


@pytest.mark.parametrize(
    ("applications", "says"),
    [
        (["txchannels.django", "django.contrib.staticfiles"], ""),
        (["django.contrib.staticfiles", "txchannels.django"], ""),
        (["txchannels.django"], ""),
    ],
)
def test_whose_runserver_it_is(tmp_path, applications, says):
    found = check(tmp_path, *applications)
    assert says in found
    assert bool(found) == bool(says)


WHOSE = """
import sys
import django
from django.conf import settings
from django.core.management import get_commands, load_command_class

settings.configure(INSTALLED_APPS=sys.argv[1:], STATIC_URL="/static/")
django.setup()
print(get_commands()["runserver"], load_command_class(get_commands()["runserver"], "runserver"))
"""


@pytest.mark.parametrize(
    "applications",
    [
        ["txchannels.django"],
        ["txchannels.django", "django.contrib.staticfiles"],
        ["django.contrib.staticfiles", "txchannels.django"],
    ],
)
def test_ours_takes_the_place_of_djangos_own_wherever_it_is_installed(tmp_path, applications):
    said = check(tmp_path, *applications, program=WHOSE)
    assert said.startswith("txchannels.django <txchannels.django.management.commands.runserver.")


def test_that_of_another_application_stays(tmp_path):
    make_application(tmp_path, "other", "django.contrib.staticfiles")
    said = check(tmp_path, "other", "txchannels.django", program=WHOSE)
    assert said.startswith("other <other.management.commands.runserver.")


def test_the_hint_says_which_application_to_move(tmp_path):
    make_application(tmp_path, "other", "django.core")
    found = check(tmp_path, "other", "txchannels.django")
    assert "Put 'txchannels.django' before 'other'" in found


def test_a_runserver_that_is_built_on_ours_is_good(tmp_path):
    make_application(tmp_path, "other", "txchannels.django")
    assert check(tmp_path, "other", "txchannels.django") == ""


@pytest.mark.parametrize("name", ["channels", "daphne"])
def test_the_original_beside_us_is_found(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    assert f"txchannels.W006 {name} is in INSTALLED_APPS" in check(
        tmp_path, "txchannels.django", name
    )


def test_the_package_in_the_place_of_the_application_is_found(tmp_path):
    program = f"{PROGRAM}\nfrom txchannels.django.checks import check_site\n"
    program += "print([found.id for found in check_site()])"
    assert "txchannels.W020" in check(tmp_path, "txchannels", program=program)
