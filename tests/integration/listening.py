"""Clients of event streams, in bytes: one socket each, and no thread."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Self

from tests.integration.daemon import Daemon
from tests.protocols.eventsource import Source

__all__ = ["Listener", "all_listening"]

#: A guard against hanging, not a measure.
WAIT_SECONDS = 60.0


class Listener:
    """One request, and what has come of its response so far.

    Attributes:
        status: 0 before its head has come.
        fields: Names are in lower case; of several of one name, the last.
        body: Without its chunks' sizes.
        source: The body as an event stream.
        is_whole: Whether the response has ended as it should.
    """

    def __init__(self, daemon: Daemon, path: str, **headers: str) -> None:
        self.status = 0
        self.fields: dict[str, str] = {}
        self.body = b""
        self.source = Source()
        self.is_whole = False
        self._received = b""
        self._socket = socket.create_connection(daemon.address, WAIT_SECONDS)
        fields = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{daemon.port}", *fields, "", ""]
        self._socket.sendall("\r\n".join(lines).encode("latin-1"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def texts(self) -> list[str]:
        return [event.data for event in self.source.events]

    def wait(self, is_so: Callable[[Self], Any]) -> None:
        """Read until *is_so* of it."""
        until = time.monotonic() + WAIT_SECONDS
        while not is_so(self):
            self._socket.settimeout(max(0.01, until - time.monotonic()))
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                raise AssertionError(f"never came; so far: {self.body!r:.500}") from None
            assert data, f"closed; it was: {self.body!r:.500}"
            self._received += data
            self._read()

    def wait_for(self, *texts: str) -> None:
        """Wait until these are the texts of its events."""
        self.wait(lambda one: len(one.texts) >= len(texts))
        assert self.texts == list(texts)

    def wait_for_head(self) -> Self:
        self.wait(lambda one: one.status)
        return self

    def wait_for_end(self) -> Self:
        self.wait(lambda one: one.is_whole)
        return self

    def _read(self) -> None:
        if not self.status:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            self.status = int(first.split()[1])
            pairs = [line.split(": ", 1) for line in lines]
            self.fields = {name.lower(): value for name, value in pairs}
            self._received = rest
        if "content-length" in self.fields:
            self.body = self._received
            self.is_whole = len(self.body) == int(self.fields["content-length"])
        elif self.status == 204:
            self.is_whole = True
        else:
            self._read_chunks()

    def _read_chunks(self) -> None:
        while not self.is_whole:
            line, end, rest = self._received.partition(b"\r\n")
            if not end or len(rest) < int(line, 16) + 2:
                return
            size = int(line, 16)
            chunk, self._received = rest[:size], rest[size + 2 :]
            self.body += chunk
            self.source.feed(chunk)
            self.is_whole = not size


def all_listening(stack: ExitStack, listeners: Iterable[Listener]) -> list[Listener]:
    """All of *listeners*, once each has its head; closed with *stack*."""
    found = [stack.enter_context(listener) for listener in listeners]
    return [listener.wait_for_head() for listener in found]
