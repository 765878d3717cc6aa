"""One line a request and a socket's event, in the combined format's beginning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO

from twisted.logger import Logger

__all__ = ["AccessLog"]

log = Logger()


class AccessLog:
    """Writes lines to *stream*.

    Args:
        stream: Where they go; flushed by its own rules.
        now: The local time, with its zone.
        open_again: Opens the stream's file anew; None for a stream that has no file.

    Thread: the reactor's.
    """

    def __init__(
        self,
        stream: TextIO,
        now: Callable[[], datetime],
        open_again: Callable[[], TextIO] | None = None,
    ) -> None:
        self._stream = stream
        self._open_again = open_again
        self._now = now
        self._is_failing = False

    def request(  # noqa: PLR0913 - what there is to say of it
        self,
        client: Any,
        method: str,
        target: bytes,
        version: str,
        status: int,
        size: int,
        *,
        seconds: float = 0.0,
    ) -> None:
        """A request was answered (or its client left: status 499), after so many *seconds*."""
        asked = f"{method} {_printable(target)} HTTP/{version}"
        self._write(client, asked, str(status), str(size))

    def socket(self, client: Any, event: str, target: bytes, code: int | None = None) -> None:
        """Something happened to a WebSocket."""
        self._write(
            client, f"{event} {_printable(target)}", "-" if code is None else str(code), "-"
        )

    def close(self) -> None:
        """Write out what is held back."""
        self._stream.flush()

    def reopen(self) -> None:
        """Go on in a new file: the one so far has been renamed."""
        if self._open_again is None:
            return
        try:
            stream = self._open_again()
        except OSError as error:
            log.error("The access log cannot be opened again: {error}", error=error)
            return
        former, self._stream = self._stream, stream
        try:
            former.close()
        except OSError as error:
            log.error("The former access log is incomplete: {error}", error=error)

    def _write(self, client: Any, what: str, status: str, size: str) -> None:
        host = client[0] if client else "-"
        time = self._now().strftime("%d/%b/%Y:%H:%M:%S %z")
        try:
            self._stream.write(f'{host} - - [{time}] "{what}" {status} {size}\n')
            self._is_failing = False
        except (OSError, ValueError) as error:  # a full disk, a closed stream
            if not self._is_failing:
                log.error("The access log cannot be written: {error}", error=error)
            self._is_failing = True


def _printable(target: bytes) -> str:
    """*target* with nothing in it that could end the line or the quotes."""
    text = target.decode("latin-1")
    return "".join(c if "!" <= c <= "~" and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
