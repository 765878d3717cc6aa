"""A site's settings as values that any process can read: no code of the site is needed.

Scalars stand for themselves; lists, tuples, dicts, patterns and paths are lists that begin
with a letter.
"""

from __future__ import annotations

import os
import re
from typing import Any

__all__ = ["from_plain", "to_plain"]

_SCALARS = (type(None), bool, int, float, str, bytes)


def to_plain(value: Any) -> Any:
    """*value* for another process.

    Raises: TypeError: It is, or holds, what cannot be handed over.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return ["t" if isinstance(value, tuple) else "l", *map(to_plain, value)]
    if isinstance(value, dict):
        return ["d", *([to_plain(key), to_plain(item)] for key, item in value.items())]
    if isinstance(value, re.Pattern):
        return ["p", value.pattern, value.flags]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str):  # translated lazily, or safe for templates
        return str(value)
    raise TypeError(f"a {type(value).__name__} cannot be handed to another process")


def from_plain(value: Any) -> Any:
    """What `to_plain` was given."""
    if not isinstance(value, list):
        return value
    letter, *rest = value
    if letter == "l":
        return [from_plain(one) for one in rest]
    if letter == "t":
        return tuple(from_plain(one) for one in rest)
    if letter == "d":
        return {from_plain(key): from_plain(item) for key, item in rest}
    pattern, flags = rest
    return re.compile(pattern, flags)
