"""WebSockets of a real daemon, with a real client."""

from __future__ import annotations

import signal
import socket
import ssl
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import Daemon, wait_until
from tests.integration.socket_site.routing import PARALLEL

pytestmark = pytest.mark.slow

SITE = "tests.integration.socket_site.settings"
WAIT = 30.0


class Sockets(Daemon):
    """A daemon of the socket site; `disconnects` has a line for each disconnect."""

    def __init__(self, told: Path, *options: str) -> None:
        super().__init__(SITE, *options, environment={"DISCONNECTS": str(told)})
        self.told = told

    def connect(self, path: str, **options: Any) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}{path}",
            open_timeout=WAIT,
            close_timeout=WAIT,
            compression=None,
            proxy=None,
            **options,
        )

    @property
    def disconnects(self) -> list[str]:
        return self.told.read_text().split("\n")[:-1] if self.told.exists() else []


def handshake(site: Daemon, path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sockets]:
    told = tmp_path_factory.mktemp("sockets") / "disconnects"
    with Sockets(told, "--threads=64") as daemon:
        yield daemon
        assert daemon.stop() == 0


def test_texts_and_bytes_come_back(site: Sockets) -> None:
    with site.connect("/echo") as client:
        for message in ["", "h\xe9llo", "x" * 200, "y" * 70_000, "z" * 2**20, b"", b"\xff" * 300]:
            client.send(message)
            assert client.recv(WAIT) == message


def test_a_fragmented_message_comes_back_whole(site: Sockets) -> None:
    with site.connect("/echo") as client:
        client.send(["one ", "two ", "", "three"])
        assert client.recv(WAIT) == "one two three"


def test_one_message_more_than_the_limit_is_1009(site: Sockets) -> None:
    with site.connect("/echo") as client:
        client.send("x" * (2**20 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(WAIT)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_order_holds_though_64_threads_run_consumers_of_uneven_length(site: Sockets) -> None:
    sockets, messages = 8, 500

    def talk(number: int) -> list[str | bytes]:
        with site.connect("/order") as client, ThreadPoolExecutor(1) as sender:
            sending = sender.submit(
                lambda: [client.send(f"{number} {at}") for at in range(messages)]
            )
            got = [client.recv(WAIT) for _ in range(messages)]
            sending.result(WAIT)
            return got

    with ThreadPoolExecutor(sockets) as threads:
        for number, got in enumerate(threads.map(talk, range(sockets))):
            assert got == [f"{number} {at}" for at in range(messages)]


def test_receive_never_runs_before_connect_has_finished(site: Sockets) -> None:
    with site.connect("/slow") as client:
        client.send("is it?")
        assert client.recv(WAIT) == "True"


def test_consumers_of_several_sockets_run_at_once(site: Sockets) -> None:
    def ask(_: int) -> str | bytes:
        with site.connect("/parallel") as client:
            client.send("how many?")
            return client.recv(WAIT)

    with ThreadPoolExecutor(PARALLEL) as threads:
        assert set(threads.map(ask, range(PARALLEL))) == {str(PARALLEL)}


def test_a_consumer_s_exception_is_logged_once_and_the_socket_lives_on(site: Sockets) -> None:
    with site.connect("/fail") as client:
        client.send("fail")
        client.send("still here")
        assert client.recv(WAIT) == "still here"
    site.wait_for("ValueError: boom")
    log = site.log
    assert log.count("ValueError: boom") == 1
    assert "socket_site.routing.fail" in log
    assert "websocket.receive" in log
    assert "Traceback" in log


def test_a_consumer_that_exits_ends_neither_its_thread_nor_the_daemon(site: Sockets) -> None:
    with site.connect("/fail") as client:
        client.send("exit")
        client.send("still here")
        assert client.recv(WAIT) == "still here"
    site.wait_for("SystemExit: 3")
    assert site.log.count("SystemExit: 3") == 1


@pytest.mark.parametrize("path", ["/deny", "/broken"])
def test_a_handshake_that_is_not_accepted_is_403(site: Sockets, path: str) -> None:
    with pytest.raises(InvalidStatus) as raised, site.connect(path):
        pass
    assert raised.value.response.status_code == 403


def test_a_page_of_another_site_is_refused(site: Sockets) -> None:
    with (
        pytest.raises(InvalidStatus) as raised,
        site.connect("/echo", origin="http://evil.example"),
    ):
        pass
    assert raised.value.response.status_code == 403
    with site.connect("/echo", origin=f"http://127.0.0.1:{site.port}") as client:
        client.send("own")
        assert client.recv(WAIT) == "own"


def test_the_application_chooses_the_subprotocol(site: Sockets) -> None:
    with site.connect("/protocol", subprotocols=["v1", "v2"]) as client:
        assert client.subprotocol == "v2"


@pytest.mark.parametrize(("asked", "code"), [("", 1000), ("4321", 4321), ("1005", 1011)])
def test_the_application_closes_with_a_last_word(site: Sockets, asked: str, code: int) -> None:
    with site.connect("/close") as client:
        client.send(asked)
        assert client.recv(WAIT) == "bye"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(WAIT)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


def test_the_client_s_close_code_reaches_the_application(site: Sockets) -> None:
    with site.connect("/echo") as client:
        client.close(4567)
    wait_until(lambda: "/echo 4567" in site.disconnects)


def test_a_client_that_is_killed_is_told_to_the_application(site: Sockets) -> None:
    before = site.disconnects.count("/order 1006")
    with socket.create_connection(site.address) as client:
        client.sendall(handshake(site, "/order"))
        assert b"101 Switching" in client.recv(4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
    wait_until(lambda: site.disconnects.count("/order 1006") == before + 1)


def test_a_client_that_does_not_read_is_dropped_and_its_neighbour_gets_everything(
    tmp_path: Path,
) -> None:
    with (
        Sockets(tmp_path / "told", "--ws-max-unsent=100000") as site,
        site.connect("/room") as reader,
        socket.create_connection(site.address) as sleeper,
    ):
        sleeper.sendall(handshake(site, "/room"))
        assert b"101 Switching" in sleeper.recv(4096)
        for number in range(400):
            message = f"{number:06}".ljust(50_000, ".")
            reader.send(message)
            assert reader.recv(WAIT) == message
        wait_until(lambda: "/room 1006" in site.disconnects)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_closes_sockets_with_1012_and_runs_the_disconnect_consumers(
    tmp_path: Path, number: int
) -> None:
    with Sockets(tmp_path / "told", "--drain-timeout=20") as site, ExitStack() as stack:
        paths = ["/echo", "/room", "/slow"]
        clients = [stack.enter_context(site.connect(path)) for path in paths]
        site.signal(number)
        for client in clients:
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(WAIT)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert site.wait() == 0
        assert sorted(site.disconnects) == ["/echo 1012", "/room 1012", "/slow 1012"]
        assert "Traceback" not in site.log


# Encrypted


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of localhost, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "localhost.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.public_bytes(Encoding.PEM)
    )
    return pem


def test_an_encrypted_endpoint_speaks_wss(tmp_path: Path, certificate: Path) -> None:
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={certificate}"
    site = Sockets(tmp_path / "told", f"--endpoint={endpoint}")
    try:
        site.start(until="Listening on ")
        port = int(site.wait_for("Listening on ").rstrip().rstrip("/").rpartition(":")[2])
        with connect(
            f"wss://localhost:{port}/echo",
            sock=socket.create_connection(("127.0.0.1", port)),
            ssl=ssl.create_default_context(cafile=certificate),
            origin=f"https://localhost:{port}",
            compression=None,
            proxy=None,
        ) as client:
            for message in ["hello", "x" * 2**20, b"\xff" * 300_000]:
                client.send(message)
                assert client.recv(WAIT) == message
            client.close(4000)
        wait_until(lambda: site.disconnects == ["/echo 4000"])
        assert site.stop() == 0
        assert "Traceback" not in site.log
    finally:
        site.kill()
