"""A site whose views and consumers run in worker processes: clients see no difference."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.integration.daemon import bare_environment, run_twistd
from tests.integration.supervised import SETTINGS, WAIT, Site, Supervised, stopped, wait
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

MIB = 2**20

#: Builds the daemon as twistd does, without starting it; says what it has imported.
BUILD = """
import sys
from twisted.internet import reactor
from txchannels.service import build
service = build({"processes": "2", "port": "0", "settings": sys.argv[1]}, reactor)
ours = [name for name in sys.modules if name.partition(".")[0] == "supervised_site"]
print(sorted(ours), sorted(name for name in sys.modules if name.partition(".")[0] == "django"))
"""


@pytest.fixture(scope="module", params=["memory", "redis"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Two processes with one thread each."""
    with ExitStack() as stack:
        environment = {"DEBUG": "1"}
        if request.param == "redis":
            server = stack.enter_context(RedisServer())
            environment["LAYER"] = json.dumps(
                {
                    "BACKEND": "txchannels.layers.redis.RedisLayer",
                    "CONFIG": {"hosts": [server.url]},
                }
            )
        site = Site(tmp_path_factory.mktemp("site"))
        yield stack.enter_context(stopped(Supervised(site, "--threads=1", environment=environment)))


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[list[Path]]:
    """Files that views and consumers wait for; they are there in the end."""
    found = [tmp_path / f"gate-{number}" for number in range(4)]
    yield found
    for gate in found:
        gate.touch()


def hold(daemon: Supervised, gate: Path) -> int:
    """Have a worker wait for *gate*; which one."""
    threading.Thread(target=daemon.get, args=("wait",), kwargs={"gate": gate}).start()
    return wait(lambda: daemon.site.waiting(gate), "a view waits")[0]


def test_views_answer(daemon: Supervised) -> None:
    version, pid = daemon.get("hello").text.split()
    assert version == "one"
    assert int(pid) in daemon.workers


def test_static_files_are_served(daemon: Supervised) -> None:
    answer = daemon.get("static/styles.css")
    assert (answer.status_code, answer.text) == (200, "body { color: teal; }\n")
    assert answer.headers["content-type"] == "text/css"


def test_sockets_echo(daemon: Supervised) -> None:
    with daemon.connect("echo") as socket:
        for text in ("one", "two", "x" * 500_000):
            socket.send(text)
            assert socket.recv(WAIT) == text


def test_groups_reach_sockets_whichever_worker_sends(daemon: Supervised, gates: list[Path]) -> None:
    with ExitStack() as stack:
        first = hold(daemon, gates[0])
        members = [stack.enter_context(daemon.connect("room")) for _ in range(3)]
        members[0].send("hello")
        texts = {member.recv(WAIT) for member in members}
        assert len(texts) == 1
        second = int(texts.pop().split()[1])
        assert hold(daemon, gates[1]) == second, "the other one was free"
        gates[0].touch()
        members[1].send("again")
        assert {member.recv(WAIT) for member in members} == {f"again {first}"}
    assert {first, second} == set(daemon.workers)


def test_a_response_is_streamed(daemon: Supervised, gates: list[Path]) -> None:
    gate, count = gates[0], 400
    with httpx.stream(
        "GET", f"{daemon.url}/parts", params={"gate": gate, "count": count}, timeout=WAIT
    ) as response:
        pieces = response.iter_bytes()
        received = next(pieces)
        assert int(received) in daemon.workers, "the first part has come before the rest is made"
        gate.touch()
        size = sum(map(len, pieces))
    assert len(received) + size == len(f"{int(received)}\n") + count * 50_000


def test_a_stream_waits_for_a_client_that_does_not_read(
    daemon: Supervised, gates: list[Path]
) -> None:
    gate, count = gates[0], 1200
    gate.touch()
    with httpx.stream(
        "GET", f"{daemon.url}/parts", params={"gate": gate, "count": count}, timeout=WAIT
    ) as response:
        pid = next(response.iter_bytes())
        assert pid
        before = daemon.rss
        # The other worker answers meanwhile, again and again.
        for _ in range(50):
            assert daemon.get("hello").status_code == 200
        assert daemon.rss - before < 20 * MIB, "60 MiB are not waiting in the daemon"


@pytest.mark.parametrize("is_slow", [False, True], ids=["at-once", "slow-reader"])
def test_an_upload_larger_than_a_message(
    daemon: Supervised, gates: list[Path], is_slow: bool
) -> None:
    gate, body = gates[0], os.urandom(MIB) * 20
    before, answers = daemon.rss, []

    def upload() -> None:
        parameters = {"gate": str(gate)} if is_slow else {}
        answers.append(
            httpx.post(f"{daemon.url}/upload", params=parameters, content=body, timeout=WAIT)
        )

    thread = threading.Thread(target=upload)
    thread.start()
    if is_slow:
        wait(lambda: daemon.site.waiting(gate), "the view runs")
        for _ in range(50):
            assert daemon.get("hello").status_code == 200
        assert daemon.rss - before < 10 * MIB, "the body is not waiting in the daemon"
        assert not answers
        gate.touch()
    thread.join(WAIT)
    assert answers[0].json() == {"size": 20 * MIB, "sha256": hashlib.sha256(body).hexdigest()}


def test_whose_pages_may_connect_is_as_the_settings_say(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.append("settings.py", 'ALLOWED_HOSTS = ["127.0.0.1", ".example.com"]')
    with stopped(Supervised(site, processes=1)) as daemon:
        statuses = {}
        for host in ("127.0.0.1", "www.example.com", "evil.example"):
            headers = {
                "Host": host,
                "Origin": f"http://{host}",
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            with httpx.stream("GET", f"{daemon.url}/echo", headers=headers) as answer:
                statuses[host] = answer.status_code
        assert statuses == {"127.0.0.1": 101, "www.example.com": 101, "evil.example": 403}


def test_check_says_what_would_be_done(tmp_path: Path) -> None:
    site = Site(tmp_path)
    environment = {"NOTES": str(tmp_path)}
    ended = run_twistd(
        "--check", "--processes=2", settings=SETTINGS, paths=[tmp_path], environment=environment
    )
    assert ended.returncode == 0, ended.stderr
    assert "would serve supervised_site.settings" in ended.stdout
    assert "  channel    http.request" in ended.stdout
    site.append("models.py", "import no_such_module")
    ended = run_twistd(
        "--check", "--processes=2", settings=SETTINGS, paths=[tmp_path], environment=environment
    )
    assert ended.returncode == 1
    assert "No module named 'no_such_module'" in ended.stderr


def test_the_settings_may_ask_for_processes(tmp_path: Path) -> None:
    """The daemon begins anew, as one that has not loaded them."""
    site = Site(tmp_path)
    site.append("settings.py", 'TXCHANNELS = {"PROCESSES": 2}')
    daemon = Supervised(site, processes=None)
    daemon.count = 2
    with stopped(daemon):
        assert len(daemon.workers) == 2
        assert daemon.get("hello").status_code == 200
        assert "_sqlite3" not in Path(f"/proc/{daemon.pid}/maps").read_text()
        assert "_sqlite3" in Path(f"/proc/{daemon.workers[0]}/maps").read_text()


def test_the_daemon_loads_neither_django_nor_the_site(tmp_path: Path) -> None:
    Site(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", BUILD, SETTINGS],
        env=bare_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert ended.stdout == "[] []\n", ended.stderr
