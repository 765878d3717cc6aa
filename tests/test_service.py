from __future__ import annotations

import gc
import resource

import pytest
from twisted.logger import formatEvent, globalLogPublisher

from tests.integration.daemon import wait_until
from tests.services import Reactor, site_of
from txchannels import threaded
from txchannels.errors import ConfigurationError
from txchannels.listening import open_access_log
from txchannels.options import DAEMON, WORKER
from txchannels.protocols.site import Site
from txchannels.service import build, check
from txchannels.settings import HttpSettings, Settings, WebSocketSettings
from txchannels.threaded import Daemon, Worker


def parts_of(command):
    return [type(child).__name__ for child in command._children]


@pytest.fixture
def loading(monkeypatch):
    """What the site says of us; its layer is one in memory."""
    said: dict = {}
    monkeypatch.setattr(threaded, "load_settings", lambda module: said)
    monkeypatch.setattr(threaded, "load_layer", lambda alias, root_path: site_of())
    monkeypatch.setattr(threaded, "check_site", list)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100_000, 100_000))
    return said


def test_the_rooms_are_joined_in_their_order(loading):
    daemon = build({"threads": "3"}, Reactor())
    assert isinstance(daemon, Daemon)
    assert parts_of(daemon) == ["LayerService", "WorkerService", "DelayService", "ServerService"]
    assert daemon.pool._max_threads == 3
    assert daemon.site.connections == 0


def test_the_command_line_and_the_site_are_both_heard(loading):
    loading.update(KEEP_ALIVE=9, THREADS=9)
    daemon = build({"threads": "3"}, Reactor())
    assert daemon.site.http == HttpSettings(keep_alive_seconds=9)
    assert daemon.site.websocket == WebSocketSettings()
    assert daemon.pool._max_threads == 3


def test_folders_are_put_on_the_python_path_in_their_order(loading, monkeypatch, tmp_path):
    monkeypatch.setattr(threaded.sys, "path", ["old"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    build({"pythonpath": [str(tmp_path), "a"]}, Reactor())
    assert threaded.sys.path == [str(tmp_path), str(tmp_path / "a"), "old"]


@pytest.mark.parametrize("name", ["/no/such", __file__])
def test_what_is_no_folder_is_refused(loading, name):
    with pytest.raises(ConfigurationError, match=r"--pythonpath '.*': is no folder"):
        build({"pythonpath": [name]}, Reactor())


def test_a_layer_of_others_is_refused(loading, monkeypatch):
    foreign = site_of()
    monkeypatch.setattr(threaded, "load_layer", lambda *arguments: foreign)
    object.__setattr__(foreign, "layer", object())
    with pytest.raises(ConfigurationError, match=r"--layer 'default': .* cannot be used"):
        build({}, Reactor())


def test_a_bad_endpoint_is_refused_before_anything_starts(loading):
    with pytest.raises(ConfigurationError, match="--endpoint 'no:1'"):
        build({"endpoint": ["no:1"]}, Reactor())


def test_connections_are_no_more_than_files_may_be_open(loading, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (128, 128))
    assert build({}, Reactor()).site.http.max_connections == 96
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (32, 32))
    with pytest.raises(ConfigurationError, match="--max-connections 5: only 32 files"):
        build({"max-connections": "5"}, Reactor())


# Its parts on different hosts


@pytest.fixture
def shared(loading, monkeypatch):
    """As `loading`, with a layer that other processes reach."""
    site = site_of(channels={"a", "b"}, is_local=False)
    monkeypatch.setattr(threaded, "load_layer", lambda alias, root_path: site)
    return loading


def test_a_worker_has_no_servers(shared):
    worker = build({"threads": "3"}, Reactor(), WORKER)
    assert isinstance(worker, Worker)
    assert parts_of(worker) == ["LayerService", "WorkerService", "DelayService"]
    assert worker.pool._max_threads == 3


def test_a_daemon_without_workers_has_no_threads(shared):
    daemon = build({"no-workers": 1}, Reactor())
    assert parts_of(daemon) == ["LayerService", "ServerService"]
    assert daemon.pool is None


def test_a_worker_reads_the_daemons_settings_too(shared):
    shared.update(NO_WORKERS=True, PORT=80, KEEP_ALIVE=9, THREADS=9)
    assert build({}, Reactor(), WORKER).pool._max_threads == 9
    shared.update(KEEPALIVE=9)
    with pytest.raises(ConfigurationError, match="'KEEPALIVE': is no known key"):
        build({}, Reactor(), WORKER)


def test_a_worker_has_no_connections_to_make_room_for(shared, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (32, 32))
    assert not build({}, Reactor(), WORKER).running


@pytest.mark.parametrize("command", [DAEMON, WORKER])
def test_channels_are_selected_by_both(shared, command):
    for given in ({"only-channels": ["c"]}, {"exclude-channels": ["*"]}):
        for work in (build, check):
            with pytest.raises(ConfigurationError, match=r"the site's channels are: a, b$"):
                work(given, Reactor(), command)


def test_channels_are_not_selected_where_nothing_works(shared):
    shared.update(ONLY_CHANNELS=["c"])
    assert build({"no-workers": 1}, Reactor()).pool is None


@pytest.mark.parametrize(
    ("command", "given", "alone"),
    [(WORKER, {}, "twistd channels-worker"), (DAEMON, {"no-workers": 1}, "--no-workers")],
)
@pytest.mark.parametrize("work", [build, check])
def test_a_layer_of_one_process_is_refused_where_it_is_alone(loading, work, command, given, alone):
    with pytest.raises(ConfigurationError) as caught:
        work(given, Reactor(), command)
    assert str(caught.value) == (
        f"--layer 'default': default (a layer) reaches no other process, which {alone} needs; "
        "txchannels.layers.redis.RedisLayer does"
    )


def test_the_sockets_of_a_daemon_hear_of_a_gap_and_a_worker_survives_one(shared, monkeypatch):
    gaps = []
    monkeypatch.setattr(
        "txchannels.layers.reactor.HubReactor.when_gap", lambda self, call: gaps.append(call)
    )
    told = []

    def messages_lost(site):
        told.append(site)

    monkeypatch.setattr(Site, "messages_lost", messages_lost)
    daemon = build({}, Reactor())
    build({}, Reactor(), WORKER)
    for gap in gaps:
        gap(1.0, 2.0)
    assert told == [daemon.site]


def test_a_worker_says_what_it_works_for(shared):
    said = []

    def observe(event):
        said.append(formatEvent(event))

    reactor = Reactor()
    worker = build({}, reactor, WORKER)
    globalLogPublisher.addObserver(observe)
    try:
        worker.startService()
        assert said == []
        reactor.advance(0)
    finally:
        globalLogPublisher.removeObserver(observe)
        gc.unfreeze()
    assert said == ["Working for a, b"]
    worker._rotated()
    done = []
    worker.stopService().addBoth(done.append)
    wait_until(lambda: bool(done) or reactor.advance(0.02))


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


def test_check_of_a_worker_tells_of_no_sockets(shared):
    shared.update(KEEP_ALIVE=9, ENDPOINT=["no:1"], ACCESS_LOG="/no/such/log")
    given = {"threads": "3", "only-channels": ["b,a"], "exclude-channels": ["a"]}
    first, *lines = check(given, Reactor(), WORKER).splitlines()
    assert first.endswith("would work for conf:")
    assert lines == [
        "  layer      default (a layer)",
        "  threads    up to 3",
        "  channel    b",
        "  changed    --threads 3 (default: 64)",
        "  changed    --only-channels ('b', 'a') (default: ())",
        "  changed    --exclude-channels ('a',) (default: ())",
    ]


def test_check_of_a_daemon_without_workers_tells_who_works(shared):
    _, *lines = check({"no-workers": 1, "endpoint": ["tcp:1"]}, Reactor()).splitlines()
    assert lines == [
        "  layer      default (a layer)",
        "  endpoint   tcp:1",
        "  threads    none: twistd channels-worker runs views and consumers",
        "  changed    --no-workers True (default: False)",
    ]


@pytest.mark.parametrize(
    "given", [{"endpoint": ["no:1"]}, {"access-log": "/no/such/log"}, {"threads": "0"}]
)
def test_check_fails_where_the_daemon_would(loading, given):
    with pytest.raises(ConfigurationError):
        check(given, Reactor())


# The access log


def test_the_access_log_is_appended_to_and_takes_any_text(tmp_path):
    path = tmp_path / "access.log"
    path.write_text("before\n")
    log = open_access_log(str(path))
    log.request(["ä", 1], "GET", b"/", "1.1", 200, 5)
    before, line = path.read_text().splitlines()
    assert before == "before"
    assert line.startswith("\\xe4 - - [")
    assert line.endswith('] "GET / HTTP/1.1" 200 5')
    log._stream.close()


def test_the_access_log_may_be_standard_output_or_none(capsys):
    assert open_access_log("") is None
    open_access_log("-").request(None, "GET", b"/", "1.1", 200, 5)
    assert capsys.readouterr().out.startswith("- - - [")


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
