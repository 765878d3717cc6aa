"""Events as values: messages of groups in, an event stream's lines or a poll's JSON out.

The same messages that go to WebSockets as frames. Knows no transport, clock or exchange
(HTML Standard, section 9.2, "Server-sent events").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from txchannels.protocols.replies import IllegalReply, check_keys

if TYPE_CHECKING:
    from txchannels.layers.interfaces import Message

__all__ = ["HEARTBEAT", "Event", "encode_events", "encode_json", "encode_retry", "read_event"]

#: An event of its own name: a page cannot see comments.
HEARTBEAT = b"event: heartbeat\ndata:\n\n"

_LINE_END = re.compile("\r\n|\r|\n")

#: Clients say an id in a header when they come back: so long it may be, of such characters.
_MAX_ID_BYTES = 1024
_CONTROL = re.compile("[\x00-\x1f\x7f]")

#: In bytes, what an event takes beside its texts.
_EVENT_BYTES = 64


class Event(NamedTuple):
    """One message to clients that only receive.

    Attributes:
        data: The text; None where only the client's last id is to change.
        id: What the client says it has had last, when it comes back; None leaves that as it was.
        name: Which of the page's listeners hear it; empty is those of all unnamed ones.
        close: The code with which the client is sent away after it, or None.
    """

    data: str | None = None
    id: str | None = None
    name: str = ""
    close: int | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return _EVENT_BYTES + len(self.data or "") + len(self.id or "") + len(self.name)


def read_event(message: Message) -> Event:
    """What a message to WebSockets is for event streams and polls.

    Raises: IllegalReply: It cannot be sent so: bytes, a key that means nothing, a line's end
        in an id or name, an id that no header can bring back.
    """
    check_keys(message)
    if message.get("bytes") is not None:
        raise IllegalReply("event streams and polls carry text, not bytes")
    data = message.get("text")
    if data is not None:
        data = _check_text("text", data)
    given = message.get("id")
    if type(given) is int:
        given = str(given)
    close = message.get("close")
    return Event(
        data,
        None if given is None else _check_id(given),
        _check_line("event", message.get("event") or ""),
        None if close is None or close is False else _close_code(close),
    )


def encode_events(events: Iterable[Event]) -> bytes:
    """*events* as lines; what moves nothing and says nothing is left out."""
    lines: list[str] = []
    for event in events:
        if event.id is not None:
            lines.append(f"id: {event.id}\n")
        if event.data is not None:
            if event.name:
                lines.append(f"event: {event.name}\n")
            lines += [f"data: {line}\n" for line in _LINE_END.split(event.data)]
        if event.id is not None or event.data is not None:
            lines.append("\n")
        if event.close is not None:
            lines.append(f"event: close\ndata: {event.close}\n\n")
    return "".join(lines).encode()


def encode_retry(seconds: float) -> bytes:
    """Tell the client how long to wait before it comes back, from now on."""
    return b"retry: %d\n\n" % round(seconds * 1000)


def encode_json(events: Iterable[Event]) -> bytes:
    """*events* as a JSON array of objects with ``data``, and ``id`` and ``event`` if they have one.

    A close is an event of that name. Without anything to tell, it is ``[]``.
    """
    listed: list[dict[str, str]] = []
    for event in events:
        if event.data is not None:
            one = {"data": event.data}
            if event.id is not None:
                one["id"] = event.id
            if event.name:
                one["event"] = event.name
            listed.append(one)
        if event.close is not None:
            listed.append({"data": str(event.close), "event": "close"})
    return json.dumps(listed, ensure_ascii=False, separators=(",", ":")).encode()


def _check_text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise IllegalReply(f"{key!r} must be str, not {type(value).__name__}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise IllegalReply(f"{key!r} is not Unicode: {error}") from None
    return value


def _check_line(key: str, value: Any) -> str:
    text = _check_text(key, value)
    if "\n" in text or "\r" in text or "\0" in text:
        raise IllegalReply(f"{key!r} must be one line, without NUL: {text!r:.80}")
    return text


def _check_id(value: Any) -> str:
    text = _check_line("id", value)
    if _CONTROL.search(text) is not None or len(text.encode()) > _MAX_ID_BYTES:
        raise IllegalReply(
            f"'id' must have at most {_MAX_ID_BYTES} bytes and no control characters, for clients "
            f"to say it in a header: {text!r:.80}"
        )
    return text


def _close_code(close: Any) -> int:
    if close is True:
        return 1000
    if not isinstance(close, int):
        raise IllegalReply(f"'close' must be True or a code, not {close!r:.40}")
    return close
