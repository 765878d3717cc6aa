"""Programs beside the daemon use its layer by its socket: the shell, a script, what forks."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.supervised import SETTINGS, WAIT, Site, Supervised
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

TELL = "from txchannels.django import Group; Group('room').send({'text': 'from the shell'})"

CHANNELS = """
from txchannels.django.asgi import channel_layers
layer = channel_layers['default'].channel_layer.blocking
layer.send('jobs', {'text': 'to myself'})
print(layer.receive(['jobs'], block=True))
print(sorted(one.partition('!')[0] for one in layer.group_channels('room')))
"""


@pytest.fixture(scope="module", params=["threads", "processes"])
def daemon(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Supervised]:
    site = Site(tmp_path_factory.mktemp("site"))
    layer = _layer(site)
    processes = request.param == "processes"
    daemon = (Supervised if processes else Threaded)(site, "--threads=4", environment=layer)
    with daemon:
        yield daemon
        assert daemon.stop() == 0
        assert not site.socket.exists()


class Threaded(Supervised):
    """The same without worker processes."""

    def __init__(self, site: Site, *options: str, environment: dict[str, str]) -> None:
        super().__init__(site, *options, processes=None, environment=environment)
        self.options.remove(f"--socket={site.socket}")

    def all_ready(self, generation: int | None = None) -> None:
        """Its threads start as they are needed."""


def _layer(site: Site) -> dict[str, str]:
    backend = "txchannels.layers.ipc.IPCLayer"
    return {"LAYER": json.dumps({"BACKEND": backend, "CONFIG": {"path": str(site.socket)}})}


def shell(site: Site, code: str, *options: str) -> str:
    ended = site.run("supervised_site/manage.py", "shell", *options, "-c", code, **_layer(site))
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_the_shell_sends_to_a_group_of_sockets(daemon: Supervised) -> None:
    with ExitStack() as stack:
        members = [stack.enter_context(daemon.connect("room")) for _ in range(3)]
        members[0].send("all here")
        for member in members:
            assert str(member.recv(WAIT)).startswith("all here")
        shell(daemon.site, TELL)
        assert [member.recv(WAIT) for member in members] == ["from the shell"] * 3


def test_the_shell_uses_channels_and_sees_groups(daemon: Supervised) -> None:
    with daemon.connect("room") as member:
        member.send("here")
        assert str(member.recv(WAIT)).startswith("here")
        said = shell(daemon.site, CHANNELS)
    assert "('jobs', {'text': 'to myself'})" in said
    assert "['txchannels." in said, "one socket, by the name of the daemon's inbox"


def test_without_the_daemon_it_is_told_in_one_line(tmp_path: Path) -> None:
    site = Site(tmp_path)
    ended = site.run("supervised_site/manage.py", "shell", "-c", TELL, **_layer(site))
    assert ended.returncode == 1
    assert f"LayerUnavailable: {site.socket}: no daemon serves there" in ended.stderr


def test_a_consumer_that_forks_sends_by_the_socket(tmp_path: Path) -> None:
    """A child must not use its parent's connection."""
    site = Site(tmp_path)
    site.append(
        "routing.py",
        "def tell_room(message):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        try:\n"
        "            Group('room').send({'text': 'from a child'}, immediately=True)\n"
        "        finally:\n"
        "            os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    Group('room').send({'text': 'from its parent'})\n\n\n"
        "routing.insert(0, route('websocket.receive', tell_room, path='^/room$'))\n",
    )
    with Supervised(site, processes=1) as daemon, daemon.connect("room") as member:
        for _ in range(3):
            member.send("go")
            assert [member.recv(WAIT), member.recv(WAIT)] == ["from a child", "from its parent"]
        assert daemon.stop() == 0


# Its orders, by its settings alone


def _by_settings(site: Site, *words: str, **more: str) -> tuple[int, str]:
    """What ``python -m txchannels`` says of the daemon with the site's settings."""
    ended = site.run("-m", "txchannels", *words, f"--settings={SETTINGS}", **more)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"BACKEND": "txchannels.layers.ipc.IPCLayer"}, "channels.sock"),
        ({}, f"{SETTINGS}.sock"),
    ],
    ids=["ipc", "memory"],
)
def test_a_daemon_is_found_by_its_settings(
    tmp_path: Path, entry: dict[str, str], name: str
) -> None:
    site = Site(tmp_path)
    there = {"LAYER": json.dumps(entry), "RUNTIME_DIRECTORY": str(tmp_path)}
    daemon = Supervised(site, processes=1, environment=there)
    daemon.options.remove(f"--socket={site.socket}")
    site.socket = tmp_path / name
    with daemon:
        code, said = _by_settings(site, "status", **there)
        assert code == 0, said
        assert "1 worker of generation 1" in said
        code, said = _by_settings(site, "reload", **there)
        assert (code, said) == (0, "Reloaded: generation 2 runs\n")
        site.edit("settings.py", "import no_such_library\n")
        code, said = _by_settings(site, "reload", **there)
        assert code == 1
        assert f"--settings {SETTINGS}: cannot be imported" in said
        assert f"may be another than {site.socket}" in said
        assert "txchannels: the reload failed: worker 1 of generation 3: " in said
        assert "Generation 2 goes on\n" in said
        assert daemon.stop() == 0


def test_a_daemon_is_found_where_its_settings_say(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.append("settings.py", f"TXCHANNELS = {{'SOCKET': {str(site.socket)!r}}}")
    daemon = Supervised(site, processes=1)
    daemon.options.remove(f"--socket={site.socket}")
    with daemon:
        code, said = _by_settings(site, "status")
        assert code == 0, said
        assert daemon.stop() == 0
    code, said = _by_settings(site, "status")
    assert code == 1
    assert f"txchannels: {site.socket}: no daemon serves there; twistd channels can be" in said
    assert "when it runs with --processes" in said


def test_a_worker_is_found_by_its_settings_and_told_from_a_daemon_beside_it(
    tmp_path: Path, shared: Path
) -> None:
    site = Site(tmp_path)
    with RedisServer() as server:
        entry = {
            "BACKEND": "txchannels.layers.redis.RedisLayer",
            "CONFIG": {"hosts": [server.url]},
        }
        there = {
            "XDG_RUNTIME_DIR": str(shared),
            "RUNTIME_DIRECTORY": None,
            "LAYER": json.dumps(entry),
        }
        worker = _by_itself(site, command="channels-worker", **there)
        daemon = _by_itself(site, **there)
        _own_socket(site, shared, f"{SETTINGS}-worker")
        workers_path = site.socket
        with worker:
            code, said = _by_settings(site, "status", **there)
            assert (code, f", channels-worker, process {worker.pid}: " in said) == (0, True), said
            code, said = _by_settings(site, "reload", **there)
            assert (code, said) == (0, "Reloaded: generation 2 runs\n")
            _own_socket(site, shared, SETTINGS)
            with daemon:
                code, said = _by_settings(site, "reload", **there)
                assert code == 1
                assert said == (
                    f"txchannels: twistd channels ({site.socket}) and twistd channels-worker "
                    f"({workers_path}) both run with {SETTINGS}: say which, with "
                    "--daemon=channels or --daemon=channels-worker\n"
                )
                for one in (daemon, worker):
                    which = f"--daemon={one.command}"
                    code, said = _by_settings(site, "status", which, **there)
                    assert (code, f"process {one.pid}: " in said) == (0, True), said
                site.edit("settings.py", "import no_such_library\n")
                code, said = _by_settings(site, "status", "--daemon=channels-worker", **there)
                assert (code, f"process {worker.pid}: " in said) == (0, True), said
                site.mend("settings.py")
                daemon.kill()
            assert site.socket.is_socket(), "it was left behind"
            code, said = _by_settings(site, "status", **there)
            assert (code, f"process {worker.pid}: " in said) == (0, True), said
            code, said = _by_settings(site, "status", "--daemon=channels", **there)
            assert (code, "the daemon that has served there is gone" in said) == (1, True), said
            worker._link = None
            site.socket = workers_path
            assert worker.stop() == 0


def test_the_settings_name_the_layer_of_a_daemon_with_processes(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.append(
        "settings.py",
        "CHANNEL_LAYERS['other'] = CHANNEL_LAYERS.pop('default') | {\n"
        "    'BACKEND': 'txchannels.layers.ipc.IPCLayer', 'CONFIG': {'path': "
        f"{str(site.socket)!r}}}\n}}\n"
        "TXCHANNELS = {'LAYER': 'other'}\n",
    )
    daemon = Supervised(site, processes=1)
    daemon.options.remove(f"--socket={site.socket}")
    with daemon:
        code, said = _by_settings(site, "status")
        assert code == 0, said
        assert daemon.stop() == 0


# Sites of one user whose settings have one name


def _by_itself(site: Site, *, command: str = "channels", **there: str | None) -> Supervised:
    """A daemon that nobody tells where its socket is."""
    daemon = Supervised(site, processes=1, environment=there, command=command)
    daemon.options.remove(f"--socket={site.socket}")
    return daemon


def _own_socket(site: Site, shared: Path, name: str) -> None:
    """Let *site* know where its daemon will be: where no other site's is."""
    place = str(site.package / "settings")
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    site.socket = shared / "txchannels" / f"{name}-{digest}.sock"


@pytest.fixture
def shared() -> Iterator[Path]:
    """The user's own folder; its path is short, as sockets' are to be."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("entry", "name"),
    [({"BACKEND": "txchannels.layers.ipc.IPCLayer"}, "channels"), ({}, SETTINGS)],
    ids=["ipc", "memory"],
)
def test_each_site_finds_its_own_daemon(
    tmp_path: Path, shared: Path, entry: dict[str, str], name: str
) -> None:
    there = {"XDG_RUNTIME_DIR": str(shared), "RUNTIME_DIRECTORY": None, "LAYER": json.dumps(entry)}
    first, second = (Site(_made(tmp_path / name)) for name in "ab")
    daemons = _by_itself(first, **there), _by_itself(second, **there)
    for site in (first, second):
        _own_socket(site, shared, name)
    with daemons[0]:
        code, said = _by_settings(second, "reload", **there)
        assert (code, "no daemon serves there" in said) == (1, True)
        second.edit("settings.py", "import no_such_library\n")
        code, said = _by_settings(second, "reload", **there)
        assert (code, "no daemon serves there" in said) == (1, True), "not even as a guess"
        second.mend("settings.py")
        with daemons[1]:
            code, said = _by_settings(second, "reload", **there)
            assert (code, said) == (0, "Reloaded: generation 2 runs\n")
            code, said = _by_settings(first, "status", **there)
            assert "1 worker of generation 1" in said
            assert daemons[1].stop() == 0
        assert daemons[0].stop() == 0


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("backend", ["ipc.IPCLayer", "memory.MemoryLayer"])
def test_a_daemon_that_started_without_its_settings_is_found(
    tmp_path: Path, shared: Path, backend: str
) -> None:
    """Before and after they are mended."""
    entry = json.dumps({"BACKEND": f"txchannels.layers.{backend}"})
    there = {"XDG_RUNTIME_DIR": str(shared), "RUNTIME_DIRECTORY": None, "LAYER": entry}
    site = Site(tmp_path)
    _own_socket(site, shared, SETTINGS)
    site.edit("settings.py", "import no_such_library\n")
    daemon = _by_itself(site, **there).start()
    try:
        code, said = _by_settings(site, "reload", **there)
        assert (code, "the reload failed" in said) == (1, True), said
        site.mend("settings.py")
        code, said = _by_settings(site, "reload", **there)
        assert code == 0, said
        code, said = _by_settings(site, "status", **there)
        assert (code, "1 worker of generation" in said) == (0, True), said
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_the_shell_uses_the_layer_of_its_own_site(tmp_path: Path, shared: Path) -> None:
    entry = json.dumps({"BACKEND": "txchannels.layers.ipc.IPCLayer"})
    there = {"XDG_RUNTIME_DIR": str(shared), "RUNTIME_DIRECTORY": None, "LAYER": entry}
    first, second = (Site(_made(tmp_path / name)) for name in "ab")
    _own_socket(first, shared, "channels")
    with _by_itself(first, **there) as daemon, daemon.connect("room") as member:
        member.send("here")
        assert str(member.recv(WAIT)).startswith("here")
        ended = second.run("supervised_site/manage.py", "shell", "-c", TELL, **there)
        assert "no daemon serves there" in ended.stderr
        ended = first.run("supervised_site/manage.py", "shell", "-c", TELL, **there)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert member.recv(WAIT) == "from the shell"
        assert daemon.stop() == 0
