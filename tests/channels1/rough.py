"""The rough site's daemon, and what is left of it when all was raised."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import Daemon, wait_until

__all__ = ["WAIT", "Rough", "close_code", "get", "open_socket", "told_once", "whole"]

SITE = "tests.channels1.rough_site.settings"

#: A guard against hanging, not a measure.
WAIT = 30.0

#: How the lines begin that tell of a failure.
TOLD = re.compile(r"Error (processing|after a) message|What was to follow a consumer's sends")
MARK = re.compile(r"mark (\d+)\.$")


class Rough(Daemon):
    """A daemon with one worker thread, whose failures are counted as it tells them."""

    _read = _told = _marks = _mark = 0

    def __init__(self) -> None:
        super().__init__(SITE, "--threads=1", "--thread-idle=3600")

    def settle(self) -> int:
        """How many failures it has told of, when what was sent to it is done and in the log."""
        self._marks += 1
        assert get(self, f"/mark/?{self._marks}") == (200, b"marked")
        with self._changed:
            assert self._changed.wait_for(lambda: self._read_on()[1] == self._marks, WAIT)
        return self.told

    @property
    def told(self) -> int:
        """How many failures are in the log by now."""
        with self._changed:
            return self._read_on()[0]

    def _read_on(self) -> tuple[int, int]:
        for line in self._lines[self._read :]:
            self._told += TOLD.search(line) is not None
            if found := MARK.search(line.rstrip()):
                self._mark = int(found[1])
        self._read = len(self._lines)
        return self._told, self._mark


@contextmanager
def whole(site: Rough) -> Iterator[Rough]:
    """After all that happens meanwhile, *site* has the same thread, and its books are right."""
    before = state(site)
    yield site
    after = state(site)
    for what in ("pid", "thread", "all"):
        assert after[what] == before[what], site.log
    for channel, (sent, delivered, dropped, lost, pending) in after["books"].items():
        assert lost == pending == 0, (channel, after["books"])
        assert sent == delivered + dropped, (channel, after["books"])
    for bad in ("worker thread has died", "was not handled", "Logging error"):
        assert bad not in site.log


def state(site: Rough) -> dict[str, Any]:
    """What the site says of its thread and its books, when nothing waits any more."""
    found: dict[str, Any] = {}

    def is_quiet() -> bool:
        status, body = get(site, "/state/")
        assert status == 200, site.log
        found.update(json.loads(body))
        return not any(book[4] for book in found["books"].values())

    wait_until(is_quiet)
    return found


def get(site: Rough, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"{site.url}{path}", timeout=WAIT) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def open_socket(site: Rough, path: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{site.port}{path}",
        open_timeout=WAIT,
        close_timeout=WAIT,
        compression=None,
        proxy=None,
    )


def close_code(client: ClientConnection) -> int:
    """The code with which the daemon closes the socket, before anything else comes."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(WAIT)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


@contextmanager
def told_once(site: Rough) -> Iterator[None]:
    """What happens meanwhile is one failure in the log, no more and no fewer."""
    before = site.settle()
    yield
    wait_until(lambda: site.told > before)
    assert site.settle() == before + 1, site.log
