"""Where a module is, found without running any code: what tells two sites of one name apart.

And where this process is, as whoever started it has named that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

__all__ = ["module_place", "working_folder"]


def module_place(module: str, folders: Sequence[str] = ()) -> str:
    """The absolute path of *module*, without its suffix.

    Neither the module nor the packages that it is in are imported. What cannot be found has
    the place where it would be looked for first. Symbolic links stay as they are named: the
    place is the same when a link of a deployment leads somewhere else. Below the current folder,
    they are as `working_folder` names that.

    Args:
        folders: Where it is looked for before ``sys.path``.
    """
    *parents, name = module.split(".")
    looked = [*folders, *sys.path]
    first = folders[0] if folders else ""
    for parent in parents:
        spec = _find(parent, looked, is_top=parent is parents[0])
        within = list((spec and spec.submodule_search_locations) or ())
        looked = within or [str(Path(first, parent))]
        first = looked[0]
    spec = _find(name, looked, is_top=not parents)
    found = _place(spec) or Path(first, name)
    place = Path(os.path.abspath(found))  # noqa: PTH100 - resolve() would follow links
    try:
        here = Path.cwd()  # what Python itself puts on its path is below this
    except FileNotFoundError:  # it was removed: nothing is below it
        return str(place)
    if place.is_relative_to(here):
        place = Path(working_folder(), place.relative_to(here))
    return str(place)


def working_folder() -> str:
    """The absolute path of the current folder, with the links that it was entered by.

    The system knows only where they led. A shell keeps the name in ``PWD``, which is believed
    where it leads to the same folder.
    """
    named = os.environ.get("PWD", "")
    try:
        if named.startswith("/") and Path(named).samefile("."):
            return os.path.normpath(named)
    except (OSError, ValueError):
        pass  # it is of another folder, which need not be there
    return str(Path.cwd())


def _find(name: str, folders: Sequence[str], *, is_top: bool) -> ModuleSpec | None:
    """What the import system has for the last part of a dotted name."""
    spec = PathFinder.find_spec(name, folders)
    if spec is None and is_top:  # a package that was installed to be edited has its own finder
        with suppress(ValueError, ImportError):
            spec = find_spec(name)
    return spec


def _place(spec: ModuleSpec | None) -> str:
    if spec is None:
        return ""
    if spec.submodule_search_locations:
        return next(iter(spec.submodule_search_locations))
    return str(Path(spec.origin).with_suffix("")) if spec.origin and spec.has_location else ""
