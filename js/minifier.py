# ruff: noqa: INP001 -- npm's folder, not a package of Python.
"""JavaScript that does the same in fewer bytes, for the little JavaScript that we have.

It drops comments, spaces and needless signs, joins declarations, and gives private members
and local names one letter. It is no parser. It demands of the source, without checking all
of it, that:

- statements end with a semicolon or a brace; there are no regular expressions, no template
  strings, no labels, and no `var`;
- a parameter of an arrow function stands in parentheses;
- a local name is not also the name of a global that is used;
- the shorthand `{ name }` is used for local names alone.

Every local name becomes the same other name everywhere, which no other name in the source
has: scopes need not be known for that to be right.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["minify"]

_TOKEN = re.compile(
    r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<space> \s+ )
    | (?P<string> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?P<private> \#\w+ )
    | (?P<number> \d[\d_]*(?:\.\d+)? )
    | (?P<word> [A-Za-z_$][\w$]* )
    | (?P<sign> \+\+ | -- | => | \.\.\. | \?\.(?!\d) | \?\?=? | [-+*/%=<>!&|?:;,.(){}\[\]~^] )
    """,
    re.DOTALL | re.VERBOSE,
)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CONSTANTS = {"true": "!0", "false": "!1", "undefined": "void 0", "Infinity": "1/0"}
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_BEFORE_A_MEMBER = {"{", "}", ";", "get", "set", "async", "static"}
_BEFORE_A_CONDITION = {"if", "while", "switch", "for"}


@dataclass
class _Token:
    """A piece of the source.

    Attributes:
        within: What it stands in: ``(``, ``[``, ``{``, ``class`` (its body), or nothing.
        use: What a word is: a ``name``, a ``member`` of something, a ``shorthand`` for both.
        is_declared: Whether the word makes a local name here.
    """

    kind: str
    text: str
    within: str = ""
    use: str = ""
    is_declared: bool = False


def minify(source: str) -> str:
    tokens = list(_tokens(source))
    ends = _ends(tokens)
    _mark_uses(tokens)
    _mark_declarations(tokens, ends)
    _shorten(tokens)
    texts = [_CONSTANTS.get(token.text, token.text) for token in tokens]
    return _join(_with_joined_declarations(_without_needless_signs(texts))) + "\n"


def _tokens(source: str) -> Iterator[_Token]:
    position = 0
    while position < len(source):
        found = _TOKEN.match(source, position)
        if found is None:
            line = source.count("\n", 0, position) + 1
            raise ValueError(f"line {line}: {source[position]!r} is beyond this minifier")
        if found.lastgroup not in ("comment", "space"):
            yield _Token(str(found.lastgroup), found.group())
        position = found.end()


def _ends(tokens: list[_Token]) -> dict[int, int]:
    """Where each bracket is closed; on the way, each token learns what it stands in."""
    ends: dict[int, int] = {}
    opened: list[tuple[int, str]] = []
    is_class_ahead = False
    for index, token in enumerate(tokens):
        if opened and token.text == _PAIRS[tokens[opened[-1][0]].text]:
            ends[opened.pop()[0]] = index
        token.within = opened[-1][1] if opened else ""
        is_class_ahead |= token.text == "class"
        if token.text in _PAIRS:
            is_body = token.text == "{" and is_class_ahead
            is_class_ahead = is_class_ahead and not is_body
            opened.append((index, "class" if is_body else token.text))
    if opened:
        raise ValueError(f"{tokens[opened[-1][0]].text} is not closed")
    return ends


def _mark_uses(tokens: list[_Token]) -> None:
    for before, token, after in _neighbours(tokens):
        if token.kind != "word":
            continue
        is_in_a_list = token.within == "{" and before in ("{", ",")
        is_key = is_in_a_list and after == ":"
        is_of_a_class = token.within == "class" and before in _BEFORE_A_MEMBER
        if before in (".", "?.") or is_key or is_of_a_class:
            token.use = "member"
        elif is_in_a_list and after in (",", "}"):
            token.use = "shorthand"
        else:
            token.use = "name"


def _neighbours(tokens: list[_Token]) -> Iterator[tuple[str, _Token, str]]:
    texts = ["", *(token.text for token in tokens), ""]
    return ((texts[n], token, texts[n + 2]) for n, token in enumerate(tokens))


def _mark_declarations(tokens: list[_Token], ends: dict[int, int]) -> None:
    for before, token, _ in _neighbours(tokens):
        is_made = before in ("const", "let", "class") and token.use == "name"
        token.is_declared = is_made or token.use == "shorthand"
    for start, end in ends.items():
        leads_to_a_body = tokens[end + 1 : end + 2] and tokens[end + 1].text in ("=>", "{")
        before = tokens[start - 1].text if start else ""
        if tokens[start].text == "(" and leads_to_a_body and before not in _BEFORE_A_CONDITION:
            for index in range(start + 1, end):
                is_first = tokens[index - 1].text in ("(", ",", "...")
                if tokens[index].use == "name" and is_first and tokens[index].within == "(":
                    tokens[index].is_declared = True


def _shorten(tokens: list[_Token]) -> None:
    words = {token.text for token in tokens if token.kind == "word"}
    # `export class Name`
    kept = {tokens[n + 2].text for n, token in enumerate(tokens[:-2]) if token.text == "export"}
    local = {token.text for token in tokens if token.is_declared} - kept
    privates = Counter(token.text for token in tokens if token.kind == "private")
    names = Counter(t.text for t in tokens if t.use in ("name", "shorthand") and t.text in local)
    shorter = {
        **_letters_for(privates, (f"#{letter}" for letter in _LETTERS)),
        **_letters_for(names, (letter for letter in _short_names() if letter not in words)),
    }
    for token in tokens:
        new = shorter.get(token.text, token.text)
        if token.use == "shorthand" and new != token.text:
            token.text = f"{token.text}:{new}"
        elif token.use == "name" or token.kind == "private":
            token.text = new


def _letters_for(used: Counter[str], letters: Iterable[str]) -> dict[str, str]:
    """The most used are given the first."""
    return dict(zip((name for name, _ in used.most_common()), letters, strict=False))


def _short_names() -> Iterator[str]:
    yield from _LETTERS
    yield from map("".join, itertools.product(_LETTERS, repeat=2))


def _without_needless_signs(texts: list[str]) -> list[str]:
    out: list[str] = []
    for text in texts:
        if text in ("}", "]", ")") and out and out[-1] == ",":
            out.pop()
        if text == "}" and out and out[-1] == ";":
            out.pop()
        # (name) => becomes name =>
        if text == "=>" and out[-3] == "(" and re.match(r"[\w$]", out[-2]):
            out[-3:] = [out[-2]]
        out.append(text)
    return out


def _with_joined_declarations(texts: list[str]) -> list[str]:
    """``const a=1;const b=2;`` becomes ``const a=1,b=2;``."""
    out: list[str] = []
    # For each open bracket, whether the statement in it that was last begun declares constants.
    declares = [False]
    is_start = True
    for text in texts:
        if is_start and text == "const" and declares[-1] and out[-1] == ";":
            out[-1] = ","
            is_start = False
            continue
        if is_start:
            declares[-1] = text == "const"
        if text in _PAIRS:
            declares.append(False)
        elif text in _PAIRS.values():
            declares.pop()
        out.append(text)
        is_start = text in (";", "{", "}")
    return out


def _join(texts: list[str]) -> str:
    out = ""
    for text in texts:
        is_one_word = re.match(r"[\w$#]", text) and re.search(r"[\w$]$", out)
        if is_one_word or (out[-1:] in ("+", "-") and out[-1] == text[0]):
            out += " "
        out += text
    return out
