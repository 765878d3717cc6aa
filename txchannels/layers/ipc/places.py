"""Where a module is, found without running any code: what tells two sites of one name apart."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

__all__ = ["module_place"]


def module_place(module: str, folders: Sequence[str] = ()) -> str:
    """The absolute path of *module*, without its suffix.

    Neither the module nor the packages that it is in are imported. What cannot be found has
    the place where it would be looked for first. Symbolic links stay as they are named: the
    place is the same when a link of a deployment leads somewhere else.

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
    return os.path.abspath(found)  # noqa: PTH100 - resolve() would follow links


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
