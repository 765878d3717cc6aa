"""TLS: the server's certificate and name are verified, and the client shows its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.layers.redis.turning import ReactorTestCase, local
from tests.servers import RedisServer, make_certificates
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis.config import Tls


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(certificates):
    with RedisServer("redis", tls=certificates, password="hunter2") as server:
        yield server


@pytest.fixture(scope="module")
def strict_server(certificates):
    with RedisServer("redis", tls=certificates, client_certificates=True) as server:
        yield server


class TestTls(ReactorTestCase):
    """A server that speaks only TLS."""

    @pytest.fixture(autouse=True)
    def _server(self, server, strict_server, certificates, tmp_path):
        self.server, self.strict_server = server, strict_server
        self.files, self.folder = certificates, tmp_path

    def host(self, name="127.0.0.1", server=None, **files):
        tls = Tls(
            **{key: str(path) for key, path in {"ca_file": self.files.ca_file, **files}.items()}
        )
        server = server or self.server
        password = server.password or None
        return local(0, addresses=((name, server.port),), tls=tls, password=password)

    async def test_names_and_addresses_that_the_certificate_has(self):
        for name in ("localhost", "127.0.0.1"):
            connection = await self.connect(self.host(name))
            value = b"\xff" * 1_048_576
            assert await connection.call("ECHO", value, timeout=5) == value
            assert connection.transport.getTcpNoDelay()

    async def test_many_calls_in_one_turn_keep_their_order(self):
        connection = await self.connect(self.host())
        calls = [connection.call("ECHO", number, timeout=5) for number in range(500)]
        for number, call in enumerate(calls):
            assert await call == b"%d" % number

    async def test_a_server_that_goes_fails_its_calls(self):
        with RedisServer("redis", tls=self.files) as server:
            connection = await self.connect(self.host(server=server))
            call = connection.call("BLMPOP", 0, 1, "empty", "LEFT", timeout=None)
            server.kill()
            await self.assertFailure(call, LayerUnavailable)

    async def test_another_authority_than_the_one_that_signed(self):
        host = self.host(ca_file=self.files.other_ca_file)
        line = await self.refusal(ConfigurationError, host)
        assert "shows a certificate that is not trusted" in line

    async def test_the_systems_authorities_did_not_sign(self):
        await self.refusal(ConfigurationError, replace(self.host(), tls=Tls()))

    async def test_a_certificate_for_another_name(self):
        stranger = replace(
            self.files,
            server_cert_file=self.files.stranger_cert_file,
            server_key_file=self.files.stranger_key_file,
        )
        with RedisServer("redis", tls=stranger) as server:
            for name in ("localhost", "127.0.0.1"):
                line = await self.refusal(ConfigurationError, self.host(name, server))
                assert "shows a certificate for another name" in line

    async def test_a_clients_certificate(self):
        host = self.host(
            server=self.strict_server,
            cert_file=self.files.client_cert_file,
            key_file=self.files.client_key_file,
        )
        connection = await self.connect(host)
        assert await connection.call("PING", timeout=5) == b"PONG"

    async def test_a_certificate_and_its_key_in_one_file(self):
        both = self.folder / "both.pem"
        both.write_bytes(
            self.files.client_cert_file.read_bytes() + self.files.client_key_file.read_bytes()
        )
        await self.connect(self.host(server=self.strict_server, cert_file=both))

    async def test_no_certificate_where_the_server_wants_one(self):
        line = await self.refusal(ConfigurationError, self.host(server=self.strict_server))
        assert "wants another client certificate" in line

    async def test_a_server_that_speaks_no_tls(self):
        with RedisServer() as server:
            line = await self.refusal(LayerUnavailable, self.host(server=server), timeout=0.5)
            assert "does it speak TLS?" in line

    async def test_a_server_that_answers_a_handshake_with_something_else(self):
        port, _ = self.listen(b"-ERR unknown command\r\n")
        host = replace(self.host(), addresses=(("127.0.0.1", port),))
        line = await self.refusal(ConfigurationError, host)
        assert "does not speak TLS" in line

    async def test_no_tls_where_the_server_speaks_it(self):
        line = await self.refusal(LayerUnavailable, local(self.server.port))
        assert "if it speaks TLS, the URL is rediss://" in line

    async def test_files_that_cannot_be_used_are_named(self):
        key = load_pem_private_key(self.files.client_key_file.read_bytes(), None)
        locked, text = self.folder / "locked.key", self.folder / "text.pem"
        locked.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        )
        text.write_text("no certificate")
        own = {"cert_file": self.files.client_cert_file}
        for files, words in (
            ({"ca_file": text}, ("ca_file", "holds no certificate")),
            ({"ca_file": self.folder / "missing"}, ("ca_file", "cannot be read")),
            ({"cert_file": text}, ("cert_file", "holds no certificate")),
            ({**own, "key_file": text}, ("key_file", "holds no private key")),
            ({**own, "key_file": locked}, ("key_file", "encrypted")),
            ({**own, "key_file": self.files.server_key_file}, ("key_file", "key values mismatch")),
        ):
            line = await self.refusal(ConfigurationError, self.host(**files))
            assert line.startswith("CONFIG['tls']['")
            for word in words:
                assert word in line
