"""The hop over the Unix socket: from a `send` in one process until another's reader has it.

Three processes: a hub that is served, a reader, and a sender, whose main thread sends one
message at a time; the reader says by a pipe how long each has taken.

Usage: ``python local_hop.py ROUNDS HUB-CORE OTHERS-CORE``. It prints the times in
nanoseconds as a JSON list.
"""

from __future__ import annotations

import gc
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from txchannels.layers.ipc import IPCLayer
from txchannels.layers.ipc.sockets import dial

CHANNEL = "hop"
WARM_UP_ROUNDS = 200
START_SECONDS = 10.0
#: Messages that the reader has asked for, as a worker process's idle threads have.
DEMAND = 16

_TIME = struct.Struct("q")


def serve(path: str) -> None:
    """Be the hub, until killed."""
    from twisted.internet import reactor

    from txchannels.layers.ipc.serving import HubServer
    from txchannels.processes import serve_hub

    layer = IPCLayer(path=path)
    any_reactor: Any = reactor
    face = layer.serve(any_reactor.callFromThread, any_reactor)
    server = HubServer(serve_hub(any_reactor, layer, face), lambda *_: None)
    server.claim(path, "path")
    server.listen()
    gc.freeze()
    any_reactor.run()


def read(path: str) -> None:
    """Take messages and write how old each is, until killed."""
    link = dial(path)

    def deliver(_number: int, _channel: str, message: dict[str, Any]) -> None:
        os.write(1, _TIME.pack(time.monotonic_ns() - message["sent"]))
        subscription.request(1)

    subscription = link.subscribe([CHANNEL], deliver)
    subscription.request(DEMAND)
    gc.freeze()
    os.write(1, _TIME.pack(0))  # it is there
    threading.Event().wait()


def main() -> None:
    """Send as the command line says, with a hub and a reader in processes of their own."""
    role, *arguments = sys.argv[1:]
    if role in ("serve", "read"):
        os.sched_setaffinity(0, {int(arguments[1])})
        (serve if role == "serve" else read)(arguments[0])
        return
    rounds, hub_core, core = int(role), *arguments
    os.sched_setaffinity(0, {int(core)})
    path = str(Path(tempfile.mkdtemp()) / "hub.sock")
    # setpriv: should this process be killed, the kernel ends the others.
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, __file__]
    with subprocess.Popen([*command, "serve", path, hub_core]) as hub:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not Path(path).exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            reading = subprocess.Popen([*command, "read", path, core], stdout=subprocess.PIPE)
            with reading as reader:
                try:
                    json.dump(_send(path, rounds, reader.stdout), sys.stdout)
                finally:
                    reader.kill()
        finally:
            hub.kill()


def _send(path: str, rounds: int, ages: Any) -> list[int]:
    layer = IPCLayer(path=path)
    ages.read(_TIME.size)
    found = []
    for _ in range(WARM_UP_ROUNDS + rounds):
        layer.blocking.send(CHANNEL, {"sent": time.monotonic_ns()})
        found.append(_TIME.unpack(ages.read(_TIME.size))[0])
    return found[WARM_UP_ROUNDS:]


if __name__ == "__main__":
    main()
