"""The tutorial's Markdown as what a reader does: files to write, commands to run, what to see.

A fenced block is one of three. ``console``: lines that begin with ``$`` are commands, the
others what the command before them prints. ``text``: what a mistake prints, under a heading
that names the mistake. All others are a piece of a file, and stand under a line that says of
which, and where: ``**mysite/urls.py**, the whole file:``. A block that is none of them is an
error in the text, as is an edit that does not fit exactly one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

__all__ = ["Block", "Command", "Edit", "Quote", "TextError", "has_printed", "parse"]

_FENCE = re.compile(r"^(```+)(.*)$")
_HEADING = re.compile(r"^#{1,6} (.+)$")
_PLACE = re.compile(
    r"^\*\*(?P<path>[\w./-]+)\*\*, "
    r"(?:(?P<place>a new file|the whole file|at the end)"
    r"|(?P<near>below|instead of) `(?P<line>[^`]+)`):$"
)
_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([+-]\d{4}|,\d{3})"), "TIME"),
    (re.compile(r"\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b(tcp:port=|PID |in |process )[\d.]+"), r"\1N"),
)


class TextError(Exception):
    """The text cannot be followed; says where and why."""


@dataclass(frozen=True)
class Block:
    """What all blocks have.

    Attributes:
        where: File and line.
        headings: The headings above it: the last of each level.
    """

    where: str
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Command(Block):
    """A line for the terminal, and the lines that it is said to print."""

    line: str
    output: tuple[str, ...]


@dataclass(frozen=True)
class Quote(Block):
    """What somebody sees who made the mistake that the heading names."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Edit(Block):
    """A piece of a file. Beside another line, it is indented as that is.

    Attributes:
        place: "a new file", "the whole file", "at the end", "below" or "instead of".
        line: The file's line that the last two mean.
    """

    path: str
    place: str
    line: str
    text: str

    def apply(self, folder: Path) -> None:
        """Make the edit in *folder*.

        Raises: TextError: It does not fit there.
        """
        target = folder / self.path
        if (self.place == "a new file") == target.exists():
            there = "there already" if target.exists() else "not there"
            raise TextError(f"{self.where}: {self.path} is {there}, so not {self.place!r}")
        if self.place in ("a new file", "the whole file"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self.text)
            return
        before = target.read_text()
        if self.place == "at the end":
            target.write_text(f"{before.rstrip()}\n\n{self.text}")
            return
        lines = before.splitlines(keepends=True)
        matching = [number for number, line in enumerate(lines) if line.strip() == self.line]
        if len(matching) != 1:
            raise TextError(f"{self.where}: {self.path} has {len(matching)} lines {self.line!r}")
        (number,) = matching
        margin = lines[number].removesuffix(lines[number].lstrip())
        lines[number + (self.place == "below") : number + 1] = [indent(dedent(self.text), margin)]
        target.write_text("".join(lines))


def parse(name: str, text: str) -> list[Command | Edit | Quote]:
    """The blocks of the page *name*, in order.

    Raises: TextError: A block says neither what to run nor where it belongs.
    """
    return [block for raw in _raw_blocks(name, text) for block in _read(*raw)]


def _raw_blocks(name: str, text: str) -> Iterator[tuple[Block, str, str, list[str]]]:
    """Place, language, the paragraph's line above, and the lines of each fenced block."""
    headings: list[str] = []
    above, fence, language = "", "", ""
    where = Block(name, ())
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fenced = _FENCE.match(line)
        if fence:
            if line.rstrip() == fence:
                yield where, language, above, lines
                fence, above = "", ""
            else:
                lines.append(line)
        elif fenced:
            fence, language = fenced[1], fenced[2].strip()
            where, lines = Block(f"{name}:{number}", tuple(headings)), []
        elif heading := _HEADING.match(line):
            level = line.index(" ")
            headings[level - 1 :] = [heading[1]]
            above = ""
        elif line.strip():
            above = line.rstrip()
    if fence:
        raise TextError(f"{where.where}: the block has no end")


def _read(
    block: Block, language: str, above: str, lines: list[str]
) -> Iterator[Command | Edit | Quote]:
    if language == "console":
        yield from _commands(block, lines)
    elif language == "text":
        yield Quote(block.where, block.headings, tuple(lines))
    else:
        place = _PLACE.match(above)
        if place is None:
            raise TextError(f"{block.where}: where does this belong? Not: {above!r}")
        yield Edit(
            block.where,
            block.headings,
            path=place["path"],
            place=place["place"] or place["near"],
            line=place["line"] or "",
            text="\n".join(lines) + "\n",
        )


def _commands(block: Block, lines: list[str]) -> Iterator[Command]:
    commands: list[tuple[str, list[str]]] = []
    is_open = False
    for line in lines:
        if is_open:
            commands[-1] = (f"{commands[-1][0]}\n{line}", [])
            is_open = line.endswith("\\")
        elif line.startswith("$ "):
            commands.append((line.removeprefix("$ "), []))
            is_open = line.endswith("\\")
        elif commands:
            commands[-1][1].append(line)
        else:
            raise TextError(f"{block.where}: begins with no command: {line!r}")
    for command, output in commands:
        yield Command(block.where, block.headings, command, tuple(output))


def has_printed(wanted: tuple[str, ...], printed: str) -> bool:
    """Whether *printed* has the lines *wanted*, in their order, maybe with others between.

    ``...`` stands for anything. Times, addresses and numbers of processes differ each time.
    """
    lines = iter(_unify(printed).splitlines())
    patterns = [
        _pattern(_unify(line.strip())) for line in wanted if line.strip() not in ("", "...")
    ]
    return all(any(pattern.fullmatch(line.strip()) for line in lines) for pattern in patterns)


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.split("..."))))


def _unify(text: str) -> str:
    for changing, name in _CHANGING:
        text = changing.sub(name, text)
    return text
