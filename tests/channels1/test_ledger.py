"""Every row of Channels 1 has a test, and every test that is named for one is there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.channels1.rows import DEVIATIONS, SECTIONS

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"

ROWS = {
    f"{number}: {row}": ids for number, section in SECTIONS.items() for row, ids in section.items()
}

#: How many rows each section has; a row that is taken out is missed here.
COUNTS = {6: 20, 7: 14, 8: 10, 9: 13, 10: 6, 11: 5, 12: 2, 13: 6, 14: 5, 15: 1, 16: 8, 19: 15}


@cache
def functions(path: Path) -> frozenset[str]:
    """The names of the tests in a file: functions, and methods of classes."""
    tree = ast.parse(path.read_text())
    bodies = [tree.body, *(one.body for one in tree.body if isinstance(one, ast.ClassDef))]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(one.name for body in bodies for one in body if isinstance(one, kinds))


def test_every_row_is_here() -> None:
    assert {number: len(section) for number, section in SECTIONS.items()} == COUNTS


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_tests_and_they_exist(row: str) -> None:
    assert ROWS[row]
    missing = []
    for one in ROWS[row]:
        path, _, name = one.partition("::")
        if not (TESTS / path).is_file() or name not in functions(TESTS / path):
            missing.append(one)
    assert not missing


@pytest.mark.parametrize(("section", "what", "page", "words"), DEVIATIONS)
def test_what_differs_is_said(section: int, what: str, page: str, words: str) -> None:
    text = " ".join((DOCS / page).read_text().split())
    assert words in text, f"{page} does not say of section {section}: {what}"
