"""Which files of a site have changed: for ``--reload``, in development."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Watch"]

log = Logger()

LOOK_SECONDS = 0.5

Stamp = tuple[int, int]


class Watch:
    """Looks at files, and at the folders that they are in.

    Args:
        clock: The reactor.
        changed: Called when one has changed, come or gone.

    Thread: the reactor's.
    """

    def __init__(self, clock: Any, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._stamps: dict[str, Stamp | None] = {}
        self._look = LoopingCall(self._check)
        self._look.clock = clock

    def start(self, files: Iterable[str]) -> None:
        """Begin, with *files*."""
        self.look_at(files)
        self._look.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look at nothing any more."""
        if self._look.running:
            self._look.stop()

    def look_at(self, files: Iterable[str]) -> None:
        """Look at *files*, too; those that were looked at before stay, as they were."""
        for path in files:
            if path not in self._stamps:
                self._stamps[path] = _stamp(path)

    def _check(self) -> None:
        changed = None
        for path, before in self._stamps.items():
            now = _stamp(path)
            if now != before:
                self._stamps[path] = now
                changed = path
        if changed is not None:
            log.info("{path} has changed", path=changed)
            self._changed()


def _stamp(path: str) -> Stamp | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
