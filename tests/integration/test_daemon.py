"""What the other tests start is ended, whatever goes wrong on the way."""

from __future__ import annotations

import threading

import pytest

from tests.integration.daemon import Daemon

pytestmark = pytest.mark.slow

WEBAPP = "tests.webapp.settings"


def assert_ended(daemon: Daemon) -> None:
    try:
        assert daemon.process.returncode is not None, "it was left behind"
        assert daemon.process.stdout is not None
        assert daemon.process.stdout.closed
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.communicate()


def test_a_daemon_whose_log_nobody_can_read_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    daemon = Daemon(WEBAPP)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            daemon.start()
    assert_ended(daemon)


def test_a_daemon_that_says_what_nobody_understands_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Daemon, "wait_for", lambda *_: "Listening on http://nowhere:port/")
    daemon = Daemon(WEBAPP)
    with pytest.raises(ValueError, match="port"):
        daemon.start()
    assert_ended(daemon)


def test_a_daemon_that_was_started_is_ended_when_the_test_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Daemon, "wait_for", interrupt)
    daemon = Daemon(WEBAPP)
    with pytest.raises(KeyboardInterrupt):
        daemon.start()
    assert_ended(daemon)
