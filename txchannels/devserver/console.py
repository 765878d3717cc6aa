"""What happens, as lines for a developer: requests, sockets, reloads, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogLevel, formatEvent
from zope.interface import implementer

__all__ = ["Console", "RequestLog", "Styles"]

#: What a socket's events are called in Channels 1.
_SOCKET_EVENTS = {
    "WSCONNECTING": ("HANDSHAKING", "HTTP_INFO"),
    "WSCONNECT": ("CONNECT", "HTTP_SUCCESS"),
    "WSREJECT": ("REJECT", "HTTP_BAD_REQUEST"),
    "WSDISCONNECT": ("DISCONNECT", "HTTP_INFO"),
}

#: What is told in other words: how its format begins, and those words.
_REWORDED = {
    "{path} has changed": "{path} has changed, reloading.",
    "Reload: generation": "Reloaded in {seconds:.1f} s.",
    # The worker has shown why, at length.
    "Reload failed: ": "Reload failed. {state}.",
    "{worker} cannot start: ": "The code cannot be run: {reason}",
    "THE SITE'S CODE IS BROKEN": "{state}. {again}.",
    "No worker is left": "",
}


class Styles:
    """Colours by Django's names for them.

    Args:
        codes: What is written before and after a text, by name; nothing for those that
            are missing.
    """

    def __init__(self, codes: Mapping[str, tuple[str, str]]) -> None:
        self._codes = codes

    def paint(self, style: str, text: str) -> str:
        """*text* in that style."""
        before, after = self._codes.get(style, ("", ""))
        return f"{before}{text}{after}"


class RequestLog:
    """A line for each request and each event of a socket; stands for an `AccessLog`.

    Args:
        stream: Where they go.
        styles: Their colours.
        now: The local time.

    Thread: the reactor's.
    """

    def __init__(self, stream: TextIO, styles: Styles, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._styles = styles
        self._now = now

    def request(  # noqa: PLR0913 - as of `AccessLog`
        self,
        client: Any,
        method: str,
        target: bytes,
        version: str,
        status: int,
        size: int,
        *,
        seconds: float,
    ) -> None:
        """See `AccessLog`."""
        what = f"HTTP {method} {_printable(target)} {status} [{seconds:.2f}, {_address(client)}]"
        self._write(_style_of(status), what)

    def socket(self, client: Any, event: str, target: bytes, code: int | None = None) -> None:
        """See `AccessLog`."""
        name, style = _SOCKET_EVENTS.get(event, (event, "HTTP_INFO"))
        details = _address(client) if code is None else f"{code}, {_address(client)}"
        self._write(style, f"WebSocket {name} {_printable(target)} [{details}]")

    def close(self) -> None:
        """Write out what is held back."""
        self._stream.flush()

    def reopen(self) -> None:
        """Nobody renames a terminal."""

    def _write(self, style: str, what: str) -> None:
        time = self._now().strftime("%d/%b/%Y %H:%M:%S")
        _write(self._stream, self._styles.paint(style, f"[{time}] {what}"))


@implementer(ILogObserver)
class Console:
    """An observer of Twisted's log: warnings, errors and reloads; the rest if it is asked for.

    Args:
        stream: Where they go.
        styles: Their colours.
        verbosity: As of ``manage.py``: 0 errors, 1 warnings and reloads, 2 all.

    Thread: any.
    """

    def __init__(self, stream: TextIO, styles: Styles, verbosity: int) -> None:
        self._stream = stream
        self._styles = styles
        self._verbosity = verbosity

    def __call__(self, event: dict[str, Any]) -> None:
        """Show *event*, if it is to be."""
        level = event.get("log_level", LogLevel.info)
        words = None if self._verbosity > 1 else _words_for(event)
        if words == "" or not self._is_shown(level, is_reworded=words is not None):
            return
        text = formatEvent({**event, "log_format": words} if words is not None else event)
        if words is not None:
            text = text.partition("\n")[0]
        if (failure := event.get("log_failure")) is not None:
            text = f"{text}\n{failure.getTraceback()}".rstrip()
        if level >= LogLevel.error:
            text = self._styles.paint("ERROR", text)
        elif level is LogLevel.warn:
            text = self._styles.paint("WARNING", text)
        _write(self._stream, text)

    def _is_shown(self, level: Any, *, is_reworded: bool) -> bool:
        least = (LogLevel.error, LogLevel.warn, LogLevel.info)[min(self._verbosity, 2)]
        return bool(level >= least) or (is_reworded and self._verbosity > 0)


def _words_for(event: Mapping[str, Any]) -> str | None:
    """The format that stands for the event's own; None if that is good."""
    own = event.get("log_format") or ""
    return next((words for start, words in _REWORDED.items() if own.startswith(start)), None)


def _write(stream: TextIO, line: str) -> None:
    try:
        stream.write(f"{line}\n")
        stream.flush()
    except (OSError, ValueError):
        pass  # the terminal is gone, and who would read it


def _address(client: Any) -> str:
    if not client:
        return "-"
    host, port = client[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _printable(target: bytes) -> str:
    """*target* without what a terminal would obey."""
    text = target.decode("latin-1")
    return "".join(c if "!" <= c <= "~" else f"\\x{ord(c):02x}" for c in text)


def _style_of(status: int) -> str:
    """Django's name for the colour of *status*."""
    if status == 304:
        return "HTTP_NOT_MODIFIED"
    if status == 404:
        return "HTTP_NOT_FOUND"
    names = {1: "HTTP_INFO", 2: "HTTP_SUCCESS", 3: "HTTP_REDIRECT", 4: "HTTP_BAD_REQUEST"}
    return names.get(status // 100, "HTTP_SERVER_ERROR")
