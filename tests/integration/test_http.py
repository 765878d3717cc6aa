"""HTTP/1.1 as clients see it: a real daemon, its memory, and its views."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect

from tests.integration.daemon import Daemon, wait_until

MEBIBYTE = 2**20
TIMEOUT = 30
STREAMS = "tests.integration.sites.streams"

pytestmark = pytest.mark.slow

gates = (f"gate{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(STREAMS, "--threads=8") as daemon:
        yield daemon
        assert daemon.stop() == 0
    assert "Traceback" not in daemon.log


def ask(daemon: Daemon, path: str) -> bytes:
    connection = HTTPConnection(*daemon.address, timeout=TIMEOUT)
    connection.request("GET", path)
    with connection.getresponse() as response:
        assert response.status == 200
        body = response.read()
    connection.close()
    return body


def dial(daemon: Daemon, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(TIMEOUT)
    client.connect(daemon.address)
    return client


def read_all(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65_536):
        data += piece
    return data


class Memory:
    """The most that the daemon has grown while it is looked at."""

    def __init__(self, daemon: Daemon) -> None:
        ask(daemon, "/")
        self.daemon = daemon
        self.idle = daemon.rss
        self.grown = 0

    def look(self) -> None:
        self.grown = max(self.grown, self.daemon.rss - self.idle)


def test_each_part_of_a_stream_arrives_when_it_is_yielded(daemon: Daemon) -> None:
    gate = next(gates)
    connection = HTTPConnection(*daemon.address, timeout=TIMEOUT)
    connection.request("GET", f"/parts/{gate}")
    with connection.getresponse() as response:
        assert response.read(3) == b"one"
        ask(daemon, f"/open/{gate}")
        assert response.read() == b"two"
    connection.close()


def test_a_slow_reader_of_a_large_download_costs_no_memory(daemon: Daemon) -> None:
    memory = Memory(daemon)
    with dial(daemon, 65_536) as client:
        client.sendall(b"GET /download/1024 HTTP/1.1\r\nHost: a\r\n\r\n")
        pace = threading.Event()
        for _ in range(30):  # a client of 1 MB/s
            left = 100_000
            while left:
                left -= len(client.recv(left))
            memory.look()
            pace.wait(0.1)
    assert memory.grown < 32 * MEBIBYTE


def test_a_large_download_arrives_whole_and_costs_no_memory(daemon: Daemon) -> None:
    memory = Memory(daemon)
    with dial(daemon) as client:
        client.sendall(b"GET /download/256 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        size = 0
        while piece := client.recv(MEBIBYTE):
            size += piece.count(b"x")
            memory.look()
    assert size >= 256 * MEBIBYTE
    assert memory.grown < 32 * MEBIBYTE


def test_the_views_iterator_is_closed_when_the_client_goes_away(daemon: Daemon) -> None:
    before = int(ask(daemon, "/count/closed"))
    with dial(daemon, 65_536) as client:
        client.sendall(b"GET /download/1024 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(1000)
    wait_until(lambda: int(ask(daemon, "/count/closed")) == before + 1)


def test_a_large_upload_to_a_slow_view_costs_no_memory(daemon: Daemon) -> None:
    memory = Memory(daemon)
    gate = next(gates)
    size = 400 * MEBIBYTE
    sent = 0
    piece = b"x" * MEBIBYTE
    with dial(daemon) as client:
        head = f"POST /upload/{gate} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n"
        client.sendall(f"{head}Connection: close\r\n\r\n".encode())
        client.settimeout(1.0)
        try:
            while sent < size:
                sent += client.send(piece[: size - sent])
                memory.look()
        except TimeoutError:
            pass  # the daemon takes no more while the view reads no more
        assert sent < 64 * MEBIBYTE
        assert memory.grown < 32 * MEBIBYTE
        ask(daemon, f"/open/{gate}")
        client.settimeout(TIMEOUT)
        while sent < size:
            sent += client.send(piece[: size - sent])
            memory.look()
        body = read_all(client).partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"size": size}
    assert memory.grown < 32 * MEBIBYTE


def test_an_upload_goes_to_the_disk_through_the_sites_handlers(daemon: Daemon) -> None:
    memory = Memory(daemon)
    size = 200 * MEBIBYTE
    start = (
        b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nLarge\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\nhead"
    )
    end = b"tail\r\n--b--\r\n"
    total = len(start) + size - 8 + len(end)
    connection = HTTPConnection(*daemon.address, timeout=TIMEOUT)
    connection.putrequest("POST", "/multipart")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(total))
    connection.endheaders(start)
    piece = b"x" * MEBIBYTE
    left = size - 8
    while left:
        connection.send(piece[:left])
        left -= min(left, MEBIBYTE)
        memory.look()
    connection.send(end)
    with connection.getresponse() as response:
        told = json.load(response)
    connection.close()
    assert told == {
        "size": size,
        "kind": "TemporaryUploadedFile",
        "handled": size,
        "title": "Large",
        "edges": ["head", "tail"],
    }
    assert memory.grown < 32 * MEBIBYTE


def test_a_refused_upload_is_answered_while_it_is_sent(daemon: Daemon) -> None:
    with dial(daemon) as client:
        client.sendall(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        client.sendall(b"x" * 20_000_000)
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert body == b"no"


def test_a_body_that_is_too_large_is_refused_while_it_is_sent(daemon: Daemon) -> None:
    with dial(daemon) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n")
        client.sendall(b"x" * 20_000_000)
        assert read_all(client).startswith(b"HTTP/1.1 413 ")


def test_neighbours_notice_nothing_of_garbage(daemon: Daemon) -> None:
    gate = next(gates)
    connection = HTTPConnection(*daemon.address, timeout=TIMEOUT)
    connection.request("GET", f"/parts/{gate}")
    response = connection.getresponse()
    for garbage in (b"\x16\x03\x01\0", b"GET", b"\0" * 100_000, b"GET / HTTP/1.1\r\nHost: a\r\n"):
        with dial(daemon) as client:
            client.sendall(garbage)
    ask(daemon, f"/open/{gate}")
    assert response.read() == b"onetwo"
    connection.close()


def test_a_slow_reader_gets_the_whole_of_the_last_answer(daemon: Daemon) -> None:
    """The system holds what was written last; closing must not make it forget that."""
    ask(daemon, "/")
    before = set(daemon.open_files)
    with dial(daemon, 4096) as client:
        client.sendall(b"GET /bytes/60000 HTTP/1.0\r\n\r\n")
        client.recv(1)
        wait_until(lambda: before.issuperset(daemon.open_files))  # it has closed its socket
        assert read_all(client).endswith(b"x" * 60_000)


def test_over_capacity_is_answered_503_with_retry_after() -> None:
    with (
        Daemon("tests.integration.sites.narrow", "--threads=1") as daemon,
        ThreadPoolExecutor() as pool,
    ):
        running = pool.submit(ask, daemon, "/wait/busy")
        statuses: list[HTTPResponse] = []

        def is_refused() -> bool:
            connection = HTTPConnection(*daemon.address, timeout=0.5)
            try:
                connection.request("GET", "/wait/busy")
                statuses.append(connection.getresponse())
            except TimeoutError:
                return False  # this one waits for the thread: its place is taken now
            finally:
                connection.close()
            return True

        wait_until(is_refused)
        assert (statuses[0].status, statuses[0].getheader("Retry-After")) == (503, "1")
        daemon.kill()
        assert running.exception(TIMEOUT) is not None


# Other transports


@contextmanager
def serve(until: str, *options: str) -> Iterator[Daemon]:
    """A daemon whose log says *until* when it listens; it must stop well."""
    daemon = Daemon(STREAMS, *options).start(until)
    try:
        yield daemon
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    assert "Traceback" not in daemon.log


def test_a_unix_socket_is_served(tmp_path: Path) -> None:
    place = tmp_path / "site.sock"
    with (
        serve("Listening on unix:", f"--unix-socket={place}"),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(TIMEOUT)
        client.connect(str(place))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read_all(client).endswith(b"Hello, nobody, http!")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-made certificate of localhost, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture(scope="module")
def encrypted(certificate: Path) -> Iterator[Daemon]:
    options = f"privateKey={certificate}:certKey={certificate}"
    endpoint = f"--endpoint=ssl:port=0:interface=127.0.0.1:{options}"
    with serve("Listening on ", endpoint) as daemon:
        line = daemon.wait_for("Listening on ")
        daemon.port = int(line.rstrip().rstrip("/").rpartition(":")[2])
        yield daemon


@pytest.fixture(scope="module")
def trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@contextmanager
def ask_encrypted(daemon: Daemon, trust: ssl.SSLContext, path: str) -> Iterator[HTTPResponse]:
    connection = HTTPSConnection("localhost", daemon.port, timeout=TIMEOUT, context=trust)
    connection.request("GET", path)
    with connection.getresponse() as response:
        yield response
    connection.close()


def test_tls_is_served(encrypted: Daemon, trust: ssl.SSLContext) -> None:
    with ask_encrypted(encrypted, trust, "/") as response:
        assert response.read() == b"Hello, 127.0.0.1, https!"


def test_a_client_that_says_what_it_speaks_is_served(encrypted: Daemon, certificate: Path) -> None:
    """As every browser does (RFC 7301)."""
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with ask_encrypted(encrypted, trust, "/") as response:
        assert response.read() == b"Hello, 127.0.0.1, https!"


def test_a_slow_reader_over_tls_costs_no_memory(encrypted: Daemon, trust: ssl.SSLContext) -> None:
    with ask_encrypted(encrypted, trust, "/") as response:
        response.read()
    idle = encrypted.rss
    with ask_encrypted(encrypted, trust, "/download/200") as response:
        size = 0
        grown = 0
        pace = threading.Event()
        for _ in range(10):
            size += len(response.read(100_000))
            grown = max(grown, encrypted.rss - idle)
            pace.wait(0.1)
        while piece := response.read(MEBIBYTE):
            size += len(piece)
            grown = max(grown, encrypted.rss - idle)
    assert size == 200 * MEBIBYTE
    assert grown < 32 * MEBIBYTE


def test_an_upload_over_tls_arrives(encrypted: Daemon, trust: ssl.SSLContext) -> None:
    gate = next(gates)
    size = 50 * MEBIBYTE
    with ask_encrypted(encrypted, trust, f"/open/{gate}") as response:
        response.read()
    connection = HTTPSConnection("localhost", encrypted.port, timeout=TIMEOUT, context=trust)
    connection.request("POST", f"/upload/{gate}", body=b"x" * size)
    with connection.getresponse() as response:
        assert json.load(response) == {"size": size}
    connection.close()


def test_a_websocket_over_tls_is_handed_over(encrypted: Daemon, trust: ssl.SSLContext) -> None:
    url = f"wss://localhost:{encrypted.port}/"
    with connect(url, ssl=trust, origin=f"https://localhost:{encrypted.port}") as client:
        client.send("over TLS")
        assert client.recv(TIMEOUT) == "over TLS"
