"""A daemon in a process of its own, and programs to run against one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

__all__ = ["DaemonProcess", "environment", "run_program"]

ROOT = Path(__file__).parents[3]

DAEMON = """
import sys
from twisted.internet.epollreactor import EPollReactor
from tests.layers.ipc.hosting import run_now
from txchannels.layers.ipc import IPCLayer
from txchannels.layers.ipc.server import Served
from txchannels.layers.ipc.serving import HubServer

path = sys.argv[1]
reactor = EPollReactor()
layer = IPCLayer(path=path)
face = layer.serve(reactor.callFromThread, reactor)
server = HubServer(Served(face.hub, face, layer.blocking, reactor, run_now), lambda *told: None)
try:
    server.claim(path, "--socket")
except Exception as error:
    print(f"refused: {error}", flush=True)
    raise SystemExit(1)
server.listen()
reactor.callWhenRunning(lambda: print("serves", flush=True))
reactor.run(installSignalHandlers=False)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


class DaemonProcess:
    """A context in which a process serves a hub; it can be stopped, killed, started again."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "hub.sock")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.folder.cleanup()

    def start(self) -> None:
        self.process = self.spawn()
        assert self.process.stdout.readline() == "serves\n"

    def spawn(self) -> Any:
        command = [sys.executable, "-c", DAEMON, self.path]
        return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def run_program(text: str, *arguments: str, **options: Any) -> str:
    """What a program prints, which ends well."""
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
