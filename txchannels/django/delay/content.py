"""A message as text and back: JSON, in which bytes have a form of their own.

What JSON can hold is written as JSON, so that rows are read by anybody. Bytes are
``{"$bytes": base64}``; a dict of the message's own that looks like that, or like this, is
``{"$dict": it}``.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

__all__ = ["dump_content", "load_content"]

BYTES, DICT = "$bytes", "$dict"


def dump_content(content: dict[str, Any]) -> str:
    """*content*, which some layer carries, as text.

    Raises: TypeError: No layer carries it.
    """
    return json.dumps({key: _to_json(value) for key, value in content.items()})


def load_content(text: str) -> dict[str, Any]:
    """What `dump_content` was given, or any other JSON object.

    Raises: ValueError: It is no such text.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"is no JSON object but a {type(found).__name__}")  # noqa: TRY004
    return {key: _from_json(value) for key, value in found.items()}


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {BYTES: b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        found = {key: _to_json(item) for key, item in value.items()}
        return {DICT: found} if _is_marked(value) else found
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_marked(value):
        [(mark, inner)] = value.items()
        if mark == BYTES and isinstance(inner, str):
            return b64decode(inner, validate=True)
        if mark == DICT and isinstance(inner, dict):
            value = inner
    return {key: _from_json(item) for key, item in value.items()}


def _is_marked(value: dict[Any, Any]) -> bool:
    """Whether it is a dict of one key, which is one of ours."""
    return len(value) == 1 and (BYTES in value or DICT in value)
