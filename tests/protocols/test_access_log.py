from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TextIO

from txchannels.protocols.access_log import AccessLog

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


class FullDisk(StringIO):
    def write(self, text: str) -> int:
        raise OSError("No space left on device")


def make(stream: StringIO) -> AccessLog:
    return AccessLog(stream, lambda: NOW)


def test_a_request_is_one_line() -> None:
    stream = StringIO()
    make(stream).request(["192.0.2.1", 80], "GET", b"/a?b", "1.1", 200, 5)
    assert stream.getvalue() == (
        '192.0.2.1 - - [03/Feb/2026:04:05:06 +0000] "GET /a?b HTTP/1.1" 200 5\n'
    )


def test_a_client_of_a_unix_socket_has_no_address() -> None:
    stream = StringIO()
    make(stream).request(None, "GET", b"/", "1.1", 200, 5)
    assert stream.getvalue().startswith("- - - [")


def test_a_sockets_events_are_lines() -> None:
    stream = StringIO()
    log = make(stream)
    log.socket(["::1", 80], "WSCONNECT", b"/a")
    log.socket(["::1", 80], "WSDISCONNECT", b"/a", 1001)
    assert [line.partition("] ")[2] for line in stream.getvalue().splitlines()] == [
        '"WSCONNECT /a" - -',
        '"WSDISCONNECT /a" 1001 -',
    ]


def test_nothing_in_a_target_ends_the_line_or_the_quotes() -> None:
    stream = StringIO()
    make(stream).request(None, "GET", b'/"\\\n\xff \x1b', "1.1", 200, 5)
    assert '"GET /\\x22\\x5c\\x0a\\xff\\x20\\x1b HTTP/1.1"' in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_a_full_disk_harms_no_request() -> None:
    make(FullDisk()).request(None, "GET", b"/", "1.1", 200, 5)


# Rotation


def line_of(log: AccessLog, target: bytes) -> None:
    log.request(None, "GET", target, "1.1", 200, 5)


def test_a_renamed_file_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def open_file() -> TextIO:
        return path.open("a", buffering=1)

    first = open_file()
    log = AccessLog(first, lambda: NOW, open_file)
    line_of(log, b"/before")
    path.rename(tmp_path / "log.1")
    line_of(log, b"/between")
    log.reopen()
    line_of(log, b"/after")
    assert first.closed
    assert [line.split()[6] for line in (tmp_path / "log.1").read_text().splitlines()] == [
        "/before",
        "/between",
    ]
    assert [line.split()[6] for line in path.read_text().splitlines()] == ["/after"]
    log._stream.close()


def test_what_has_no_file_is_not_opened_again() -> None:
    stream = StringIO()
    log = make(stream)
    log.reopen()
    line_of(log, b"/")
    assert "GET /" in stream.getvalue()


def test_a_file_that_cannot_be_opened_again_leaves_the_former() -> None:
    def refuse() -> TextIO:
        raise PermissionError("not you")

    stream = StringIO()
    log = AccessLog(stream, lambda: NOW, refuse)
    log.reopen()
    line_of(log, b"/")
    assert "GET /" in stream.getvalue()


def test_a_former_file_that_cannot_be_closed_harms_nothing() -> None:
    class Lost(StringIO):
        def close(self) -> None:
            raise OSError("No space left on device")

    stream = StringIO()
    log = AccessLog(Lost(), lambda: NOW, lambda: stream)
    log.reopen()
    line_of(log, b"/")
    assert "GET /" in stream.getvalue()
