"""What goes over a room's socket: one JSON object a frame, told apart by its ``type``.

To the browser: ``history``, ``message``, ``people``, ``typing``, ``error``.
From it: ``say`` (text, nonce) and ``typing``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

__all__ = ["MAX_TEXT", "FrameError", "Say", "Typing", "read", "write"]

MAX_TEXT = 2000


@dataclass(frozen=True)
class Say:
    """Somebody says something; the nonce is the browser's name for it."""

    text: str
    nonce: UUID


@dataclass(frozen=True)
class Typing:
    """Somebody is about to."""


class FrameError(Exception):
    """A frame that the chat does not understand.

    Args:
        reason: What to tell the person who sent it.
        nonce: Which of their messages it is about, if that can be known.
    """

    def __init__(self, reason: str, nonce: UUID | None = None) -> None:
        super().__init__(reason)
        self.nonce = nonce


def write(kind: str, **fields: Any) -> dict[str, str]:
    """A message for a reply channel or a group."""
    return {"text": json.dumps({"type": kind, **fields}, ensure_ascii=False)}


def read(text: str | None) -> Say | Typing:
    """What a browser sent. Raises: FrameError: it is none of the above."""
    try:
        frame = json.loads(text or "")
    except (ValueError, RecursionError):
        raise FrameError("That was not JSON.") from None
    kind = frame.get("type") if isinstance(frame, dict) else None
    if kind == "say":
        return _read_say(frame)
    if kind == "typing":
        return Typing()
    raise FrameError("A frame is an object with the type “say” or “typing”.")


def _read_say(frame: dict[str, Any]) -> Say:
    try:
        nonce = UUID(hex=frame["nonce"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise FrameError("A message needs a nonce: 32 hexadecimal digits.") from None
    text = frame.get("text")
    if not isinstance(text, str) or not _is_storable(text):
        raise FrameError("A message needs a text.", nonce)
    text = text.strip()
    if not 1 <= len(text) <= MAX_TEXT:
        raise FrameError(f"A message has 1 to {MAX_TEXT} characters.", nonce)
    return Say(text, nonce)


def _is_storable(text: str) -> bool:
    """JSON can spell half a character and NUL; databases take neither."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
