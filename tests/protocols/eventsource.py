"""An event stream as a browser reads it (HTML Standard, section 9.2.6), in any chunking."""

from __future__ import annotations

import codecs
from typing import NamedTuple

__all__ = ["Seen", "Source"]


class Seen(NamedTuple):
    """One event of a page."""

    data: str
    last_id: str = ""
    name: str = "message"


class Source:
    """An EventSource's parser.

    Attributes:
        events: What the page has seen, heartbeats left out.
        beats: How many heartbeats there were.
        last_id: What it would say when it comes back.
        retry: The milliseconds after which it would.
    """

    def __init__(self) -> None:
        self.events: list[Seen] = []
        self.beats = 0
        self.last_id = ""
        self.retry: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._data: list[str] = []
        self._name = ""
        self._id = ""

    def feed(self, data: bytes) -> Source:
        text = self._rest + self._decoder.decode(data)
        text = text.removeprefix("\ufeff")
        while True:
            ends = [at for at in (text.find("\r"), text.find("\n")) if at >= 0]
            if not ends or text[min(ends) :] == "\r":
                break
            end = min(ends)
            line = text[:end]
            text = text[end + (2 if text[end : end + 2] == "\r\n" else 1) :]
            self._line(line)
        self._rest = text
        return self

    def _line(self, line: str) -> None:
        if not line:
            self._dispatch()
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def _dispatch(self) -> None:
        self.last_id = self._id
        data, self._data = self._data, []
        name, self._name = self._name, ""
        if not data:
            return
        if name == "heartbeat":
            self.beats += 1
        else:
            self.events.append(Seen("\n".join(data), self.last_id, name or "message"))
