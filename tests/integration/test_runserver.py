"""``manage.py runserver`` as a developer has it: a fresh project, a terminal, edits, Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import bare_environment

pytestmark = pytest.mark.slow

#: A guard against hanging, not a measure.
WAIT = 90.0

SETTINGS = """
INSTALLED_APPS = ["txchannels.django", *INSTALLED_APPS, "shop"]
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "txchannels.layers.memory.MemoryLayer",
        "ROUTING": "mysite.routing.routing",
    }
}
"""

ROUTING = """
from txchannels.django import route

def echo(message):
    message.reply_channel.send({"text": "one " + message["text"]})

routing = [route("websocket.receive", echo)]
"""

URLS = """
import os, threading
from django.contrib import admin
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path

def wait(request):
    print("the view waits", flush=True)
    threading.Event().wait()

def stop(request):
    breakpoint()
    return HttpResponse("went on")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("pid/", lambda request: HttpResponse(str(os.getpid()))),
    path("template/", lambda request: render(request, "page.html")),
    path("stop/", stop),
    path("wait/", wait),
]
"""

PRODUCTION = """
from mysite.settings import *
DEBUG = False
ALLOWED_HOSTS = ["*"]
"""

BASE_CSS = "static/admin/css/base.css"


class Project:
    """Made by ``startproject``, then given a consumer, an application and a template.

    Args:
        folder: Where it is.
        made: Where one was made that is to be copied.
    """

    def __init__(self, folder: Path, made: Path | None = None) -> None:
        self.folder = folder
        if made is not None:
            shutil.copytree(made, folder, dirs_exist_ok=True)
            return
        self._run("-m", "django", "startproject", "mysite", str(folder))
        settings = folder / "mysite" / "settings.py"
        settings.write_text(settings.read_text() + SETTINGS)
        for name, text in {
            "mysite/routing.py": ROUTING,
            "mysite/urls.py": URLS,
            "mysite/production.py": PRODUCTION,
            "shop/__init__.py": "",
            "shop/models.py": "",
            "templates/page.html": "a page",
        }.items():
            self.write(name, text)

    def _run(self, *arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, env=environment(), timeout=WAIT)

    def write(self, name: str, text: str) -> None:
        """Put *text* in place of a file, in one step."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_text(text)
        new.replace(path)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))


def environment() -> dict[str, str]:
    # A file that is edited twice in a second, to the same size, must be read anew.
    return bare_environment(PYTHONDONTWRITEBYTECODE="1", DJANGO_COLORS="dark")


class RunServer:
    """``manage.py runserver`` in a session of its own, as in a terminal.

    It runs as a context only: started, and at the end, however that comes, all of it is killed.

    Args:
        listens: Whether it is expected to, and waited for.

    Attributes:
        port: Where it listens; 0 before it has said so.
    """

    def __init__(
        self,
        project: Project,
        *options: str,
        addrport: str = "0",
        terminal: int | None = None,
        listens: bool = True,
    ) -> None:
        self.port = 0
        self._project = project
        self._arguments = [addrport, *options]
        self._terminal = terminal
        self._listens = listens
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._is_complete = False
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        terminal = self._terminal
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", *self._arguments],
            cwd=self._project.folder,
            env=environment(),
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        try:
            if terminal is None:
                self._reader.start()
            if self._listens:
                self.find_port(self.wait_for("development server at"))
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    def find_port(self, line: str) -> None:
        found = re.search(r":(\d+)/", line)
        assert found is not None, line
        self.port = int(found[1])

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._is_complete = True
            self._changed.notify_all()

    @property
    def log(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until *count* lines have *text* in them; returns the last."""

        def found() -> list[str]:
            return [line for line in self._lines if text in line]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or self._is_complete, WAIT)
            lines = found()
        assert len(lines) >= count, f"no {text!r} in:\n{self.log}"
        return lines[count - 1]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}/{path}", timeout=WAIT)

    def connect(self) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/chat/", open_timeout=WAIT, proxy=None)

    def interrupt(self) -> int:
        """Press Ctrl-C, if it has not ended; returns the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(WAIT)
        if self._reader.is_alive():
            self._reader.join(WAIT)
        return code

    def processes(self, states: str = "") -> list[int]:
        """All of its session that are there, dead or not, but were not waited for.

        Args:
            states: Leave out those in one of these, as /proc writes them.
        """
        found = []
        for entry in Path("/proc").iterdir():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            is_ours = entry.name.isdigit() and int(fields[3]) == self.process.pid
            if is_ours and fields[0] not in states:
                found.append(int(entry.name))
        return found

    def kill(self) -> None:
        """End all that is left of it, and what that has started meanwhile."""
        while alive := self.processes(states="ZX"):
            for pid in alive:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.wait()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Project(tmp_path_factory.mktemp("project")).folder


@pytest.fixture
def project(tmp_path: Path, made: Path) -> Project:
    return Project(tmp_path, made)


@pytest.fixture
def server(project: Project) -> Iterator[RunServer]:
    with RunServer(project) as server:
        yield server
        assert server.interrupt() == 0, server.log
        wait(lambda: not server.processes(), "all processes have ended")


def wait(condition: Callable[[], Any], what: str) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT * 20)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"not so: {what}")


def says(socket: ClientConnection, expected: str) -> bool:
    socket.send("hello")
    return socket.recv(WAIT) == expected


def test_pages_static_files_and_sockets_are_served_on_one_port(server):
    assert server.get("pid/").status_code == 200
    assert server.get(BASE_CSS).headers["content-type"].startswith("text/css")
    assert server.get("nothing/").status_code == 404
    with server.connect() as socket:
        assert says(socket, "one hello")
    server.wait_for("WebSocket DISCONNECT")
    client = r"127\.0\.0\.1:\d+\]"
    time = r"\[\d\d/\w+/\d{4} \d\d:\d\d:\d\d\]"
    for line in (
        rf"{time} HTTP GET /pid/ 200 \[\d+\.\d\d, {client}",
        rf"{time} HTTP GET /nothing/ 404 \[\d+\.\d\d, {client}",
        rf"{time} WebSocket HANDSHAKING /chat/ \[{client}",
        rf"{time} WebSocket CONNECT /chat/ \[{client}",
        rf"{time} WebSocket DISCONNECT /chat/ \[1000, {client}",
    ):
        assert re.search(line, server.log), server.log
    assert "Channel layer default (txchannels.layers.memory.MemoryLayer)" in server.log
    assert "System check identified no issues" in server.log
    assert "unapplied migration(s)" in server.log
    assert "Traceback" not in server.log


def test_a_socket_stays_open_over_edits_good_and_bad(project, server):
    with server.connect() as socket:
        assert says(socket, "one hello")
        project.edit("mysite/routing.py", "one ", "two ")
        wait(lambda: says(socket, "two hello"), "the edit is served")

        project.edit("mysite/routing.py", "def echo(message):", "def echo(message:")
        server.wait_for("Reload failed. Generation 2 goes on.")
        assert "SyntaxError" in server.log
        assert "routing.py" in server.log
        assert says(socket, "two hello")

        project.edit("mysite/routing.py", "def echo(message:", "def echo(message):")
        project.edit("mysite/routing.py", "two ", "three ")
        wait(lambda: says(socket, "three hello"), "the mended edit is served")
    assert server.log.count("is broken") == 0


def test_an_edited_template_is_served_by_the_process_that_runs(project, server):
    assert server.get("template/").text == "a page"
    pid = server.get("pid/").text
    project.write("templates/page.html", "another page")
    assert server.get("template/").text == "another page"
    assert server.get("pid/").text == pid


def test_a_finding_of_the_checks_is_shown_at_an_edit_and_the_former_code_serves(project, server):
    assert server.get("pid/").status_code == 200
    project.edit("mysite/routing.py", 'route("websocket.receive", echo)', '"no route"')
    server.wait_for("Reload failed")
    assert "holds 'no route'" in server.log
    with server.connect() as socket:
        assert says(socket, "one hello")
    project.edit("mysite/routing.py", '"no route"', 'route("websocket.receive", echo, path="a")')
    server.wait_for("txchannels.W018")
    server.wait_for("Reloaded in ")


def test_a_view_that_waits_does_not_hold_up_the_end(server):
    asking = threading.Thread(target=_ask_in_vain, args=(server,))
    asking.start()
    server.wait_for("the view waits")
    assert server.interrupt() == 0
    asking.join(WAIT)


def _ask_in_vain(server: RunServer) -> None:
    try:
        server.get("wait/")
    except httpx.HTTPError:
        pass


def test_the_end_is_told_to_sockets(server):
    with server.connect() as socket:
        assert says(socket, "one hello")
        assert server.interrupt() == 0
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(WAIT)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


@pytest.mark.parametrize("name", ["mysite/routing.py", "mysite/urls.py", "shop/models.py"])
def test_code_that_is_broken_from_the_start_is_served_when_it_is_mended(project, name):
    mended = (project.folder / name).read_text()
    project.write(name, "def broken(:\n")
    with RunServer(project, listens=False) as server:
        server.wait_for("SyntaxError")
        if name != "shop/models.py":  # in that case, Django's own reloader waits
            server.find_port(server.wait_for("development server at"))
            server.wait_for("Requests are answered 503. Tried again when it is edited.")
            assert server.get("pid/").status_code == 503
            assert server.log.count("SyntaxError:") <= 3  # shown once, in its lines

        def starts() -> bool:
            # Again and again: Django's own reloader may not have looked at the file before.
            project.write(name, mended)
            return "development server at" in server.log

        wait(starts, "it starts")
        server.find_port(server.wait_for("development server at"))
        wait(lambda: server.get("pid/").status_code == 200, "the mended code is served")
        server.interrupt()
        wait(lambda: not server.processes(), "all processes have ended")


def test_without_reloading_there_is_one_process(project):
    with RunServer(project, "--noreload") as server:
        assert server.get("pid/").text == str(server.process.pid)
        assert server.get(BASE_CSS).status_code == 200
        with server.connect() as socket:
            assert says(socket, "one hello")
            assert server.processes() == [server.process.pid]
            assert server.interrupt() == 0
        assert "unapplied migration(s)" in server.log
        assert "Traceback" not in server.log


def test_without_reloading_a_finding_of_the_checks_ends_it(project):
    project.edit("mysite/routing.py", 'route("websocket.receive", echo)', '"no route"')
    with RunServer(project, "--noreload", listens=False) as server:
        assert server.wait() == 1
        assert "txchannels.E002" in server.log
        assert "development server at" not in server.log


@pytest.mark.parametrize("options", [[], ["--noreload"]], ids=["reload", "noreload"])
def test_checks_are_skipped_if_asked(project, options):
    with RunServer(project, "--skip-checks", *options) as server:
        assert server.get("pid/").status_code == 200
        assert server.interrupt() == 0
        assert "system check" not in server.log.lower()


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--nostatic"], 404),
        (["--nostatic", "--noreload"], 404),
        (["--settings=mysite.production"], 404),
        (["--settings=mysite.production", "--insecure"], 200),
        (["--settings=mysite.production", "--insecure", "--noreload"], 200),
    ],
)
def test_static_files_are_served_as_the_options_say(project, options, status):
    with RunServer(project, *options) as server:
        assert server.get(BASE_CSS).status_code == status
        assert server.get("pid/").status_code == 200


def test_djangos_own_server_is_there_if_asked_for(project):
    with RunServer(project, "--noasgi", "--noreload", addrport=str(free_port())) as server:
        assert server.get("pid/").headers["server"].startswith("WSGIServer")


def test_a_port_in_use_is_told_in_djangos_words(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with RunServer(project, addrport=port, listens=False) as server:
            assert server.wait() == 1
    assert server.log == "Error: That port is already in use.\n"


@pytest.mark.parametrize(
    ("addrport", "says"),
    [
        ("203.0.113.1:0", "That IP address can't be assigned to."),
        ("no.such.host.invalid:0", "Error: "),
        ("127.0.0.1:99999", "is not a valid port number"),
        ("nonsense:", "is not a valid port number or address:port pair."),
    ],
)
def test_an_address_that_cannot_be_is_told_in_one_line(project, addrport, says):
    with RunServer(project, addrport=addrport, listens=False) as server:
        assert server.wait() == 1
        assert says in server.log
        assert server.log.count("\n") == 1


@pytest.mark.parametrize(
    ("addrport", "shown", "host"),
    [
        ("[::1]:0", r"http://\[::1\]:\d+/", "[::1]"),
        ("0:0", r"http://0\.0\.0\.0:\d+/", "127.0.0.1"),
        ("localhost:0", r"http://localhost:\d+/", "127.0.0.1"),
    ],
)
def test_addresses_are_written_as_djangos(project, addrport, shown, host):
    with RunServer(project, "--noreload", addrport=addrport) as server:
        assert re.search(shown, server.log)
        response = httpx.get(f"http://{host}:{server.port}/pid/", timeout=WAIT)
        assert response.status_code == 200


def test_a_breakpoint_has_the_terminal(project):
    ours, theirs = pty.openpty()
    said = ""

    def read_until(text: str) -> None:
        nonlocal said
        while text not in said:
            assert select.select([ours], [], [], WAIT)[0], said
            said += os.read(ours, 4096).decode()

    try:
        with RunServer(project, terminal=theirs, listens=False) as server:
            read_until("Quit the server")
            server.find_port(said)
            answers: list[str] = []
            asking = threading.Thread(target=lambda: answers.append(server.get("stop/").text))
            asking.start()
            read_until("(Pdb)")
            os.write(ours, b"continue\n")
            asking.join(WAIT)
            assert answers == ["went on"]
            read_until("HTTP GET /stop/ 200")
            assert "\x1b[" in said.partition("HTTP GET")[0].splitlines()[-1]  # in colour
            assert server.interrupt() == 0
    finally:
        os.close(ours)
        os.close(theirs)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as port:
        return port.getsockname()[1]
