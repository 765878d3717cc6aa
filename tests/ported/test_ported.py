"""The project was ported by renaming, and its own tests pass."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import django
import pytest

from tests.ported.project_of_2017 import PROJECT, manage
from tests.ported.translation import CHANNELS_1, NOT_PORTED, imports, translate_back

SOURCES = sorted(PROJECT.rglob("*.py"))


# What porting meant


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_renamed_back_no_source_knows_of_us(path: Path) -> None:
    assert "txchannels" not in translate_back(path.read_text())


def test_every_name_that_it_imports_is_one_of_channels_1() -> None:
    known = {(module, name) for module, names in CHANNELS_1.items() for name in names.split()}
    assert set(imports(PROJECT)) <= known


def test_it_uses_every_name_of_channels_1() -> None:
    known = {(module, name) for module, names in CHANNELS_1.items() for name in names.split()}
    spared = {(module, name) for module, names in NOT_PORTED.items() for name in names.split()}
    assert spared <= known
    assert set(imports(PROJECT)) == known - spared


# The delay's models are those of an application, which the project has and the tests' site not.
@pytest.mark.parametrize("module", sorted(CHANNELS_1.keys() - {"channels.delay.models"}))
def test_every_name_of_channels_1_is_here(module: str) -> None:
    django.setup()
    ours = importlib.import_module(module.replace("channels", "txchannels.django", 1))
    missing = [name for name in CHANNELS_1[module].split() if not hasattr(ours, name)]
    assert not missing


# Its own tests


@pytest.mark.slow
def test_its_own_tests_pass() -> None:
    finished = manage("test", BOARD_DATABASE="/nonexistent/board")
    assert finished.returncode == 0, finished.stderr
    found = re.search(r"Ran (\d+) tests", finished.stderr)
    written = sum(path.read_text().count("    def test_") for path in SOURCES)
    assert found is not None
    assert int(found[1]) == written
    assert "skipped" not in finished.stderr


@pytest.mark.slow
def test_nothing_is_wrong_with_it() -> None:
    finished = manage("check", "--fail-level=WARNING")
    assert finished.returncode == 0, finished.stderr
    finished = manage("makemigrations", "--check", "--dry-run", BOARD_DATABASE=":memory:")
    assert finished.returncode == 0, finished.stdout
