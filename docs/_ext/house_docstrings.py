"""Docstrings of the house as Napoleon reads them.

A section that is short stands on one line here: ``Raises: ValueError: It is none.``
Napoleon knows only sections whose name stands alone on its line.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_ONE_LINE = re.compile(r"^(?P<margin> *)(?P<name>Returns|Raises|Thread|Source): (?P<text>\S.*)$")
#: ``A: why. B: why`` are two errors; ``A, B: why`` are two for one reason.
_ERROR = re.compile(r"(?:^|(?<=[.;] ))((?:[A-Z]\w+)(?:, [A-Z]\w+)*): ")
_SECTION = re.compile(r"^ *[A-Z]\w+:( |$)")


def unfold(lines: list[str]) -> list[str]:
    """*lines* with each section that stands on one line as a section of its own."""
    unfolded: list[str] = []
    at = 0
    while at < len(lines):
        found = _ONE_LINE.match(lines[at])
        at += 1
        if found is None:
            unfolded.append(lines[at - 1])
            continue
        text = found["text"]
        while at < len(lines) and lines[at].strip() and not _SECTION.match(lines[at]):
            text += f" {lines[at].strip()}"
            at += 1
        margin = found["margin"]
        entries = _errors(text) if found["name"] == "Raises" else [text]
        unfolded += [
            "",
            f"{margin}{found['name']}:",
            *(f"{margin}    {one}" for one in entries),
            "",
        ]
    return unfolded


def _errors(text: str) -> list[str]:
    parts = _ERROR.split(text)
    entries = []
    for names, why in zip(parts[1::2], parts[2::2], strict=True):
        entries += [f"{name}: {why.strip()}" for name in names.split(", ")]
    return entries or [text]


def _process(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: Any) -> None:
    lines[:] = unfold(list(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    # Before Napoleon's, which has the usual priority of 500.
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True}
