"""The pages of the documentation, as files: their code, links and headings."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.integration.daemon import ROOT

__all__ = ["DOCS", "anchors", "code", "find", "indented", "links", "pages", "prose"]

DOCS = ROOT / "docs"

_FENCE = re.compile(
    r"^(?P<margin> *)(`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=margin)\2 *$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}[^\n]*\n+)+")


def pages() -> list[Path]:
    """Every page, and what is shown on the site from elsewhere in the repository."""
    outside = ("README.md", "CHANGELOG.md", "bench/README.md", "js/README.md")
    folders = ("contrib", "examples")
    found = [*DOCS.rglob("*.md"), *(ROOT / name for name in outside)]
    return sorted([*found, *(page for folder in folders for page in (ROOT / folder).rglob("*.md"))])


def code(page: Path, language: str) -> list[str]:
    """The fenced blocks of *page* in *language*, without the margin that they have in common."""
    return [
        dedent(found["text"])
        for found in _FENCE.finditer(page.read_text())
        if found["language"].strip() == language
    ]


def prose(page: Path) -> str:
    """*page* without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def indented(page: Path) -> list[str]:
    """The lines of the indented blocks of *page*: commands."""
    return [line.strip() for block in _INDENTED.findall(prose(page)) for line in block.splitlines()]


def links(page: Path) -> list[str]:
    """What *page* links to, in this repository."""
    text = re.sub(r"(`+).*?\1", "`", prose(page))
    return [to for to in _LINK.findall(text) if not re.match(r"[a-z]+:", to)]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of *page*, as GitHub makes them."""
    made: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.*)$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = base = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while name in made:
            number += 1
            name = f"{base}-{number}"
        made.add(name)
    return made


def find(name: str) -> Any:
    """The module, or the thing in a module, that is called *name*."""
    module, found = name, None
    while found is None:
        try:
            found = import_module(module)
        except ModuleNotFoundError:
            module = module.rpartition(".")[0]
            if not module:
                raise
    for part in name.removeprefix(module).split(".")[1:]:
        found = getattr(found, part)
    return found
