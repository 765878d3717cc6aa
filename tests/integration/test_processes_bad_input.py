"""What cannot work is said in a line; what strangers send to the Unix socket harms nobody."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.daemon import Daemon, run_twistd
from tests.integration.supervised import SETTINGS, WAIT, Site, Supervised, is_alive, stopped, wait
from tests.servers import RedisServer
from txchannels.layers.ipc.frames import MAX_FRAME_BYTES, VERSION, Word, encode

pytestmark = pytest.mark.slow

NOBODY = 65_534


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    with stopped(Supervised(Site(tmp_path_factory.mktemp("site")), processes=1)) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: Supervised) -> Iterator[Supervised]:
    """After each test, it is as it was."""
    workers = shared.workers
    yield shared
    assert shared.get("hello").status_code == 200
    assert shared.workers == workers


def refused(site: Site, *options: str, command: str = "channels", **environment: str) -> str:
    """What it says when it refuses to start, in one line and no traceback."""
    ended = run_twistd(
        *options,
        settings=SETTINGS,
        paths=[site.folder],
        environment=site.environment(**environment),
        command=command,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1, said
    assert "Traceback" not in said
    (line,) = [one for one in said.splitlines() if one.startswith("txchannels: ")]
    return line


# Options


@pytest.mark.parametrize("number", ["0", "-1", "abc", "100000", "1.5", ""])
def test_a_number_of_processes_that_cannot_be(site: Site, number: str) -> None:
    said = refused(site, f"--processes={number}")
    assert said.startswith("txchannels: --processes ")
    assert number in said


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--stuck-timeout=0.1", "at least 1 second"),
        ("--stuck-timeout=-1", "--stuck-timeout"),
        ("--max-age=0.5", "at least 1 second"),
        ("--max-rss=1000", "at least 16777216 bytes"),
        ("--max-messages=-3", "--max-messages"),
        ("--start-timeout=0", "--start-timeout"),
    ],
)
def test_a_limit_that_cannot_be(site: Site, option: str, says: str) -> None:
    assert says in refused(site, "--processes=1", option)


@pytest.mark.parametrize("module", ["", "no.such-module", "../settings"])
def test_a_name_that_is_no_module(site: Site, module: str) -> None:
    ended = run_twistd("--processes=1", f"--settings={module}", paths=[site.folder])
    assert ended.returncode == 1
    assert "name the site's settings module" in ended.stderr


def test_a_variable_that_names_no_module(site: Site) -> None:
    named = {"DJANGO_SETTINGS_MODULE": "no.such-module"}
    ended = run_twistd("--processes=1", paths=[site.folder], environment=named)
    assert ended.returncode == 1
    assert "txchannels: DJANGO_SETTINGS_MODULE 'no.such-module': name the site" in ended.stderr


def test_a_module_that_a_variable_names_may_not_be_there(site: Site) -> None:
    port, path = "--port=0", f"--socket={site.folder / 'other.sock'}"
    named = {"DJANGO_SETTINGS_MODULE": "other.settings"}
    with Daemon(None, "--processes=1", port, path, environment=named) as daemon:
        daemon.wait_for("Worker 1 of generation 1", WAIT)
        daemon.wait_for("cannot start: DJANGO_SETTINGS_MODULE 'other.settings': there", WAIT)
        assert "DJANGO_SETTINGS_MODULE other.settings: cannot be imported" in daemon.log
        assert "--settings" not in daemon.log


def test_a_module_that_is_not_there_may_come_later(tmp_path: Path) -> None:
    """As with any other fault of the settings: 503, until a reload finds them."""
    site = Site(tmp_path)
    settings = site.package / "settings.py"
    settings.rename(tmp_path / "kept")
    daemon = Supervised(site, processes=1).start()
    try:
        assert "No module named 'supervised_site.settings'" in daemon.log
        wait(lambda: daemon.get("hello").status_code == 503, "it answers 503")
        (tmp_path / "kept").rename(settings)
        daemon.reload()
        assert daemon.get("hello").status_code == 200
        assert daemon.stop() == 0
    finally:
        daemon.kill()


# The socket's path


def test_a_path_that_is_too_long(site: Site) -> None:
    said = refused(site, "--processes=1", f"--socket=/tmp/{'x' * 110}")
    assert "is too long for a Unix socket: at most 107 bytes" in said


def test_a_path_in_no_folder(site: Site) -> None:
    said = refused(site, "--processes=1", "--port=0", "--socket=/no/such/folder/d.sock")
    assert "its folder cannot be used: No such file or directory" in said


def test_a_path_in_a_folder_that_is_a_file(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    said = refused(site, "--processes=1", "--port=0", f"--socket={file}/d.sock")
    assert "d.sock': " in said


def test_a_path_where_something_else_is(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("kept")
    said = refused(site, "--processes=1", "--port=0", f"--socket={file}")
    assert "there is something else than a socket" in said
    assert file.read_text() == "kept"


def test_a_path_in_a_folder_that_may_not_be_written_to(site: Site) -> None:
    said = refused(site, "--processes=1", "--port=0", "--socket=/proc/self/d.sock")
    assert "--socket '/proc/self/d.sock': " in said


def test_a_path_in_a_folder_that_others_may_change(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    said = refused(site, "--processes=1", "--port=0", f"--socket={folder}/d.sock")
    assert "others may change what is in" in said


def test_a_path_of_another_daemon(daemon: Supervised) -> None:
    said = refused(daemon.site, "--processes=1", "--port=0", f"--socket={daemon.site.socket}")
    assert "another daemon serves there" in said


def test_a_default_path_that_is_taken_costs_only_the_orders(tmp_path: Path) -> None:
    """Two daemons of one site on a host, by themselves: both serve."""
    site = Site(tmp_path)
    options = ("--processes=1", "--port=0")
    with ExitStack() as stack:
        shared = stack.enter_context(tempfile.TemporaryDirectory())  # has a short path
        environment = {"XDG_RUNTIME_DIR": shared, "RUNTIME_DIRECTORY": None}
        daemons = [
            stack.enter_context(
                Daemon(
                    SETTINGS,
                    *options,
                    environment=site.environment(**environment),
                    folder=tmp_path,
                    paths=[tmp_path],
                )
            )
            for _ in range(2)
        ]
        (path,) = Path(shared, "txchannels").glob(f"{SETTINGS}-*.sock")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        said = (
            f"--socket or TXCHANNELS['SOCKET'] '{path}': another daemon serves there; stop it, "
            "or give this one another path. This daemon serves all the same, but "
            "python -m txchannels reload and status do not reach it: "
            f"kill -HUP {daemons[1].pid} reloads it"
        )
        assert daemons[1].log.count(said) == 1
        assert "another daemon serves there" not in daemons[0].log
        for daemon in daemons:
            daemon.wait_for("is ready, after")
            daemon.signal(1)
            daemon.wait_for("Reload: generation 2 runs")
        assert [daemon.stop() for daemon in daemons] == [0, 0]


# Strangers at the socket

GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "huge": b"\xff\xff\xff\xff" + b"x" * 1000,
    "zeros": bytes(100_000),
    "not-msgpack": b"\x00\x00\x00\x04\xc1\xc1\xc1\xc1",
    "no-greeting": encode(Word.CALL, 1, "flush", []),
    "half": encode(Word.HELLO, VERSION, 1)[:5],
    "other-version": encode(Word.HELLO, VERSION + 1, 1),
    "no-word": encode(Word.HELLO, VERSION, 1) + encode(99, 1),
    "no-arguments": encode(Word.HELLO, VERSION, 1) + encode(Word.CALL),
    "wrong-arguments": encode(Word.HELLO, VERSION, 1) + encode(Word.SUBSCRIBE, "a", {"b": 1}),
    "wrong-order": encode(Word.HELLO, VERSION, 1) + encode(Word.TELL, ["reload"], None),
    "wrong-send": encode(Word.HELLO, VERSION, 1) + encode(Word.SEND, 1, "soon", [[1, 2, 3]]),
    "largest": encode(Word.HELLO, VERSION, 1) + (MAX_FRAME_BYTES).to_bytes(4, "big") + bytes(2**21),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_dropped_and_the_others_are_served(daemon: Supervised, what: str) -> None:
    with daemon.connect("echo") as client:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(WAIT)
            stranger.connect(str(daemon.site.socket))
            try:
                stranger.sendall(GARBAGE[what])
                stranger.shutdown(socket.SHUT_WR)
                while stranger.recv(65_536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
        client.send("hello")
        assert client.recv(WAIT) == "hello"


def test_many_who_say_nothing_keep_nobody_out(daemon: Supervised) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stranger = stack.enter_context(socket.socket(socket.AF_UNIX))
            stranger.connect(str(daemon.site.socket))
        assert daemon.site.order("status").returncode == 0


def test_an_unknown_order_is_refused(daemon: Supervised) -> None:
    ended = daemon.site.order("explode")
    assert ended.returncode == 2
    assert "invalid choice" in ended.stderr
    with pytest.raises(AssertionError, match="There is no order 'explode'"):
        daemon._ask("explode")


def test_a_worker_process_is_no_program_for_people(tmp_path: Path) -> None:
    ended = Site(tmp_path).run("-m", "txchannels.worker_process")
    assert ended.returncode == 1
    assert "this program is started by twistd channels --processes" in ended.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_is_refused() -> None:
    """Even where the socket's own permissions would let it in."""
    folder = Path(tempfile.mkdtemp(prefix="txchannels-"))
    try:
        folder.chmod(0o755)
        site = Site(folder)
        with stopped(Supervised(site, processes=1)) as daemon:
            assert stat.S_IMODE(site.socket.stat().st_mode) == 0o600
            site.socket.chmod(0o666)
            code = (
                "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(30);"
                "s.connect(sys.argv[1]); print(s.recv(100))"
            )
            ended = subprocess.run(
                [*_python(), "-c", code, str(site.socket)],
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                cwd="/",
                env={},
                capture_output=True,
                text=True,
                timeout=WAIT,
                check=False,
            )
            assert "A process of another user was refused" in daemon.wait_for("of another user")
            assert ended.stdout in ("b''\n", ""), ended.stderr
            assert daemon.get("hello").status_code == 200
    finally:
        shutil.rmtree(folder)


# Workers alone


def test_workers_alone_need_a_layer_that_reaches_other_hosts(site: Site) -> None:
    said = refused(site, "--processes=2", command="channels-worker")
    assert "reaches no other host" in said
    assert "twistd channels --processes runs the workers itself" in said


def test_processes_and_no_workers_at_once(site: Site) -> None:
    assert "--no-workers" in refused(site, "--processes=2", "--no-workers")


def test_workers_alone_in_processes_of_their_own(tmp_path: Path) -> None:
    """One that dies there costs what it ran, and its client on the other host hears of it."""
    for name in ("front", "back"):
        (tmp_path / name).mkdir()
    front_site, back_site = Site(tmp_path / "front"), Site(tmp_path / "back")
    with RedisServer() as server:
        layer = {
            "LAYER": json.dumps(
                {"BACKEND": "txchannels.layers.redis.RedisLayer", "CONFIG": {"hosts": [server.url]}}
            )
        }
        front = Daemon(
            SETTINGS,
            "--no-workers",
            "--response-timeout=600",
            environment=front_site.environment(**layer),
            folder=front_site.folder,
            paths=[front_site.folder],
        )
        back = Supervised(
            back_site, "--threads=4", processes=2, command="channels-worker", environment=layer
        )
        with front, back:
            visitor = Supervised(front_site)
            visitor.port = front.port
            pid = int(visitor.get("hello").text.split()[1])
            assert pid in back.workers
            with visitor.connect("die") as client:
                assert visitor.get("die", how="SIGKILL").status_code == 502
                client.send("die exit")
                client.send("next")
                assert client.recv(WAIT) == "next"
            wait(lambda: back.lost() == 2, "both losses are counted")
            back.all_ready()
            back_site.set_version("two")
            back.reload()
            assert visitor.get("hello").text.split()[0] == "two"
            pids = back.workers
            assert back.stop() == 0
            assert not [pid for pid in pids if is_alive(pid)]
            assert front.stop() == 0


def _python() -> list[str]:
    """A Python that every user may run."""
    return [shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable]
