"""What a developer sees of requests, sockets and the log."""

from __future__ import annotations

from datetime import datetime
from io import StringIO

import pytest
from twisted.logger import Logger
from twisted.python.failure import Failure

from txchannels.devserver.console import Console, RequestLog, Styles

NOW = datetime(2026, 2, 3, 4, 5, 6)  # noqa: DTZ001 - a clock on the wall
PLAIN = Styles({})


def request_log(styles: Styles = PLAIN) -> tuple[RequestLog, StringIO]:
    stream = StringIO()
    return RequestLog(stream, styles, lambda: NOW), stream


def shown(verbosity: int = 1, styles: Styles = PLAIN) -> tuple[Logger, StringIO]:
    stream = StringIO()
    return Logger(observer=Console(stream, styles, verbosity)), stream


def test_a_request_is_a_line_with_its_time_and_client():
    log, stream = request_log()
    log.request(["127.0.0.1", 5000], "GET", b"/a?b", "1.1", 200, 7, seconds=0.123)
    assert stream.getvalue() == "[03/Feb/2026 04:05:06] HTTP GET /a?b 200 [0.12, 127.0.0.1:5000]\n"


@pytest.mark.parametrize(
    ("event", "code", "line"),
    [
        ("WSCONNECTING", None, "WebSocket HANDSHAKING /a [[::1]:5000]"),
        ("WSCONNECT", None, "WebSocket CONNECT /a [[::1]:5000]"),
        ("WSREJECT", None, "WebSocket REJECT /a [[::1]:5000]"),
        ("WSDISCONNECT", 1001, "WebSocket DISCONNECT /a [1001, [::1]:5000]"),
    ],
)
def test_a_sockets_events_have_the_names_of_channels_1(event, code, line):
    log, stream = request_log()
    log.socket(["::1", 5000], event, b"/a", code)
    assert stream.getvalue() == f"[03/Feb/2026 04:05:06] {line}\n"


def test_a_client_of_a_unix_socket_has_no_address():
    log, stream = request_log()
    log.request(None, "GET", b"/", "1.1", 200, 7, seconds=0)
    assert stream.getvalue().endswith(" [0.00, -]\n")


def test_nothing_of_a_target_moves_the_terminals_cursor():
    log, stream = request_log()
    log.request(None, "GET", b"/\x1b[2J\r\n\xff", "1.1", 200, 7, seconds=0)
    assert r"/\x1b[2J\x0d\x0a\xff 200" in stream.getvalue()


@pytest.mark.parametrize(
    ("status", "style"),
    [
        (101, "HTTP_INFO"),
        (200, "HTTP_SUCCESS"),
        (302, "HTTP_REDIRECT"),
        (304, "HTTP_NOT_MODIFIED"),
        (403, "HTTP_BAD_REQUEST"),
        (404, "HTTP_NOT_FOUND"),
        (499, "HTTP_BAD_REQUEST"),
        (503, "HTTP_SERVER_ERROR"),
    ],
)
def test_a_status_has_the_colour_that_django_gives_it(status, style):
    log, stream = request_log(Styles({style: ("<", ">")}))
    log.request(None, "GET", b"/", "1.1", status, 7, seconds=0)
    line = stream.getvalue()
    assert line.startswith("<[")
    assert line.endswith("]>\n")


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [(0, "an error\n"), (1, "a warning\nan error\n"), (2, "news\na warning\nan error\n")],
)
def test_verbosity_says_what_is_shown_of_the_log(verbosity, expected):
    log, stream = shown(verbosity)
    log.debug("a detail")
    log.info("news")
    log.warn("a {what}", what="warning")
    log.error("an error")
    assert stream.getvalue() == expected


def test_warnings_and_errors_have_their_colours():
    log, stream = shown(styles=Styles({"WARNING": ("(", ")"), "ERROR": ("<", ">")}))
    log.warn("a")
    log.critical("b")
    assert stream.getvalue() == "(a)\n<b>\n"


def test_a_failure_is_shown_with_its_traceback():
    log, stream = shown()
    try:
        raise ValueError("no good")
    except ValueError:
        log.failure("it failed", Failure())
    assert stream.getvalue().startswith("it failed\nTraceback")
    assert "ValueError: no good" in stream.getvalue()


def test_a_reload_is_told_in_a_developers_words():
    log, stream = shown()
    log.info("{path} has changed", path="/a.py")
    log.info(
        "Reload: {count} workers of generation {generation} are started", count=1, generation=2
    )
    log.info("Reload: generation {generation} runs, after {seconds:.1f} s", generation=2, seconds=1)
    log.error("Reload failed: {reason}. {state}", reason="bad\nlines", state="Generation 1 goes on")
    assert stream.getvalue() == (
        "/a.py has changed, reloading.\nReloaded in 1.0 s.\nReload failed. Generation 1 goes on.\n"
    )


def test_a_terminal_that_is_gone_harms_nothing():
    stream = StringIO()
    stream.close()
    RequestLog(stream, PLAIN, lambda: NOW).socket(None, "WSCONNECT", b"/")
    Logger(observer=Console(stream, PLAIN, 1)).warn("nobody reads this")
