"""How a row is written down: tests by file."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Section", "tests"]

#: The tests of each row, as ``file::name`` below ``tests/``.
Section = Mapping[str, list[str]]


def tests(**files: str) -> list[str]:
    """The names of tests, by the file that they are in.

    A file's key is its path without ``test_`` and ``.py``: ``django__routing`` for
    ``django/test_routing.py``, ``project__rows`` for one of the ported project.
    """
    found = []
    for key, names in files.items():
        *folders, name = key.split("__")
        if folders == ["project"]:
            folders = ["ported", "project", "board", "tests"]
        path = "/".join([*folders, f"test_{name}.py"])
        found += [f"{path}::test_{one}" for one in names.split()]
    return found
