from __future__ import annotations

import resource
import threading

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from tests.integration.daemon import wait_until
from txchannels import service
from txchannels.django.bootstrap import LoadedSite
from txchannels.errors import ConfigurationError
from txchannels.layers.memory import MemoryLayer
from txchannels.lifecycle import Stop
from txchannels.service import Daemon, LayerService, WorkerService, build, check
from txchannels.settings import HttpSettings, Settings, WebSocketSettings
from txchannels.workers.pace import Pace
from txchannels.workers.pool import Pool


class Reactor(Clock):
    def callFromThread(self, call, *arguments):
        self.callLater(0, call, *arguments)


class Layer:
    def __init__(self):
        self.sweeps = 0

    def sweep(self):
        self.sweeps += 1


def site_of(run=lambda channel, message: None, ready=lambda: None):
    return LoadedSite(
        settings_module="conf",
        layer=MemoryLayer(),
        layer_name="default (a layer)",
        run=run,
        channels=frozenset({"a"}),
        thread_ended=lambda: None,
        ready=ready,
        is_host_allowed=lambda host: True,
    )


@pytest.fixture
def errors():
    found = []

    def observe(event):
        if event.get("log_namespace") == "txchannels.service":
            found.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


class Works:
    """A worker service, its pool and its layer."""

    def __init__(self, site, seconds=5):
        self.reactor = Reactor()
        self.stop = Stop(self.reactor, seconds)
        self.layer = site.layer.reactor(self.reactor.callFromThread)
        self.pool = Pool(site.run, max_threads=2, idle_seconds=60)
        pace = Pace(0.001, lambda: 0, self.pool.turns)
        self.service = WorkerService(self.reactor, self.layer, self.pool, pace, site, self.stop)

    def stopping(self):
        done = []
        self.service.stopService().addBoth(done.append)
        return done

    def until(self, done):
        """Let time pass until *done* has fired."""

        def is_done():
            self.reactor.advance(0.02)
            return bool(done)

        wait_until(is_done)


def test_the_layer_is_swept_while_it_runs():
    layer, reactor = Layer(), Clock()
    layer_service = LayerService(reactor, layer)
    layer_service.startService()
    reactor.pump([1] * 11)
    assert layer.sweeps == 2
    layer_service.stopService()
    reactor.pump([1] * 11)
    assert layer.sweeps == 2
    assert reactor.getDelayedCalls() == []
    layer_service.stopService()


# The workers


def test_workers_run_what_comes_and_stop_with_no_thread_left():
    ran = []
    works = Works(site_of(run=lambda channel, message: ran.append(channel)))
    works.service.startService()
    works.layer.send("a", {})
    wait_until(lambda: ran == ["a"])
    done = works.stopping()
    works.until(done)
    assert done == [None]
    assert works.pool.threads == 0
    assert works.reactor.getDelayedCalls() == []


def test_a_message_that_runs_is_waited_for(errors):
    gate, started = threading.Event(), threading.Event()

    def run(channel, message):
        started.set()
        gate.wait(30)

    works = Works(site_of(run=run))
    works.service.startService()
    works.layer.send("a", {})
    assert started.wait(30)
    done = works.stopping()
    works.reactor.pump([0.02] * 50)
    assert done == []
    gate.set()
    works.until(done)
    assert errors == []


def test_a_message_that_is_stuck_is_given_up_and_told_with_its_stack(errors):
    gate, started = threading.Event(), threading.Event()

    def stuck_consumer(channel, message):
        started.set()
        gate.wait(30)

    works = Works(site_of(run=stuck_consumer), seconds=1)
    works.service.startService()
    works.layer.send("a", {})
    assert started.wait(30)
    done = works.stopping()
    works.reactor.pump([0.02] * 60)
    gate.set()
    assert done == [None]
    (error,) = errors
    assert "is still running a message of a; given up\n" in error
    assert "in stuck_consumer" in error
    wait_until(lambda: works.pool.threads == 0)


def test_a_site_that_is_not_ready_is_told_and_ends_the_program(monkeypatch):
    told = []
    monkeypatch.setattr("txchannels.lifecycle.tell_operator", told.append)

    def fail():
        raise ConfigurationError("worker_ready", None, "not today")

    works = Works(site_of(ready=fail))
    with pytest.raises(SystemExit) as caught:
        works.service.startService()
    assert caught.value.code == 1
    assert [str(one) for one in told] == ["worker_ready: not today"]


# The daemon as a whole


@pytest.fixture
def loading(monkeypatch):
    """What the site says of us; its layer is one in memory."""
    said: dict = {}
    monkeypatch.setattr(service, "load_settings", lambda module: said)
    monkeypatch.setattr(service, "load_layer", lambda alias, root_path: site_of())
    monkeypatch.setattr(service, "check_site", lambda: None)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100_000, 100_000))
    return said


def test_the_rooms_are_joined_in_their_order(loading):
    daemon = build({"threads": "3"}, Reactor())
    assert isinstance(daemon, Daemon)
    names = [type(child).__name__ for child in daemon._children]
    assert names == ["LayerService", "WorkerService", "ServerService"]
    assert daemon.pool._max_threads == 3
    assert daemon.site.connections == 0


def test_the_command_line_and_the_site_are_both_heard(loading):
    loading.update(KEEP_ALIVE=9, THREADS=9)
    daemon = build({"threads": "3"}, Reactor())
    assert daemon.site.http == HttpSettings(keep_alive_seconds=9)
    assert daemon.site.websocket == WebSocketSettings()
    assert daemon.pool._max_threads == 3


def test_folders_are_put_on_the_python_path_in_their_order(loading, monkeypatch, tmp_path):
    monkeypatch.setattr(service.sys, "path", ["old"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    build({"pythonpath": [str(tmp_path), "a"]}, Reactor())
    assert service.sys.path == [str(tmp_path), str(tmp_path / "a"), "old"]


@pytest.mark.parametrize("name", ["/no/such", __file__])
def test_what_is_no_folder_is_refused(loading, name):
    with pytest.raises(ConfigurationError, match=r"--pythonpath '.*': is no folder"):
        build({"pythonpath": [name]}, Reactor())


def test_a_layer_of_others_is_refused(loading, monkeypatch):
    foreign = site_of()
    monkeypatch.setattr(service, "load_layer", lambda *arguments: foreign)
    object.__setattr__(foreign, "layer", object())
    with pytest.raises(ConfigurationError, match=r"--layer 'default': .* cannot be used"):
        build({}, Reactor())


def test_a_bad_endpoint_is_refused_before_anything_starts(loading):
    with pytest.raises(ConfigurationError, match="--endpoint 'no:1'"):
        build({"endpoint": ["no:1"]}, Reactor())


# --check


def test_check_tells_what_would_be_done(loading):
    loading.update(KEEP_ALIVE=9)
    text = check({"threads": "3", "endpoint": ["tcp:1", "tcp:2"], "ws-protocol": ["a"]}, Reactor())
    first, *lines = text.splitlines()
    assert first.endswith("would serve conf:")
    assert lines == [
        "  layer      default (a layer)",
        "  endpoint   tcp:1",
        "  endpoint   tcp:2",
        "  threads    up to 3",
        "  channel    a",
        "  changed    --threads 3 (default: 64)",
        "  changed    --keep-alive 9.0 (default: 75.0)",
        "  changed    --ws-protocol ('a',) (default: ())",
    ]


def test_check_of_the_defaults_has_no_changes(loading):
    assert "changed" not in check({}, Reactor())


@pytest.mark.parametrize(
    "given", [{"endpoint": ["no:1"]}, {"access-log": "/no/such/log"}, {"threads": "0"}]
)
def test_check_fails_where_the_daemon_would(loading, given):
    with pytest.raises(ConfigurationError):
        check(given, Reactor())


# What the machine gives


def test_the_access_log_is_appended_to_and_takes_any_text(tmp_path):
    path = tmp_path / "access.log"
    path.write_text("before\n")
    log = service._open_access_log(str(path))
    log.request(["ä", 1], "GET", b"/", "1.1", 200, 5)
    before, line = path.read_text().splitlines()
    assert before == "before"
    assert line.startswith("\\xe4 - - [")
    assert line.endswith('] "GET / HTTP/1.1" 200 5')
    log._stream.close()


def test_the_access_log_may_be_standard_output_or_none(capsys):
    assert service._open_access_log("") is None
    service._open_access_log("-").request(None, "GET", b"/", "1.1", 200, 5)
    assert capsys.readouterr().out.startswith("- - - [")


def test_as_many_files_as_allowed_may_be_open(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10, 20))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, both: limits.append(both))
    service._raise_file_limit()
    assert limits == [(20, 20)]


def test_a_machine_that_allows_no_more_files_is_told(monkeypatch, errors):
    def refuse(kind, both):
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10, 20))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    service._raise_file_limit()
    assert errors == ["Only 10 files, and so connections, can be open"]


@pytest.mark.parametrize(
    ("files", "wanted", "connections"),
    [
        (128, 20_000, 96),
        (33, 20_000, 1),
        (1024, 20_000, 768),
        (1024, 768, 768),
        (1024, 5, 5),
        (20_000, 20_000, 19_488),
        (20_512, 20_000, 20_000),
        (resource.RLIM_INFINITY, 20_000, 20_000),
    ],
)
def test_connections_leave_files_for_all_else(
    loading, monkeypatch, errors, files, wanted, connections
):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, files))
    daemon = build({"max-connections": str(wanted)}, Reactor())
    assert daemon.site.http.max_connections == connections
    lowered = [one for one in errors if f"{connections} instead of {wanted}" in one]
    assert len(lowered) == (connections != wanted)


def test_files_that_leave_nothing_for_connections_are_refused(loading, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (32, 32))
    with pytest.raises(ConfigurationError, match="--max-connections 20000: only 32 files"):
        build({}, Reactor())


def test_a_rotation_opens_the_access_log_anew(loading, tmp_path):
    path = tmp_path / "log"
    daemon = build({"access-log": str(path)}, Reactor())
    path.rename(tmp_path / "log.1")
    daemon._rotated()
    assert path.exists()
    daemon._access_log._stream.close()
    build({}, Reactor())._rotated()


def test_the_defaults_are_a_daemon(loading):
    daemon = Daemon(Reactor(), Settings(), site_of())
    assert not daemon.running
