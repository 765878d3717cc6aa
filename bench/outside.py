"""Group sends from outside of a daemon, until the last of its sockets has each.

A program opens sockets to a daemon, joins its layer over the Unix socket, sends to their group
with plain blocking code, and watches the sockets: first while the daemon has nothing else to do,
then while some views compute.

Usage: ``python outside.py PORT SOCKET-PATH GROUP SOCKETS SENDS VIEWS``. It prints the
milliseconds that each send took, as JSON: a list for each of the two.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import sys
import time
from typing import Any

from txchannels.layers.ipc import IPCLayer

PATH = "/fan"
TEXT = "x" * 32
#: Its frame: two bytes of header.
FRAME_BYTES = len(TEXT) + 2
GIVE_UP_SECONDS = 60.0
PAUSE_SECONDS = 0.05
BURN_SECONDS = 15.0


def connect(port: int) -> socket.socket:
    """One open WebSocket."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_SECONDS)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "",
        "",
    ]
    sock.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    if b" 101 " not in head:
        raise SystemExit(f"refused: {head!r}")
    return sock


def send(layer: Any, group: str, sockets: dict[int, socket.socket], sends: int) -> list[float]:
    """How many milliseconds each send took."""
    poll = select.epoll()
    for descriptor in sockets:
        poll.register(descriptor, select.EPOLLIN)
    times = []
    for _ in range(sends):
        began = time.monotonic()
        layer.send_group(group, {"text": TEXT})
        missing = dict.fromkeys(sockets, FRAME_BYTES)
        while missing:
            ready = poll.poll(GIVE_UP_SECONDS)
            if not ready:
                raise SystemExit(f"{len(missing)} sockets got nothing")
            for descriptor, _event in ready:
                left = missing[descriptor] - len(sockets[descriptor].recv(FRAME_BYTES))
                if left:
                    missing[descriptor] = left
                else:
                    del missing[descriptor]
        times.append((time.monotonic() - began) * 1000)
        time.sleep(PAUSE_SECONDS)
    return times


def burn(port: int) -> socket.socket:
    """Have one of the daemon's threads compute for `BURN_SECONDS`."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=BURN_SECONDS * 20)
    request = f"GET /burn?seconds={BURN_SECONDS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    sock.sendall(request.encode())
    return sock


def main() -> None:
    """Open, send, watch, print."""
    port, path, group, count, sends, burners = sys.argv[1:]
    sockets = {one.fileno(): one for one in (connect(int(port)) for _ in range(int(count)))}
    for one in sockets.values():
        one.setblocking(False)
    layer = IPCLayer(path=path).blocking
    # A socket's membership may come a moment after its handshake.
    while len(layer.group_channels(group)) < len(sockets):
        time.sleep(PAUSE_SECONDS)
    idle = send(layer, group, sockets, int(sends))
    burning = [burn(int(port)) for _ in range(int(burners))]
    time.sleep(0.5)
    began = time.monotonic()
    busy = send(layer, group, sockets, int(sends))
    if time.monotonic() - began > BURN_SECONDS - 1:
        raise SystemExit("the sends took longer than there was something beside them")
    if any(b" 200 " not in one.recv(4096) for one in burning):
        raise SystemExit("a busy view failed")
    json.dump({"idle": idle, "busy": busy}, sys.stdout)


if __name__ == "__main__":
    main()
