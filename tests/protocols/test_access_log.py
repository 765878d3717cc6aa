from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

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
