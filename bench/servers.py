"""The servers under measurement: how each is started, found ready, watched and stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.machine import (
    BENCH,
    BUILD,
    DATABASE,
    ROOT,
    SITE,
    BenchError,
    find_redis,
    free_port,
)

START_SECONDS = 30.0
STOP_SECONDS = 10.0
IDLE_SECONDS = 60.0
#: Threads of the servers that have a fixed number of them.
THREADS = 16

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A server that can be started: its name in tables, and its command for a port.

    Attributes:
        probe: The path that it answers when it is ready; None asks for a connection alone.
        listens: Whether it takes the port; what does not is ready when another serves by it.
    """

    name: str
    command: Callable[[int], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    probe: str | None = "/hello"
    listens: bool = True

    def variant(self, suffix: str = "", **environment: str) -> Server:
        """The same server with other environment variables, and *suffix* behind its name."""
        name = f"{self.name} {suffix}".strip()
        return replace(self, name=name, environment={**self.environment, **environment})


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _twistd(port: int) -> list[str]:
    return [
        _tool("twistd"),
        "-n",
        "--pidfile=",
        "channels",
        "--settings=benchsite.settings",
        f"--pythonpath={SITE}",
        "--bind=127.0.0.1",
        f"--port={port}",
    ]


def _processes(port: int) -> list[str]:
    return [*_twistd(port), "--processes=1"]


def _front(port: int) -> list[str]:
    return [*_twistd(port), "--no-workers"]


def _worker(port: int) -> list[str]:
    return [
        _tool("twistd"),
        "-n",
        "--pidfile=",
        "channels-worker",
        "--settings=benchsite.settings",
        f"--pythonpath={SITE}",
    ]


def _redis(port: int) -> list[str]:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return [find_redis(), *options]


def _inline(port: int) -> list[str]:
    return [_tool("twistd"), "-n", "--pidfile=", "-y", str(BENCH / "inline.py")]


def _granian(port: int) -> list[str]:
    return [
        _tool("granian"),
        "--interface=wsgi",
        "--workers=1",
        f"--blocking-threads={THREADS}",
        "--no-ws",
        f"--port={port}",
        "--log-level=warning",
        "benchsite.wsgi:application",
    ]


def _gunicorn(port: int) -> list[str]:
    return [
        _tool("gunicorn"),
        "--worker-class=gthread",
        "--workers=1",
        f"--threads={THREADS}",
        "--keep-alive=75",
        f"--bind=127.0.0.1:{port}",
        "--log-level=warning",
        "benchsite.wsgi:application",
    ]


def _uvicorn(port: int) -> list[str]:
    return [
        _tool("uvicorn"),
        "--loop=uvloop",
        "--http=httptools",
        f"--port={port}",
        "--no-access-log",
        "--log-level=warning",
        "benchsite.asgi:application",
    ]


def _daphne(port: int) -> list[str]:
    return [
        _tool("daphne"),
        "--verbosity=0",
        "--bind=127.0.0.1",
        f"--port={port}",
        "benchsite.asgi:application",
    ]


def _bare(port: int) -> list[str]:
    return [sys.executable, str(BENCH / "bare.py"), str(port)]


TXCHANNELS = Server("txchannels", _twistd, {"BENCH_STACK": "txchannels"})
PROCESSES = Server("a process", _processes, {"BENCH_STACK": "txchannels"})
INLINE = Server("straight call", _inline, {"BENCH_STACK": "txchannels"})
GRANIAN = Server("granian", _granian)
GUNICORN = Server("gunicorn", _gunicorn)
UVICORN = Server("uvicorn", _uvicorn, {"BENCH_STACK": "channels4"})
DAPHNE = Server("daphne", _daphne, {"BENCH_STACK": "channels4"})
BARE = Server("bare send", _bare, probe=None)
FRONT = Server("no workers", _front, {"BENCH_STACK": "txchannels"})
WORKER = Server("worker", _worker, {"BENCH_STACK": "txchannels"}, listens=False)
REDIS = Server("redis", _redis, probe=None)


@dataclass
class Running:
    """A started server.

    Attributes:
        others: What serves with it, behind it or beside it: their CPU time is counted as its.
    """

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    others: list[Running] = field(default_factory=list)

    def url(self, path: str) -> str:
        """The address of *path* on this server."""
        return f"http://127.0.0.1:{self.port}{path}"

    def pids(self) -> list[int]:
        """The server's process and all that descend from it, and so for `others`."""
        found, waiting = [], [self.process.pid, *(one.process.pid for one in self.others)]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    waiting += map(int, children.read_text().split())
        return found

    def cpu_seconds(self) -> float:
        """CPU time that the server has used so far."""
        return sum(map(cpu_seconds_of, self.pids()))

    def wait_until_idle(self) -> None:
        """Let the server finish with what an earlier measurement left it."""
        deadline = time.monotonic() + IDLE_SECONDS
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.3)
            now = self.cpu_seconds()
            if now - before < 0.03:
                return
            before = now

    def stop(self) -> None:
        """End the server and everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.log_line(f"bench: still there {STOP_SECONDS} s after SIGTERM; killed")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log_line(self, line: str) -> None:
        """Add a remark of ours to the server's log."""
        with self.log.open("a") as log:
            log.write(line + "\n")

    def log_tail(self) -> str:
        """The last lines of what the server said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def cpu_seconds_of(pid: int) -> float:
    """CPU time that a process has used so far; nothing of one that is gone."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


@contextlib.contextmanager
def started(server: Server, cores: str, port: int | None = None) -> Iterator[Running]:
    """Run *server* on *cores* for as long as the context lasts.

    Args:
        cores: As taskset takes them: ``0`` or ``0,1``.
        port: None is any free one.

    Raises: BenchError: It did not come up; has the end of its log.
    """
    port = port or free_port()
    logs = BUILD / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{server.name.replace(' ', '-')}.log"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(SITE)]),
        "DJANGO_SETTINGS_MODULE": "benchsite.settings",
        "BENCH_DATABASE": str(DATABASE),
        "BENCH_PORT": str(port),
        **server.environment,
    }
    # setpriv: should the harness be killed, the kernel ends the server.
    command = ["taskset", "-c", cores, "setpriv", "--pdeathsig", "TERM", *server.command(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=BUILD,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(server.name, port, process, log)
    try:
        if server.listens:
            _wait_until_ready(running, server.probe)
        yield running
    finally:
        running.stop()


def _wait_until_ready(running: Running, probe: str | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    answer = "nothing"
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise BenchError(f"{running.name} ended at its start:\n{running.log_tail()}")
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=START_SECONDS)
        try:
            connection.connect()
            if probe is None:
                return
            connection.request("GET", probe)
            response = connection.getresponse()
            if response.status == 200:
                return
            answer = f"status {response.status}"
        except (OSError, http.client.HTTPException) as error:
            answer = str(error)
        finally:
            connection.close()
        time.sleep(0.05)
    raise BenchError(f"{running.name} was not ready ({answer}):\n{running.log_tail()}")
