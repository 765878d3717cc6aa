"""Blocking connections to one shard, for every thread and process that is not the reactor's.

- A command is sent once: nothing here sends one again. A connection that the server has
  closed meanwhile is noticed when it is taken from the pool, before it is used.
- Every wait on a socket is bounded.
- A server with TLS is verified, its name too; there is no way to turn that off.
- After a fork the child has a pool of its own.
"""

from __future__ import annotations

import os
import socket
from weakref import WeakKeyDictionary

from txchannels.errors import ConfigurationError, LayerUnavailable

try:
    import redis
except ImportError as error:
    raise ConfigurationError(
        "BACKEND",
        "txchannels.layers.redis.RedisLayer",
        "needs the package redis: pip install redis",
    ) from error

from txchannels.layers.redis import meanings
from txchannels.layers.redis.config import Host
from txchannels.layers.redis.diagnosis import explain
from txchannels.layers.redis.meanings import Failure
from txchannels.layers.redis.pools import COMMAND_SECONDS, CONNECT_SECONDS, as_sent, make_pool

__all__ = [
    "COMMAND_SECONDS",
    "CONNECT_SECONDS",
    "connect",
    "explain",
    "probe",
]

_clients: WeakKeyDictionary[redis.Redis, Host] = WeakKeyDictionary()


def connect(host: Host) -> redis.Redis:
    """A client for *host*, of bytes; it connects when it is first used.

    Raises: ConfigurationError: The files for TLS do not hold what they should.
    Thread: any; the client may be shared by all, also across a fork.
    """
    client = redis.Redis.from_pool(make_pool(host))
    _clients[client] = host
    return client


def probe(host: Host) -> str:
    """Connect to *host* now; its name and version, as ``Redis 7.0.15``.

    Raises:
        ConfigurationError: It can never work.
        LayerUnavailable: It does not work now.
    """
    with connect(host) as client:
        client.set_response_callback("INFO", as_sent)
        try:
            info = client.execute_command("INFO")
        except Exception as error:
            # What the server said may hold a secret; explain() has left that out.
            raise _diagnose(error, host) from None
    why = meanings.check_server(info)
    if why is not None:
        raise meanings.failure(why, host)
    return meanings.name_server(info)


def _diagnose(error: Exception, host: Host) -> Failure:
    failure = explain(error, host)
    passing = isinstance(failure, LayerUnavailable)
    # A Redis without TLS only waits for more of what it does not understand.
    if passing and host.tls is not None and _is_plain(host.addresses[0]):
        return meanings.failure(meanings.NO_TLS, host, at_sentinel=bool(host.service))
    return failure


def _is_plain(address: tuple[str, int]) -> bool:
    """Whether what listens there answers Redis' protocol without TLS."""
    try:
        with socket.create_connection(address, CONNECT_SECONDS) as line:
            line.sendall(b"PING\r\n")
            return line.recv(1) in {b"+", b"-"}
    except OSError:
        return False


def _after_fork() -> None:
    """Give each client another pool: a thread that is not in the child may hold the old's lock."""
    for client, host in list(_clients.items()):
        client.connection_pool = make_pool(host)


os.register_at_fork(after_in_child=_after_fork)
