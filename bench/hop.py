"""The hop: from the call of `send` in one process until another one's hub delivers.

Both processes are members of one site. A thread of the first sends one message at a time, to a
channel that only the second reads; the second says by a pipe, not by Redis, how long each has
taken (both read the same monotonic clock), and then the next one goes.

Usage: ``python hop.py URL ROUNDS SENDING-CORE READING-CORE``. It prints the times in
nanoseconds as a JSON list.
"""

from __future__ import annotations

import gc
import json
import os
import struct
import subprocess
import sys
import threading
import time
from typing import IO, Any

from twisted.internet import reactor

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis import RedisLayer
from txchannels.settings import WorkerSettings

CHANNEL = "hop"
READ = "read"
WARM_UP_ROUNDS = 200
JOIN_SECONDS = 10.0
#: Messages that the reader has asked for, as a daemon's idle threads have.
DEMAND = 16

_TIME = struct.Struct("q")


def join(url: str) -> tuple[RedisLayer, Any]:
    """Make this process a member of the site; the layer, and its face for the reactor."""
    layer = RedisLayer(hosts=[url])
    face = layer.reactor(reactor.callFromThread, reactor)
    face.start()
    # As the daemon does.
    sys.setswitchinterval(WorkerSettings().switch_interval_seconds)
    gc.collect()
    gc.freeze()
    return layer, face


def read(url: str, core: int) -> None:
    """Take messages and write how old each is, until killed."""
    os.sched_setaffinity(0, {core})
    _, face = join(url)

    def deliver(channel: str, message: dict[str, Any]) -> None:
        os.write(1, _TIME.pack(time.monotonic_ns() - message["sent"]))
        reactor.callLater(0, subscription.request, 1)  # not in here: the hub is locked

    subscription = face.subscribe([CHANNEL], deliver)
    subscription.request(DEMAND)
    reactor.run()


def send(url: str, rounds: int, core: int, ages: IO[bytes]) -> list[int]:
    """Send one message after another; how long each took."""
    os.sched_setaffinity(0, {core})
    layer, _ = join(url)
    found: list[int] = []

    def run() -> None:
        try:
            for number in range(WARM_UP_ROUNDS + rounds):
                _send(layer, patience=0.0 if number else JOIN_SECONDS)
                found.append(_TIME.unpack(ages.read(_TIME.size))[0])
        finally:
            reactor.callFromThread(reactor.stop)

    reactor.callWhenRunning(threading.Thread(target=run, daemon=True).start)
    reactor.run()
    return found[WARM_UP_ROUNDS:]


def _send(layer: RedisLayer, patience: float) -> None:
    """Send one message; the first one waits until the process has joined the site."""
    deadline = time.monotonic() + patience
    while True:
        try:
            layer.blocking.send(CHANNEL, {"sent": time.monotonic_ns()})
        except LayerUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def main() -> None:
    """Send as the command line says, and read in a process of its own."""
    if sys.argv[1] == READ:
        read(sys.argv[2], int(sys.argv[3]))
        return
    url, rounds, sending, reading = sys.argv[1], *map(int, sys.argv[2:])
    # setpriv: should this process be killed, the kernel ends the reader.
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, __file__]
    with subprocess.Popen([*command, READ, url, str(reading)], stdout=subprocess.PIPE) as reader:
        try:
            json.dump(send(url, rounds, sending, reader.stdout), sys.stdout)
        finally:
            reader.kill()


if __name__ == "__main__":
    main()
