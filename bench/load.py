"""The two load generators, as functions: wrk for HTTP, wsload for WebSocket and event streams."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from bench.machine import WSLOAD, BenchError
from bench.servers import Running

#: Above this many sockets the client uses several source addresses.
SOCKETS_PER_ADDRESS = 4000

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class HttpLoad:
    """What wrk counted, and the median time of an answer."""

    requests: int
    requests_per_second: float
    median_ms: float


@dataclass(frozen=True)
class Client:
    """A client pinned to some cores, written as taskset takes them."""

    cores: str

    def load(self, server: Running, path: str, *, connections: int, seconds: float) -> HttpLoad:
        """Have *server* answer as many requests as it can over keep-alive connections.

        Raises: BenchError: An answer was not 2xx, or a connection failed.
        """
        output = self._run(
            [
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{max(1, round(seconds))}s",
                "--timeout=20s",
                "--latency",
                server.url(path),
            ],
            seconds + 60,
        )
        rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
        count = re.search(r"(\d+) requests in", output)
        median = re.search(r"50%\s+([\d.]+)(us|ms|s)\b", output)
        trouble = re.search(r"(Non-2xx or 3xx responses: \d+|Socket errors: .*)", output)
        if not (rate and count and median) or int(count.group(1)) == 0 or trouble is not None:
            said = trouble.group(1) if trouble else output.strip()[-300:]
            raise BenchError(f"{server.name}, {path}: wrk says {said!r}")
        median_ms = float(median.group(1)) * _MILLISECONDS[median.group(2)]
        return HttpLoad(int(count.group(1)), float(rate.group(1)), median_ms)

    def sockets(
        self,
        server: Running,
        mode: str,
        path: str,
        *,
        connections: int,
        seconds: float,
        **options: str | float | bool,
    ) -> dict[str, Any]:
        """Run wsload, whose usage text explains *mode* and *options*; its JSON answer.

        An option that is True is given without a value.

        Raises: BenchError: A socket failed or was closed.
        """
        command = [str(WSLOAD), mode, "--port", str(server.port), "--path", path]
        command += ["--origin", f"http://127.0.0.1:{server.port}", "-c", str(connections)]
        command += ["-d", str(seconds), "--pids", ",".join(map(str, server.pids()))]
        if connections > SOCKETS_PER_ADDRESS:
            command += ["--spread", str(1 + connections // SOCKETS_PER_ADDRESS)]
        for name, value in options.items():
            dash = "-" if len(name) == 1 else "--"
            command += [dash + name.replace("_", "-"), *([] if value is True else [str(value)])]
        output = self._run(command, seconds + 300)
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError as error:
            raise BenchError(f"{server.name}, {path}: wsload says {output[-300:]!r}") from error
        if answer["ready"] != connections or answer["closed"] or answer["first_error"]:
            raise BenchError(
                f"{server.name}, {path}: {answer['ready']} of {connections} sockets opened, "
                f"{answer['closed']} closed, first error: {answer['first_error'] or 'none'}"
            )
        return answer

    def _run(self, command: list[str], limit: float) -> str:
        pinned = ["taskset", "-c", self.cores, "setpriv", "--pdeathsig", "KILL", *command]
        try:
            done = subprocess.run(
                pinned,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"no end after {limit:.0f} s: {' '.join(command)}") from error
        return done.stdout
