"""What a Redis has counted so far: the commands that it ran, and the bytes in and out.

Its own questions are left out. As a program it is the hook of `bench/wsload.c`: it appends a
count to a file, and before the measured part another one, `QUIET_SECONDS` later, so that what
the servers do anyway (leases, waits that end) is known, too.

Usage: ``python -m bench.counters PORT FILE ready|end``.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

QUIET_SECONDS = 2.0

_ASK_COMMANDS = b"INFO commandstats\r\n"
_ASK_TRAFFIC = b"INFO stats\r\n"


@dataclass(frozen=True)
class Count:
    """One look at the counters. Commands within scripts count, too.

    Attributes:
        own_bytes: What this look itself adds to the bytes of the next one.
    """

    seconds: float
    commands: int
    bytes: int
    own_bytes: int


def look(port: int) -> Count:
    """Ask the Redis on *port*."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answers = connection.makefile("rb")
        connection.sendall(_ASK_COMMANDS)
        commands = _bulk(answers)
        connection.sendall(_ASK_TRAFFIC)
        stats = _bulk(answers)
    calls = re.findall(r"cmdstat_(\S+?):calls=(\d+)", commands)
    traffic = re.findall(r"total_net_(?:in|out)put_bytes:(\d+)", stats)
    # Counted already: both questions and the first answer. The second one comes after it.
    counted = len(_ASK_COMMANDS) + len(_ASK_TRAFFIC) + _size(commands)
    return Count(
        time.monotonic(),
        sum(int(number) for name, number in calls if name != "info"),
        sum(map(int, traffic)) - counted,
        counted + _size(stats),
    )


def per_send(counts: list[Count], sends: int) -> tuple[float, float]:
    """Commands and bytes of one of *sends*, without what the quiet time shows."""
    before, ready, end = counts
    times = (end.seconds - ready.seconds) / (ready.seconds - before.seconds)
    commands = (end.commands - ready.commands) - times * (ready.commands - before.commands)
    quiet_bytes = ready.bytes - before.bytes - before.own_bytes
    size = (end.bytes - ready.bytes - ready.own_bytes) - times * quiet_bytes
    return commands / sends, size / sends


def _bulk(answers: BinaryIO) -> str:
    size = int(answers.readline()[1:])
    return answers.read(size + 2)[:size].decode()


def _size(text: str) -> int:
    """Bytes of *text* (ASCII) as a bulk string on the wire."""
    return len(f"${len(text)}\r\n{text}\r\n")


def _append(file: Path, count: Count) -> None:
    with file.open("a") as lines:
        lines.write(json.dumps(asdict(count)) + "\n")


def read(file: Path) -> list[Count]:
    """The counts that the program has left."""
    return [Count(**json.loads(line)) for line in file.read_text().splitlines()]


def main() -> None:
    """Append to the file what the command line asks for."""
    port, file, when = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    _append(file, look(port))
    if when == "ready":
        time.sleep(QUIET_SECONDS)
        _append(file, look(port))


if __name__ == "__main__":
    main()
