"""Blocking connections over TLS: what is verified, and what is said when it fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.layers.redis.probing import Answering, away, read_host, wrong
from tests.servers import (
    RedisServer,
    make_certificates,
)
from txchannels.errors import ConfigurationError
from txchannels.layers.redis import dial


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_tls_with_its_own_authority_and_a_client_certificate(certificates):
    tls = {
        "ca_file": certificates.ca_file,
        "cert_file": certificates.client_cert_file,
        "key_file": certificates.client_key_file,
    }
    with RedisServer(tls=certificates, client_certificates=True) as server:
        for _ in range(5):  # a session ticket may come at any moment
            assert dial.probe(read_host(server.url, tls=tls)).startswith("Redis")
        without = wrong(server.url, tls={"ca_file": certificates.ca_file})
        assert "CONFIG['tls']['cert_file']" in without.remedy


def test_a_certificate_of_another_authority_is_refused(certificates):
    with RedisServer(tls=certificates) as server:
        assert "not trusted" in wrong(server.url).remedy
        other = {"ca_file": certificates.other_ca_file}
        assert "not trusted" in wrong(server.url, tls=other).remedy


def test_a_certificate_for_another_name_is_refused(certificates):
    stranger = replace(
        certificates,
        server_cert_file=certificates.stranger_cert_file,
        server_key_file=certificates.stranger_key_file,
    )
    tls = {"ca_file": certificates.ca_file}
    with RedisServer(tls=stranger) as server:
        for place in ("localhost", "127.0.0.1"):
            assert "another name" in wrong(f"rediss://{place}:{server.port}", tls=tls).remedy


def test_tls_to_a_server_without_it_is_told():
    with RedisServer("redis", password="s3cret") as server:
        assert "does not speak TLS" in wrong(f"rediss://localhost:{server.port}").remedy
    with Answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as other:
        assert "does not speak TLS" in wrong(f"rediss://localhost:{other.port}").remedy


def test_no_tls_to_a_server_with_it_has_a_hint(certificates):
    with RedisServer(tls=certificates) as server:
        assert "rediss://" in away(f"redis://localhost:{server.port}")


def test_files_that_are_no_certificates_are_refused(certificates):
    host = read_host("rediss://h", tls={"ca_file": certificates.server_key_file})
    with pytest.raises(ConfigurationError, match="PEM") as caught:
        dial.connect(host)
    assert caught.value.setting == "CONFIG['tls']"
