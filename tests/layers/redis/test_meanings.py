"""What is wrong with a server, in one line, whichever library found it."""

from __future__ import annotations

import errno

import pytest

from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis import meanings
from txchannels.layers.redis.config import Host

HOST = Host(addresses=(("h", 6379),), password="s3cret")
SENTINEL = Host(addresses=(("h", 26379),), service="main", sentinel_password="s3cret")


@pytest.mark.parametrize(
    ("info", "name"),
    [
        (b"redis_version:7.0.0\r\n", "Redis 7.0.0"),
        (b"# Server\r\nredis_version:10.2\r\nrole:master\r\nloading:0\r\n", "Redis 10.2"),
        (b"redis_version:7.2.4\r\nvalkey_version:9.1.2\r\n", "Valkey 9.1.2"),
    ],
)
def test_versions_that_are_new_enough(info, name):
    assert meanings.check_server(info) is None
    assert meanings.name_server(info) == name


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (b"redis_version:6.2.14", "is Redis 6.2.14; Redis 7.0 or newer is needed, or Valkey"),
        (b"redis_version:2.8", "is Redis 2.8;"),
        (b"", "of no version"),
        (b"redis_version:unstable", "is Redis unstable"),
        (b"redis_version:6.\x1b[31m", "is Redis 6.?[31m;"),
        (b"redis_version:7.0.0\r\nredis_mode:sentinel", "is a sentinel"),
        (b"valkey_version:9.1.2\r\nserver_mode:sentinel", "is a sentinel"),
        (7, "does not answer as Redis does"),
    ],
)
def test_a_server_that_can_never_carry_a_layer(info, says):
    meaning = meanings.check_server(info)
    assert says in meaning.says
    assert meaning.lasts


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (b"redis_version:7.0.0\r\nloading:1", "is loading its data"),
        (b"valkey_version:9.1.2\r\nrole:slave", "is a replica and takes no writes"),
    ],
)
def test_a_server_that_cannot_carry_a_layer_now(info, says):
    meaning = meanings.check_server(info)
    assert meaning.says == says
    assert not meaning.lasts


@pytest.mark.parametrize("said", ["NOAUTH x", "WRONGPASS x", "NOPERM x", "ERR invalid password"])
def test_the_login_of_a_sentinel_has_its_own_setting(said):
    for host, setting in ((HOST, "CONFIG['hosts']"), (SENTINEL, "CONFIG['sentinel']")):
        failure = meanings.refused(said, host, at_sentinel=bool(host.service))
        assert isinstance(failure, ConfigurationError)
        assert (failure.setting, failure.value) == (setting, str(host))
        assert "{place}" not in failure.remedy


def test_a_sentinel_that_is_none_is_wrong_in_the_hosts():
    for quote in "'`":
        said = f"ERR unknown command {quote}SENTINEL{quote}"
        failure = meanings.refused(said, SENTINEL, at_sentinel=True)
        assert isinstance(failure, ConfigurationError)
        assert failure.setting == "CONFIG['hosts']"
        assert "a sentinel is in truth a Redis: write redis://" in failure.remedy


@pytest.mark.parametrize("code", ["NOAUTH", "NOPERM", "LOADING", "ERR unknown command", "X"])
def test_what_answers_auth_is_not_shown(code):
    failure = meanings.refused(f"{code} s3cr", HOST, at_login=True)
    assert "s3cr" not in str(failure)


def test_what_else_is_said_is_shown_in_part():
    failure = meanings.refused("WEIRD \x1b\n" + "x" * 500, HOST)
    assert isinstance(failure, LayerUnavailable)
    assert "the server says: WEIRD ??xxx" in str(failure)
    assert len(str(failure)) < 300


def test_the_arguments_of_a_command_are_not_shown():
    said = "ERR unknown command 'FCALL', with args beginning with: 'a message'"
    assert "message" not in str(meanings.refused(said, HOST))
    assert "'FCALL'" in str(meanings.refused(said, HOST))


def test_what_comes_unasked():
    said = "ERR max number of clients reached"
    assert meanings.unasked(said) == "the server has reached its max number of clients"
    assert meanings.unasked("NOAUTH x") == "the server says: NOAUTH x"


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("certificate verify failed", "not trusted"),
        ("tlsv13 alert certificate required", "wants another client certificate"),
        ("TLSV1_ALERT_UNKNOWN_CA", "wants another client certificate"),
        ("tlsv1 alert protocol version", "refuses the handshake"),
        ("WRONG_VERSION_NUMBER", "does not speak TLS"),
        ("packet length too long", "does not speak TLS"),
    ],
)
def test_tls_that_can_never_work(reason, says):
    failure = meanings.tls_failed(reason, HOST)
    assert isinstance(failure, ConfigurationError)
    assert says in failure.remedy


def test_tls_that_may_work_later():
    for reason in ("tlsv1 alert internal error", "TLSV1_ALERT_INTERNAL_ERROR"):
        failure = meanings.tls_failed(reason, HOST)
        assert isinstance(failure, LayerUnavailable)
        assert str(failure).endswith("TLS failed: tlsv1 alert internal error")
    assert "the connection was lost" in str(meanings.tls_failed("", HOST))


def test_what_the_system_says():
    refusal = meanings.system_failed(errno.ECONNREFUSED, HOST)
    assert str(refusal) == "redis://h:6379/0: Connection refused"
    assert "no answer in time" in str(meanings.system_failed(errno.ETIMEDOUT, HOST))
    closed_to_us = meanings.system_failed(errno.EACCES, Host(path="/run/redis.sock"))
    assert isinstance(closed_to_us, ConfigurationError)
