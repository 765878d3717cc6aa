"""Which files of a site have changed: for ``--reload``, in development."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
        self._folders: set[Path] = set()
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
        paths = list(files)
        self._folders.update(Path(path).parent for path in paths)
        for path in [*paths, *self._code()]:
            if path not in self._stamps:
                self._stamps[path] = _stamp(path)

    def _code(self) -> Iterator[str]:
        """What is in the folders now: code that is written may be imported next."""
        for folder in self._folders:
            yield from map(str, folder.glob("*.py"))

    def _check(self) -> None:
        changed = None
        for path in {*self._stamps, *self._code()}:
            now = _stamp(path)
            if now != self._stamps.get(path):
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
