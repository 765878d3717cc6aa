"""How the tutorial's Markdown is read: whatever cannot be followed exactly is refused."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.docs.tutorial_reader import PAGES, read_page
from tests.docs.tutorial_text import Command, Edit, Quote, TextError, has_printed, parse


def edit(place: str, text: str = "new") -> Edit:
    (block,) = parse("page.md", f"**a/file.py**, {place}:\n\n```python\n{text}\n```\n")
    assert isinstance(block, Edit)
    return block


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "a" / "file.py"
    file.parent.mkdir()
    file.write_text("one\n  two\nthree\n")
    return file


# Blocks


def test_blocks_come_in_order_and_know_their_headings():
    page = """
        # Part

        ```console
        $ first \\
            --option
        printed
        $ second
        ```

        ## Mistakes

        ### A typo

        ```text
        Error
        ```
    """
    first, second, quote = parse("page.md", dedent(page))
    assert (first.line, first.output) == ("first \\\n    --option", ("printed",))
    assert (second.line, second.output) == ("second", ())
    assert first.headings == ("Part",)
    assert isinstance(quote, Quote)
    assert quote.headings == ("Part", "Mistakes", "A typo")
    assert quote.lines == ("Error",)
    assert quote.where == "page.md:15"


@pytest.mark.parametrize(
    "page",
    [
        "```python\nx = 1\n```\n",
        "**a/file.py**, somewhere:\n\n```python\nx = 1\n```\n",
        "**a/file.py**, the whole file:\n\nA sentence.\n\n```python\nx = 1\n```\n",
        "```\nno language\n```\n",
        "```console\nno command\n```\n",
        "**a/file.py**, the whole file:\n\n```python\nno end\n",
    ],
)
def test_a_block_that_says_not_what_it_is_is_refused(page):
    with pytest.raises(TextError, match=r"^page\.md:\d"):
        parse("page.md", page)


# Edits


@pytest.mark.parametrize(
    ("place", "after"),
    [
        ("the whole file", "new\n"),
        ("at the end", "one\n  two\nthree\n\nnew\n"),
        ("below `two`", "one\n  two\n  new\nthree\n"),
        ("instead of `two`", "one\n  new\nthree\n"),
    ],
)
def test_an_edit_is_made_where_it_belongs(place, after, tmp_path, file):
    edit(place).apply(tmp_path)
    assert file.read_text() == after


def test_a_new_file_is_made_with_its_folders(tmp_path):
    edit("a new file").apply(tmp_path)
    assert (tmp_path / "a" / "file.py").read_text() == "new\n"


@pytest.mark.parametrize("place", ["a new file", "below `four`", "instead of `wo`"])
def test_an_edit_that_fits_nowhere_is_refused(place, tmp_path, file):
    with pytest.raises(TextError, match=r"a/file\.py"):
        edit(place).apply(tmp_path)
    assert file.read_text() == "one\n  two\nthree\n"


@pytest.mark.parametrize("place", ["below `two`", "instead of `two`"])
def test_an_edit_that_fits_two_places_is_refused(place, tmp_path, file):
    file.write_text("two\ntwo\n")
    with pytest.raises(TextError, match="2 lines"):
        edit(place).apply(tmp_path)


@pytest.mark.parametrize("place", ["the whole file", "at the end", "below `two`"])
def test_a_file_that_is_not_there_is_not_changed(place, tmp_path):
    with pytest.raises(TextError, match=r"a/file\.py"):
        edit(place).apply(tmp_path)


# What is printed


@pytest.mark.parametrize(
    ("wanted", "printed", "is_there"),
    [
        (["b"], "a\nb\nc", True),
        (["a", "c"], "a\nb\nc", True),
        (["c", "a"], "a\nb\nc", False),
        (["a", "..."], "a", True),
        (["a", "a"], "a", False),
        (["ab"], "abc", False),
        (["a...c"], "a and c", True),
        (["a.c"], "abc", False),
        (["on http://127.0.0.1:8000"], "on http://127.0.0.1:41234", True),
        (["Ran 4 tests in 0.1s"], "Ran 4 tests in 12.75s", True),
        (["Ran 4 tests in 0.1s"], "Ran 5 tests in 0.1s", False),
        (["2026-01-01T12:00:00+0000 [x] up"], "2031-12-24T23:59:59+0100 [x] up", True),
        (["[01/Jan/2026 12:00:00] up"], "[24/Dec/2031 23:59:59] up", True),
    ],
)
def test_lines_are_found_in_their_order(wanted, printed, is_there):
    assert has_printed(tuple(wanted), printed) is is_there


# The pages themselves


def test_there_are_four_parts():
    assert sorted(PAGES) == [1, 2, 3, 4]


@pytest.mark.parametrize("number", PAGES)
def test_each_part_can_be_read(number):
    kinds = {type(block) for block in read_page(number)}
    assert kinds == {Command, Edit, Quote}
