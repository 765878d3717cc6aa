"""What an operator may get wrong about Redis: one line that names the setting, and no secret."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import run_twistd
from tests.integration.joined import SITE, Host, Notes, wait
from tests.servers import Certificates, RedisServer, free_port, make_certificates

pytestmark = pytest.mark.slow

SECRET = "n0b0dy-may-see-this"
HOSTS = "CONFIG['hosts']"


class _Fake(socketserver.ThreadingTCPServer):
    """Says *answer* to whatever it is asked."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answer: bytes) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while self.request.recv(65_536):
                    self.request.sendall(answer)

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: object) -> None:
        """The other side has hung up."""

    @property
    def url(self) -> str:
        return f"redis://localhost:{self.server_address[1]}"


@contextmanager
def fake(answer: bytes) -> Iterator[str]:
    """The URL of a server that has one answer for all."""
    with _Fake(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


TOO_OLD = bulk("# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\nrole:master\r\n")
HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def with_password() -> Iterator[RedisServer]:
    with RedisServer(password="the right one") as server:
        yield server


@pytest.fixture(scope="module")
def with_tls(certificates: Certificates) -> Iterator[RedisServer]:
    with RedisServer(tls=certificates) as server:
        yield server


def refused(config: dict[str, Any], *options: str, command: str = "channels") -> str:
    """The one line with which the command ends: with exit code 1."""
    if command == "channels" and not options:
        options = ("--port=0",)
    environment = {"LAYER_CONFIG": json.dumps(config)}
    ended = run_twistd(*options, settings=SITE, environment=environment, command=command)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    for told in (ended.stdout, ended.stderr):
        assert "Traceback" not in told
        assert SECRET not in told
    assert "txchannels: " not in ended.stdout
    [line] = ended.stderr.splitlines()
    assert line.startswith("txchannels: ")
    return line


START = pytest.mark.parametrize(
    ("options", "command"),
    [((), "channels"), (("--check",), "channels"), ((), "channels-worker")],
    ids=["start", "check", "worker"],
)


# What can never work, and needs no server to be seen


@START
def test_a_misspelt_key_is_named(options, command) -> None:
    line = refused({"host": [f"redis://:{SECRET}@localhost"]}, *options, command=command)
    assert "CHANNEL_LAYERS['default']" in line
    assert "'host'" in line


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        ({"hosts": f"redis://:{SECRET}@localhost"}, HOSTS),
        ({"hosts": [f"http://:{SECRET}@localhost"]}, f"{HOSTS}[0]"),
        ({"symmetric_encryption_keys": SECRET}, "symmetric_encryption_keys"),
        ({"hosts": ["rediss://localhost"], "tls": {"ca": "/x"}}, "CONFIG['tls']['ca']"),
        ({"hosts": ["rediss://localhost"], "tls": {"ca_file": "/nowhere"}}, "['ca_file']"),
    ],
    ids=["bare string", "scheme", "keys", "key of tls", "no file"],
)
def test_what_cannot_be_read_is_named(config, setting) -> None:
    line = refused(config)
    assert setting in line
    assert "CHANNEL_LAYERS['default']" in line


# What can never work, as the server says


@START
def test_a_wrong_password_is_told(with_password: RedisServer, options, command) -> None:
    url = f"redis://:{SECRET}@localhost:{with_password.port}"
    line = refused({"hosts": [url]}, *options, command=command)
    assert HOSTS in line
    assert "refuses the user or the password" in line


def test_a_missing_password_is_told(with_password: RedisServer) -> None:
    line = refused({"hosts": [f"redis://localhost:{with_password.port}"]})
    assert HOSTS in line
    assert "asks for a password" in line


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["start", "check"])
def test_a_wrong_authority_is_told(with_tls, certificates: Certificates, options) -> None:
    tls = {"ca_file": str(certificates.other_ca_file)}
    line = refused({"hosts": [with_tls.url], "tls": tls}, *options)
    assert HOSTS in line
    assert "certificate that is not trusted" in line


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["start", "check"])
def test_a_name_that_the_certificate_has_not_is_told(
    with_tls: RedisServer, certificates: Certificates, options
) -> None:
    tls = {"ca_file": str(certificates.ca_file)}
    with RedisServer(tls=certificates, config=["bind 127.0.0.1 127.0.0.2"]) as server:
        url = f"rediss://127.0.0.2:{server.port}"
        line = refused({"hosts": [url], "tls": tls}, *options)
    assert HOSTS in line
    assert "certificate for another name" in line


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["start", "check"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [(TOO_OLD, "is Redis 6.2.14; Redis 7.0 or newer"), (HTTP, "does not answer as Redis does")],
    ids=["too old", "no Redis"],
)
def test_a_server_that_will_not_do_is_told(answer, says, options) -> None:
    with fake(answer) as url:
        line = refused({"hosts": [url]}, *options)
    assert HOSTS in line
    assert says in line


# What may work later


@pytest.mark.parametrize("command", ["channels", "channels-worker"])
def test_check_fails_where_no_server_answers(command) -> None:
    url = f"redis://:{SECRET}@localhost:{free_port()}"
    line = refused({"hosts": [url]}, "--check", command=command)
    assert "CHANNEL_LAYERS['default']" in line
    assert "refused" in line


def test_check_fails_where_the_hosts_name_is_not_known() -> None:
    line = refused({"hosts": [f"redis://:{SECRET}@no-such-host.invalid"]}, "--check")
    assert "no-such-host.invalid" in line
    assert "name" in line


def test_hosts_start_without_their_server_and_find_it_later(tmp_path: Path) -> None:
    port, notes = free_port(), Notes(tmp_path)
    config = {"hosts": [f"redis://:{SECRET}@localhost:{port}"]}
    front = Host("front", config, notes, "--no-workers")
    worker = Host("worker", config, notes, command="channels-worker")
    mixed = Host("mixed", config, notes)
    with ExitStack() as stack:
        hosts = [stack.enter_context(host) for host in (front, worker, mixed)]
        for host in hosts:
            assert "Connection refused" in host.wait_for("trying again")
        assert front.get("hello").status_code == 503
        assert mixed.get("hello").text == "Hello from mixed"
        with RedisServer(port=port, password=SECRET):
            for host in hosts:
                host.is_joined()
            wait(lambda: front.get("hello").status_code == 200, "it is answered")
            for host in hosts:
                assert host.stop() == 0
                # at the start, and when it has listened
                assert host.log.count("trying again") <= 2, host.log
                assert SECRET not in host.log
                host.check_log()


def test_a_host_starts_whose_servers_name_is_not_known(tmp_path: Path) -> None:
    with Host("lost", f"redis://:{SECRET}@no-such-host.invalid", Notes(tmp_path)) as host:
        line = host.wait_for("trying again")
        assert "no-such-host.invalid" in line
        assert host.get("hello").text == "Hello from lost"
        assert host.stop() == 0
        assert SECRET not in host.log
        host.check_log()
