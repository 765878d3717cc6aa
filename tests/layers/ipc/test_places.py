"""The place of a module is what its import would find, and nothing is run to find it."""

from __future__ import annotations

import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from txchannels.layers.ipc.places import module_place, working_folder

#: Fails if anybody imports it.
BOMB = "raise SystemExit('was run')\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Nothing is left of former tests, and the current folder is another."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    invalidate_caches()


def write(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(BOMB)


def test_a_module_of_a_package(tmp_path):
    write(tmp_path / "a" / "mysite" / "__init__.py")
    write(tmp_path / "a" / "mysite" / "settings.py")
    assert module_place("mysite.settings", [f"{tmp_path}/a"]) == f"{tmp_path}/a/mysite/settings"
    assert "mysite" not in sys.modules


def test_a_module_in_a_folder_without_init(tmp_path):
    write(tmp_path / "a" / "mysite" / "config" / "settings.py")
    place = module_place("mysite.config.settings", [f"{tmp_path}/a"])
    assert place == f"{tmp_path}/a/mysite/config/settings"


def test_a_module_at_the_top(tmp_path):
    write(tmp_path / "settings.py")
    assert module_place("settings", [str(tmp_path)]) == f"{tmp_path}/settings"


def test_settings_that_become_a_package_stay_where_they_are(tmp_path):
    write(tmp_path / "mysite" / "__init__.py")
    write(tmp_path / "mysite" / "settings" / "__init__.py")
    assert module_place("mysite.settings", [str(tmp_path)]) == f"{tmp_path}/mysite/settings"


def test_the_first_folder_that_has_it_wins(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        write(tmp_path / name / "mysite" / "__init__.py")
    write(tmp_path / "b" / "mysite" / "settings.py")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "c")])
    folders = [f"{tmp_path}/none", f"{tmp_path}/b", f"{tmp_path}/a"]
    assert module_place("mysite.settings", folders) == f"{tmp_path}/b/mysite/settings"


def test_the_python_path_is_searched_too(tmp_path, monkeypatch):
    write(tmp_path / "c" / "mysite" / "settings.py")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "c")])
    assert module_place("mysite.settings") == f"{tmp_path}/c/mysite/settings"


def test_the_current_folder_is_searched_where_the_path_has_it(tmp_path, monkeypatch):
    write(tmp_path / "c" / "mysite" / "settings.py")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.chdir(tmp_path / "c")
    assert module_place("mysite.settings") == f"{tmp_path}/c/mysite/settings"


@pytest.mark.parametrize("files", [[], ["__init__.py"], ["__init__.py", "settings.py"]])
def test_what_is_missing_has_the_place_where_it_would_be(tmp_path, files):
    """A daemon that waits for its settings is found when they are there."""
    for name in files:
        write(tmp_path / "mysite" / name)
    assert module_place("mysite.settings", [str(tmp_path)]) == f"{tmp_path}/mysite/settings"


def test_what_is_missing_without_folders_would_be_in_the_current(tmp_path):
    assert module_place("mysite.settings") == f"{tmp_path}/elsewhere/mysite/settings"


def test_a_link_stays_as_it_is_named(tmp_path):
    """So a deployment may let it lead to the next release."""
    for release in ("1", "2"):
        write(tmp_path / release / "mysite" / "settings.py")
    places = []
    for release in ("1", "2"):
        (tmp_path / "next").symlink_to(tmp_path / release)
        (tmp_path / "next").replace(tmp_path / "current")
        invalidate_caches()
        places.append(module_place("mysite.settings", [f"{tmp_path}/current"]))
    assert places == [f"{tmp_path}/current/mysite/settings"] * 2


@pytest.mark.parametrize("entry", ["", ".", "resolved"])
def test_the_current_folder_is_as_the_shell_names_it(tmp_path, monkeypatch, entry):
    write(tmp_path / "1" / "mysite" / "settings.py")
    current = tmp_path / "current"
    current.symlink_to("1")
    monkeypatch.chdir(current)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "1") if entry == "resolved" else entry])
    monkeypatch.setenv("PWD", f"{current}/")
    assert working_folder() == str(current)
    assert module_place("mysite.settings") == f"{current}/mysite/settings"
    assert module_place("mysite.settings", ["."]) == f"{current}/mysite/settings"


@pytest.mark.parametrize("named", ["/", "/no/such", "", ".", "current", "/a\0b"])
def test_a_name_of_another_folder_is_not_believed(tmp_path, monkeypatch, named):
    if "\0" in named:
        monkeypatch.setattr("os.environ", {"PWD": named})
    else:
        monkeypatch.setenv("PWD", named)
    assert working_folder() == f"{tmp_path}/elsewhere"


def test_a_removed_current_folder_matters_to_nobody_else(tmp_path):
    write(tmp_path / "a" / "mysite" / "settings.py")
    (tmp_path / "elsewhere").rmdir()
    assert module_place("mysite.settings", [f"{tmp_path}/a"]) == f"{tmp_path}/a/mysite/settings"


def test_a_package_that_another_finder_knows(tmp_path, monkeypatch):
    """As one that is installed to be edited."""
    write(tmp_path / "src" / "mysite" / "__init__.py")
    write(tmp_path / "src" / "mysite" / "settings.py")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "mysite":
                return None
            from importlib.util import spec_from_file_location

            folder = tmp_path / "src" / "mysite"
            return spec_from_file_location(
                name, folder / "__init__.py", submodule_search_locations=[str(folder)]
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert module_place("mysite.settings") == f"{tmp_path}/src/mysite/settings"


@pytest.mark.parametrize("name", ["sys", "zipimport", "__main__", "", "a..b", "no/such", "..."])
def test_odd_names_have_a_place_too(name):
    assert module_place(name).startswith("/")
