"""Blocking connections, against real servers and against some that are none."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.layers.redis.probing import Answering, away, read_host, wrong
from tests.servers import (
    Cuttable,
    RedisServer,
    free_port,
    make_certificates,
)
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.layers.redis import dial
from txchannels.layers.redis.config import Host


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server():
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize(("program", "name"), [("redis", "Redis 7"), ("valkey", "Valkey ")])
def test_a_probe_tells_the_name_and_the_version(program, name):
    with RedisServer(program) as server:
        assert dial.probe(read_host(server.url)).startswith(name)


def test_a_unix_socket_a_user_and_a_database():
    acl = ["user ann on >s3/cret ~* &* +@all"]
    with RedisServer(unix=True, acl=acl) as server:
        host = read_host(f"unix://ann:s3%2Fcret@{server.path}?db=3")
        with dial.connect(host) as client:
            assert client.execute_command("ACL", "WHOAMI") == b"ann"
            assert client.client_info()["db"] == 3


def test_what_goes_in_and_comes_out_is_bytes(server):
    with dial.connect(read_host(server.url)) as client:
        client.set("key", b"\xff\x00")
        assert client.get("key") == b"\xff\x00"
        assert client.keys() == [b"key"]


def test_a_command_whose_answer_is_lost_is_not_sent_again():
    with Answering(None) as server:
        client = dial.connect(Host(addresses=(("127.0.0.1", server.port),)))
        with client, pytest.raises(redis.ConnectionError):
            client.set("key", 1)
        with client, client.pipeline() as pipeline, pytest.raises(redis.ConnectionError):
            pipeline.set("key", 2).execute()
    sent = b"".join(server.read)
    assert (sent.count(b"$1\r\n1\r\n"), sent.count(b"$1\r\n2\r\n")) == (1, 1)


@pytest.mark.parametrize("kind", ["redis", "valkey", "unix", "tls"])
def test_a_server_that_was_started_again_is_used_without_an_error(kind, certificates):
    program = kind if kind == "valkey" else "redis"
    tls = certificates if kind == "tls" else None
    with RedisServer(program, unix=kind == "unix", tls=tls) as server:
        url = f"unix://{server.path}" if kind == "unix" else server.url
        host = read_host(url, tls={"ca_file": certificates.ca_file} if tls else None)
        with dial.connect(host) as client:
            for number in range(5):
                assert client.incr("key") == 1, number
                server.restart()
            assert client.get("key") is None


def test_a_connection_that_was_cut_while_idle_is_not_used(server):
    with (
        Cuttable(server.port) as line,
        dial.connect(read_host(f"redis://localhost:{line.port}")) as client,
    ):
        client.set("key", 0)
        for number in range(1, 4):
            line.cut()
            line.mend()
            assert client.incr("key") == number


def test_a_server_that_hangs_is_waited_for_within_bounds(server, monkeypatch):
    monkeypatch.setattr("txchannels.layers.redis.pools.COMMAND_SECONDS", 2.0)
    with dial.connect(read_host(server.url)) as client:
        client.set("key", 1)
        server.pause()
        with pytest.raises(redis.TimeoutError) as caught:
            client.incr("key")
        server.resume()
        # The late answer is not taken for that of the next command.
        assert client.echo("next") == b"next"
    assert isinstance(dial.explain(caught.value, read_host(server.url)), LayerUnavailable)


def test_threads_share_a_client(server):
    with dial.connect(read_host(server.url)) as client:

        def count(_):
            return [client.incr("key") for _ in range(50)]

        with ThreadPoolExecutor(16) as threads:
            numbers = [number for some in threads.map(count, range(16)) for number in some]
    assert sorted(numbers) == list(range(1, 801))


def _in_child(client, answers):
    answers.put([(os.getpid(), client.incr("key"), client.client_id()) for _ in range(20)])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_client_is_safe_across_forks(server):
    fork = multiprocessing.get_context("fork")
    with dial.connect(read_host(server.url)) as client:
        connection = client.client_id()
        answers = fork.SimpleQueue()
        # As if another thread had the pool's lock in its hands when the process forks.
        with client.connection_pool._lock:
            children = [fork.Process(target=_in_child, args=(client, answers)) for _ in range(3)]
            taken = threading.Thread(target=lambda: [child.start() for child in children])
            taken.start()
            taken.join()
        seen = [one for _ in children for one in answers.get()]
        for child in children:
            child.join(30)
            assert child.exitcode == 0
        assert sorted(number for _, number, _ in seen) == list(range(1, 61))
        assert connection not in {its for _, _, its in seen}
        assert client.client_id() == connection
        assert client.incr("key") == 61


def test_login_errors_name_the_setting():
    acl = ["user ann on >s3cret ~* &* +@all -info"]
    with RedisServer("redis", password="s3cret1", acl=acl) as server:
        port = server.port
        assert "asks for a password" in wrong(f"redis://localhost:{port}").remedy
        assert "refuses the user" in wrong(f"redis://:s3cret2@localhost:{port}").remedy
        assert "refuses the user" in wrong(f"redis://eve:s3cret1@localhost:{port}").remedy
        assert "'info' command" in wrong(f"redis://ann:s3cret@localhost:{port}").remedy
        assert "no such database" in wrong(f"redis://:s3cret1@localhost:{port}/99").remedy


def test_a_server_that_describes_itself_by_a_number_is_none():
    with Answering(b":1\r\n") as server:
        remedy = wrong(f"redis://localhost:{server.port}").remedy
        assert "does not answer as Redis does" in remedy


def test_a_password_where_none_is_set_is_told(server):
    assert "has no password" in wrong(f"redis://:s3cret@localhost:{server.port}").remedy


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer as Redis does"),
        (b"220 mail.example ESMTP\r\n", "does not answer as Redis does"),
        (b":1\r\n", "does not answer as Redis does"),
        (b"-ERR unknown command 'AUTH', with args beginning with: 's3cret'\r\n", "lacks a command"),
        (b"-ERR no 's3cret', unknown command\r\n", "lacks a command"),
        (b"-DENIED Redis is running in protected mode\r\n", "in protected mode"),
        (b"-MOVED 3999 127.0.0.1:6381\r\n", "Redis Cluster"),
        (b"-NOPERM this user has no permissions\r\n", "refuses the user a right"),
    ],
)
def test_a_server_that_cannot_be_used_is_told(answer, remedy):
    with Answering(answer) as server:
        assert remedy in wrong(f"redis://:s3cret@localhost:{server.port}").remedy


@pytest.mark.parametrize(
    "answer",
    [
        b"-ERR unknown command 'AUTH', with args beginning with: 's3cret'\r\n",
        b"-NOPERM 's3cr\r\n",
        b"-BUSY s3cr\r\n",
        b"-LOADING s3cr\r\n",
        b"-WRONGPASS s3cr\r\n",
        b"-s3cr\r\n",
    ],
)
def test_what_answers_auth_is_never_shown(answer):
    with Answering(answer) as server:
        with pytest.raises((ConfigurationError, LayerUnavailable)) as caught:
            dial.probe(read_host(f"redis://:s3cret@localhost:{server.port}"))
        assert "s3cr" not in str(caught.value)
        sentinel = f"sentinel://:other@localhost:{server.port}/main"
        with pytest.raises((ConfigurationError, LayerUnavailable)) as caught:
            dial.probe(read_host(sentinel, sentinel={"password": "s3cret"}))
        assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "is loading its data"),
        (b"-READONLY You can't write against a read only replica.\r\n", "is a replica"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "without its master"),
        (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "out of memory"),
        (b"-BUSY Redis is busy running a script.\r\n", "busy with a script"),
        (b"-ERR max number of clients reached\r\n", "max number of clients"),
        (None, "closed the connection"),
    ],
)
def test_what_may_pass_is_told(answer, reason):
    with Answering(answer) as server:
        assert reason in away(f"redis://localhost:{server.port}")


def test_a_server_that_is_not_there_may_come():
    assert "Connection refused" in away(f"redis://localhost:{free_port()}")
    assert "No such file" in away("unix:///no/such/redis.sock")
    assert "cannot be resolved" in away("redis://no-such-host.invalid")


def test_a_name_that_cannot_be_one_is_told():
    for name in ("x" * 300, "a..b"):
        assert "a host's name that is not legal" in wrong(f"redis://{name}").remedy


def test_what_is_explained_already_stays():
    host = read_host("redis://h")
    for error in (LayerUnavailable("x"), ConfigurationError("y", None, "z")):
        assert dial.explain(error, host) is error


def test_a_probe_tells_which_server_is_too_old():
    with Answering(b"$21\r\nredis_version:6.2.7\r\n\r\n") as server:
        assert "6.2.7" in wrong(f"redis://localhost:{server.port}").remedy


def test_a_probe_tells_that_a_server_is_a_replica(server):
    with RedisServer(config=[f"replicaof 127.0.0.1 {server.port}"]) as replica:
        assert "the server is a replica" in away(f"redis://localhost:{replica.port}")


def test_no_secret_is_in_what_a_client_shows(server):
    login = {"password": "s3cret2"}
    for url in ("redis://ann:s3cret@h", "unix://:s3cret@/x", "sentinel://:s3cret@h/main"):
        host = read_host(url, sentinel=login if "main" in url else None)
        with dial.connect(host) as client:
            assert "s3cret" not in f"{client!r} {client.connection_pool!r} {host!r} {host}"


def test_without_redis_py_the_package_is_named():
    program = "import sys; sys.modules['redis'] = None; import txchannels.layers.redis.dial"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert "pip install redis" in done.stderr
    assert "ConfigurationError: BACKEND" in done.stderr
