"""Where the socket is, who may serve there, and who may connect."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.layers.ipc.hosting import Daemon
from tests.layers.ipc.programs import DAEMON, DaemonProcess, environment
from txchannels.asking import Facts, make_layer
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.ipc import IPCLayer, sockets
from txchannels.layers.ipc.sockets import BACKLOG, MAX_PATH_BYTES, Claim, default_path, dial

NOBODY = 65_534

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "hub.sock")


def claim(path):
    return Claim(path, "--socket")


def refusal(path):
    with pytest.raises(ConfigurationError) as caught:
        claim(path)
    assert caught.value.setting == "--socket"
    assert path in str(caught.value)
    return caught.value.remedy


# The claim


def test_a_claim_is_a_socket_for_its_user_alone_and_leaves_no_socket_behind(path):
    claimed = claim(path)
    mode = Path(path).lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    claimed.release()
    assert not Path(path).exists()
    claim(path).release()


def test_a_served_socket_is_for_its_user_alone(daemon):
    assert stat.S_IMODE(Path(daemon.path).lstat().st_mode) == 0o600


def test_its_folder_is_made_for_its_user_alone(tmp_path):
    folder = tmp_path / "new"
    claim(str(folder / "hub.sock")).release()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_in_a_missing_folder_is_not_made(tmp_path):
    assert "folder" in refusal(str(tmp_path / "a" / "b" / "hub.sock"))


def test_a_stale_socket_is_removed(path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    claim(path).release()


def test_a_socket_that_is_served_is_left_alone(path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        assert "another program serves there" in refusal(path)
        assert not Path(f"{path}.lock").exists()
        dialled = socket.socket(socket.AF_UNIX)
        with dialled:
            dialled.connect(path)


def test_another_daemons_path_is_refused_and_it_goes_on(path):
    claimed = claim(path)
    assert "another daemon serves there" in refusal(path)
    assert Path(path).exists()
    claimed.release()
    claim(path).release()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_is_no_socket_is_left_alone(path, make):
    make(Path(path))
    assert "something else" in refusal(path)
    assert Path(path).exists()
    assert not Path(f"{path}.lock").exists()


def test_a_lock_that_was_removed_under_its_owner_is_not_held(path, monkeypatch):
    """The next daemon would make another of that name, and hold that one."""
    flock = sockets.fcntl.flock

    def removed(lock, operation):
        flock(lock, operation)
        Path(f"{path}.lock").unlink()

    monkeypatch.setattr(sockets.fcntl, "flock", removed)
    assert "another daemon serves there" in refusal(path)


def test_a_symlink_is_no_socket(path, tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "other.sock"))
    Path(path).symlink_to(tmp_path / "other.sock")
    assert "something else" in refusal(path)


def test_a_lock_that_is_a_symlink_is_refused(path, tmp_path):
    target = tmp_path / "precious"
    target.write_text("kept")
    Path(f"{path}.lock").symlink_to(target)
    assert "cannot be used" in refusal(path)
    assert target.read_text() == "kept"


def test_the_longest_path_is_claimed_and_one_byte_more_is_refused():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        room = MAX_PATH_BYTES - len(folder) - 1
        longest = f"{folder}/{'a' * room}"
        claimed = claim(longest)
        dialled = socket.socket(socket.AF_UNIX)
        with dialled:
            dialled.connect(longest)
        claimed.release()
        assert "107 bytes" in refusal(longest + "a")
        assert "107 bytes" in refusal(f"{folder}/{'ä' * (room // 2 + 1)}")
        with pytest.raises(LayerUnavailable, match="too long"):
            dial(longest + "a")


def test_a_folder_that_others_may_write_to_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    assert "others may change" in refusal(str(folder / "hub.sock"))
    folder.chmod(0o1777)
    claim(str(folder / "hub.sock")).release()


@needs_root
def test_a_folder_of_another_user_is_refused(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)
    assert "others may change" in refusal(str(folder / "hub.sock"))


CLAIM = """
import os, sys
os.setuid(int(sys.argv[2]))
from txchannels.errors import ConfigurationError
from txchannels.layers.ipc.sockets import Claim
try:
    Claim(sys.argv[1], "--socket")
except ConfigurationError as error:
    print(error)
"""


@needs_root
def test_a_folder_that_cannot_be_written_to_is_refused():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        said = as_user(NOBODY, CLAIM, f"{folder}/hub.sock")
    assert "ermission denied" in said
    assert "--socket" in said


def test_just_one_of_two_daemons_that_start_together_serves():
    daemon = DaemonProcess()
    for _ in range(3):
        both = [daemon.spawn() for _ in range(4)]
        said = [process.stdout.readline() for process in both]
        assert sum(line == "serves\n" for line in said) == 1, said
        assert sum(line.startswith("refused: ") for line in said) == 3, said
        assert IPCLayer(path=daemon.path).blocking.group_channels("room") == []
        for process in both:
            process.kill()  # so that the next find a stale socket
            process.communicate()
    daemon.folder.cleanup()


def test_many_may_begin_to_connect_while_the_daemon_is_busy(daemon):
    socks = []

    def connect_all():  # in the reactor's thread: it accepts none meanwhile
        for _ in range(200):
            sock = socket.socket(socket.AF_UNIX)
            socks.append(sock)
            sock.setblocking(False)
            sock.connect(daemon.path)

    assert BACKLOG >= 200
    try:
        daemon.turning.call(connect_all)
    finally:
        for sock in socks:
            sock.close()


# Who may connect


def as_user(user, text, *arguments):
    """What a program of another user says."""
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments, str(user)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


CONNECT = """
import os, sys
from txchannels.errors import LayerUnavailable
from txchannels.layers.ipc.sockets import dial
os.setuid(int(sys.argv[2]))
try:
    dial(sys.argv[1])
    print("connected")
except LayerUnavailable as error:
    print(error)
"""


@pytest.fixture
def open_daemon(daemon):
    """A daemon whose socket everybody can reach."""
    Path(daemon.folder).chmod(0o755)
    Path(daemon.path).chmod(0o666)
    return daemon


@needs_root
def test_another_user_cannot_open_the_socket(daemon):
    Path(daemon.folder).chmod(0o755)
    said = as_user(NOBODY, CONNECT, daemon.path)
    assert "this user may not use it" in said
    assert daemon.path in said


@needs_root
def test_another_user_who_can_is_refused_all_the_same(open_daemon):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(open_daemon.path)  # root, as the daemon
        assert as_user(0, CONNECT, open_daemon.path) == "connected\n"
    text = CONNECT.replace("dial(sys.argv[1])", RAW)
    assert as_user(NOBODY, text, open_daemon.path) == "refused\n"


RAW = """
    import socket
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    print("refused" if sock.recv(100) == b"" else "answered")
    raise SystemExit
"""

SERVE = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX)
sock.bind(sys.argv[1])
sock.listen()
os.chmod(sys.argv[1], 0o666)
print("serves", flush=True)
sys.stdin.read()
"""


@needs_root
def test_a_program_does_not_talk_to_another_users_daemon():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        path = f"{folder}/hub.sock"
        with subprocess.Popen(
            [sys.executable, "-c", SERVE, path, str(NOBODY)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout.readline() == b"serves\n"
            assert "another user" in as_user(NOBODY - 1, CONNECT, path)
            process.communicate(b"")


@needs_root
def test_root_takes_nobody_elses_word_where_anybody_might_have_been_first(monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        path = f"{folder}/hub.sock"
        monkeypatch.setattr(sockets, "_last_resort", lambda: folder)
        with subprocess.Popen(
            [sys.executable, "-c", SERVE, path, str(NOBODY)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout.readline() == b"serves\n"
            with pytest.raises(LayerUnavailable, match="another user"):
                dial(path)
            process.communicate(b"")


@needs_root
def test_root_is_trusted_by_the_daemon_of_a_user():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chown(folder, NOBODY, NOBODY)
        path = f"{folder}/hub.sock"
        with subprocess.Popen(
            ["setpriv", f"--reuid={NOBODY}", "--clear-groups", sys.executable, "-c", DAEMON, path],
            env=environment(),
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout.readline() == b"serves\n"
            layer = IPCLayer(path=path).blocking
            assert layer.group_channels("room") == []
            layer.link().close()
            process.kill()
            process.communicate()


# The path


def test_the_services_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/mysite:/run/other")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_path("mysite") == "/run/mysite/mysite.sock"
    assert default_path("mysite", "/srv/mysite") == "/run/mysite/mysite.sock", "it is alone"


def test_the_users_folder_comes_next(monkeypatch, tmp_path):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_path("mysite") == f"{tmp_path}/txchannels/mysite.sock"


@pytest.mark.parametrize("folder", [None, "", "/nowhere"])
def test_the_last_is_one_of_the_users_own_for_temporary_files(monkeypatch, folder):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if folder is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    assert default_path("mysite") == f"/tmp/txchannels-{os.getuid()}/mysite.sock"


@pytest.mark.parametrize("folder", ["XDG_RUNTIME_DIR", ""])
def test_two_sites_of_one_name_have_two_paths(monkeypatch, tmp_path, folder):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if folder:
        monkeypatch.setenv(folder, str(tmp_path))
    places = ["/srv/a/mysite/settings", "/srv/b/mysite/settings", "/srv/\udcff/mysite/settings"]
    paths = [default_path("mysite.settings", place) for place in places]
    assert len(set(paths)) == len(places)
    assert paths == [default_path("mysite.settings", place) for place in places]
    for path in paths:
        assert re.fullmatch(r"mysite\.settings-[0-9a-f]{8}\.sock", Path(path).name)


def test_a_layer_without_a_path_has_that_of_its_settings(monkeypatch, tmp_path):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "mysite.settings")
    paths = set()
    for name in ("a", "b"):
        package = tmp_path / name / "mysite"
        package.mkdir(parents=True)
        (package / "settings.py").touch()
        monkeypatch.syspath_prepend(str(tmp_path / name))
        place = str(package / "settings")
        assert IPCLayer().path == IPCLayer(path="").path == default_path("channels", place)
        paths.add(IPCLayer().path)
    assert len(paths) == 2


class Other(IPCLayer):
    """A site's own."""


@pytest.mark.parametrize("backend", ["txchannels.layers.ipc.IPCLayer", f"{__name__}.Other"])
def test_the_daemon_makes_the_layer_with_the_path_of_its_programs(monkeypatch, tmp_path, backend):
    """Its own environment need not say what the settings are."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    for config, path in (
        ({}, default_path("channels", "/srv/a/mysite/settings")),
        ({"path": ""}, default_path("channels", "/srv/a/mysite/settings")),
        ({"path": "/run/a.sock"}, "/run/a.sock"),
    ):
        facts = Facts("mysite.settings", backend=backend, config=config)
        assert make_layer(facts, "default", "/srv/a/mysite/settings").path == path


def test_a_layer_without_settings_has_a_path_too(monkeypatch, tmp_path):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert IPCLayer().path == f"{tmp_path}/txchannels/channels.sock"


def test_a_path_may_be_a_path(tmp_path):
    assert IPCLayer(path=tmp_path / "hub.sock").path == str(tmp_path / "hub.sock")


@pytest.mark.parametrize("path", [5, b"hub.sock", None, "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ConfigurationError, match="path"):
        IPCLayer(path=path)


def test_nobody_serves_at_a_plain_file(path):
    Path(path).touch()
    with pytest.raises(LayerUnavailable, match="is gone"):
        dial(path)


def test_a_daemon_leaves_nothing_but_its_lock(turning):
    daemon = Daemon(turning)
    daemon.open()
    daemon.close()
    assert [one.name for one in Path(daemon.folder).iterdir()] == ["hub.sock.lock"]
    daemon.open()
    daemon.__exit__()
