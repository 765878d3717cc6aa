"""TLS, a user who may do no more than the layer needs, and messages that nobody can read."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import ROOT, bare_environment, run_twistd
from tests.integration.joined import SITE, WAIT, Host, Notes, started, wait
from tests.integration.visiting import Echo, Member, Teller, settled
from tests.servers import Certificates, RedisServer, make_certificates

pytestmark = pytest.mark.slow

PASSWORD = "s3cr3t-of-the-layer"
ADMIN_PASSWORD = "of the one who looks"

#: All that the layer needs, in database 0 and without sentinels; see docs/redis.md.
SCRIPT_COMMANDS = (  # those of the scripts count as the user's own
    *("del", "exists", "hdel", "hget", "hgetall", "hincrby", "hkeys", "hmget", "hset"),
    *("lindex", "llen", "lpop", "lrange", "pexpire", "pttl", "rpush", "sadd", "scan", "scard"),
    *("set", "sismember", "smembers", "srem", "time", "unlink"),
    *("zadd", "zrange", "zrangebyscore", "zrem"),
)
OWN_COMMANDS = (
    *("blmpop", "client|id", "client|unblock", "eval", "evalsha", "info", "lmpop", "ping"),
    "script|load",
)
COMMANDS = (*OWN_COMMANDS, *SCRIPT_COMMANDS)
ACL = f"on resetchannels ~txchannels:* -@all {' '.join(f'+{one}' for one in COMMANDS)}"

#: Calls, as programs do, what the daemons of these tests do not.
PROGRAM = """
import django; django.setup()
from txchannels.django import Channel, Group, channel_layers
layer = channel_layers["default"].channel_layer.blocking
Channel("unread").send({"text": "x"})
assert layer.receive(["unread"], block=True, timeout=1)[0] == "unread"
assert layer.receive(["unread"], block=True, timeout=0.05)[0] is None
layer.group_add("group", layer.new_channel("unread?"))
assert len(layer.group_channels("group")) == 1
Group("group").send({"text": "x"})
layer.group_discard("group", layer.group_channels("group")[0])
layer.global_statistics(); layer.channel_statistics("unread"); layer.flush()
"""


class Secured:
    """A server with a user for the layer, one who looks, and no default user."""

    def __init__(self, server: RedisServer, certificates: Certificates) -> None:
        self.server = server
        self.config = {
            "hosts": [f"rediss://layer:{PASSWORD}@localhost:{server.port}/0"],
            "tls": {
                "ca_file": str(certificates.ca_file),
                "cert_file": str(certificates.client_cert_file),
                "key_file": str(certificates.client_key_file),
            },
        }

    def ask(self, *command: str) -> Any:
        """What the server says to the one who may ask all."""
        with self.server.client() as client:
            connection = client.connection_pool.get_connection()
            connection.send_command("AUTH", "admin", ADMIN_PASSWORD)
            connection.read_response()
            connection.send_command(*command)
            return connection.read_response()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    users = [
        f"user layer >{PASSWORD} {ACL}",
        f'user admin on ">{ADMIN_PASSWORD}" ~* &* +@all',
        "user default off",
    ]
    with RedisServer(acl=users, tls=certificates, client_certificates=True) as server:
        yield Secured(server, certificates)


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path)


def run_program(config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=bare_environment(DJANGO_SETTINGS_MODULE=SITE, LAYER_CONFIG=json.dumps(config)),
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )


def test_hosts_and_programs_need_no_more_rights_than_the_docs_name(
    secured: Secured, notes: Notes
) -> None:
    secured.ask("ACL", "LOG", "RESET")
    front = Host("front", secured.config, notes, "--no-workers")
    worker = Host("worker", secured.config, notes, command="channels-worker")
    mixed = Host("mixed", secured.config, notes)
    with started(worker, mixed, front):
        wait(lambda: front.get("hello").status_code == 200, "a worker is found")
        _use([front, mixed])
        secured.ask("FLUSHALL")
        for host in (worker, front, mixed):
            host.wait_for("has forgotten this hub")
        _use([front, mixed])
        # it flushes: what was on its way would be answered by nobody
        ended = run_program(secured.config)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert secured.ask("ACL", "LOG") == []
    for host in (front, worker, mixed):
        assert PASSWORD not in host.log


def _use(hosts: list[Host]) -> None:
    """Sockets and groups of all *hosts*."""
    with ExitStack() as stack:
        for host in hosts:
            stack.enter_context(Echo(host)).goes_on()
        members = [stack.enter_context(Member(host)) for host in hosts]
        tellers = [stack.enter_context(Teller(host)) for host in hosts]
        settled(tellers, members)


def test_the_rights_are_those_that_the_scripts_use() -> None:
    called = {
        command.lower()
        for script in files("txchannels.layers.redis").iterdir()
        if script.name.endswith(".lua")
        for command in re.findall(r"redis\.p?call\('([A-Z]+)'", script.read_text())
    }
    assert called == set(SCRIPT_COMMANDS)


def test_check_shows_no_password(secured: Secured) -> None:
    environment = {"LAYER_CONFIG": json.dumps(secured.config)}
    ended = run_twistd("--check", settings=SITE, environment=environment)
    assert ended.returncode == 0, ended.stderr
    assert f"rediss://layer@localhost:{secured.server.port}/0" in ended.stdout
    assert PASSWORD not in ended.stdout + ended.stderr


def test_a_right_that_is_missing_is_told_without_the_password(secured: Secured) -> None:
    secured.ask("ACL", "SETUSER", "layer", "-info")
    try:
        environment = {"LAYER_CONFIG": json.dumps(secured.config)}
        ended = run_twistd("--check", settings=SITE, environment=environment)
    finally:
        secured.ask("ACL", "SETUSER", "layer", "+info")
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "CONFIG['hosts']" in line
    assert "right" in line
    assert PASSWORD not in line


# Encryption


class Wire:
    """All that a server does, in clear (MONITOR)."""

    def __init__(self, server: RedisServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT)
        self._socket.sendall(b"MONITOR\r\n")
        assert self._socket.recv(5) == b"+OK\r\n"

    def seen(self, server: RedisServer) -> bytes:
        """What was seen so far."""
        end = b"this is the end"
        with server.client() as client:
            client.get(end)
        found = b""
        while end not in found:
            found += self._socket.recv(65_536)
        self._socket.close()
        return found


@pytest.mark.parametrize("is_encrypted", [True, False], ids=["encrypted", "in clear"])
def test_what_the_server_sees(notes: Notes, is_encrypted: bool) -> None:
    """In clear, the same text is seen: so the test looks at the right place."""
    text = "the-text-that-nobody-else-may-read"
    with RedisServer() as server:
        config: dict[str, Any] = {"hosts": [server.url]}
        keys = {"symmetric_encryption_keys": ["a key", "an old key"]} if is_encrypted else {}
        front = Host("front", config | keys, notes, "--no-workers")
        worker = Host("worker", config | keys, notes, command="channels-worker")
        with started(worker, front):
            wait(lambda: front.get("hello").status_code == 200, "the worker is found")
            wire = Wire(server)
            with front.connect("echo") as socket, front.connect("room") as member:
                socket.send(text)
                assert socket.recv(WAIT) == text
                member.send(text)
                assert member.recv(WAIT) == text
            seen = wire.seen(server)
        assert b"websocket.receive" in seen
        assert (text.encode() in seen) is not is_encrypted
        assert "a key" not in front.log + worker.log


def test_keys_are_rotated_without_a_stop(notes: Notes) -> None:
    """A host that has only the old key talks with one that writes with it and reads both."""
    with RedisServer() as server:
        config = {"hosts": [server.url]}
        old, both = ["the old key"], ["the old key", "the new key"]
        front = Host("front", config | {"symmetric_encryption_keys": old}, notes, "--no-workers")
        worker = Host(
            "worker",
            config | {"symmetric_encryption_keys": both},
            notes,
            command="channels-worker",
        )
        newer = Host(
            "newer", config | {"symmetric_encryption_keys": both[::-1]}, notes, "--no-workers"
        )
        with started(worker, front, newer):
            for host in (front, newer):
                wait(lambda one=host: one.get("hello").status_code == 200, "it is answered")
