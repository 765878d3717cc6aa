"""Pools of blocking connections, as redis-py has them, each to the server that a `Host` names.

redis-py would send a command again after an error; here it may not. It would trust the
system's authorities beside the site's own; here only those that the site named. It would wait
at each step for its own time; here all steps of a call share one (`patience`).

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from typing import Any

import redis
from redis._parsers import _RESP2Parser
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry
from redis.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
)

from txchannels.errors import ConfigurationError
from txchannels.layers.redis import patience
from txchannels.layers.redis.config import Host, Tls

__all__ = [
    "COMMAND_SECONDS",
    "CONNECT_SECONDS",
    "LoginError",
    "SentinelError",
    "as_sent",
    "make_pool",
]

CONNECT_SECONDS = 2.0
COMMAND_SECONDS = 5.0
_ASK = "SENTINEL GET-MASTER-ADDR-BY-NAME"
_ASK_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 15.0  # when no sentinel answered
_MAX_CONNECTIONS = 1000  # one a thread that sends at the same moment


class LoginError(redis.AuthenticationError):
    """AUTH was refused; only its cause has what the server said, which may quote the password."""


class SentinelError(redis.ConnectionError):
    """A sentinel did not say where the master is; its cause tells why."""


class _Patient:
    """What a connection waits with: for no longer than its caller has time."""

    _connect_seconds = CONNECT_SECONDS
    _seconds = COMMAND_SECONDS

    def _connect_left(self) -> float:
        return patience.left(self._connect_seconds)

    def _set_connect(self, seconds: float) -> None:
        self._connect_seconds = seconds

    def _left(self) -> float:
        return patience.left(self._seconds)

    def _set(self, seconds: float) -> None:
        self._seconds = seconds

    #: redis-py looks at them each time that it waits; to mypy they are the attributes they were.
    socket_connect_timeout: Any = property(_connect_left, _set_connect)
    socket_timeout: Any = property(_left, _set)

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        sock: socket.socket | None = self._sock  # type: ignore[attr-defined]
        if sock is not None:
            sock.settimeout(self.socket_timeout)
        super().send_packed_command(*args, **kwargs)  # type: ignore[misc]

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("timeout", self.socket_timeout)
        return super().read_response(*args, **kwargs)  # type: ignore[misc]


class _PlainConnection(_Patient, Connection):
    """A connection over TCP."""


class _UnixConnection(_Patient, UnixDomainSocketConnection):
    """A connection to a socket in the file system."""


class _Verifying(SSLConnection):
    """A connection over TLS; files that were renewed count from the next one."""

    def __init__(self, *, tls: Tls, **kwargs: Any) -> None:
        self._tls = tls
        # Should redis-py ever make its own context, it verifies, too. Its parser around
        # hiredis takes a session ticket of TLS 1.3 for an unread reply, and fails.
        super().__init__(
            ssl_cert_reqs="required", ssl_check_hostname=True, parser_class=_RESP2Parser, **kwargs
        )

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        try:
            sock.settimeout(patience.left(CONNECT_SECONDS))
            wrapped = _context(self._tls).wrap_socket(sock, server_hostname=self.host)
            wrapped.settimeout(patience.left(COMMAND_SECONDS))
            return wrapped
        except ConfigurationError:
            sock.close()
            raise


class _TlsConnection(_Patient, _Verifying):
    """The same, and patient."""


class _WatchedConnection(_Patient, SentinelManagedConnection):
    """A connection to whatever the sentinels call the master."""


class _WatchedTlsConnection(_Patient, SentinelManagedConnection, _Verifying):
    """The same over TLS."""


def as_sent(reply: object, **_: object) -> object:
    """A reply, in the place of what redis-py makes of it."""
    return reply


def make_pool(host: Host) -> redis.ConnectionPool:
    """A pool for *host*; it connects when it is first used.

    Raises: ConfigurationError: The files for TLS do not hold what they should.
    """
    kwargs = {
        **_kwargs(),
        "username": host.username,
        "password": host.password,
        "redis_connect_func": partial(_become_ready, db=host.db, at_master=bool(host.service)),
    }
    secured = {} if host.tls is None else {"tls": host.tls}
    if host.tls is not None:
        _context(host.tls)  # what is wrong with the files is told now
    if host.path:
        return redis.ConnectionPool(_UnixConnection, path=host.path, **kwargs)
    if host.service:
        return _WatchedPool(
            host.service,
            _Sentinels(host, secured),
            connection_class=_WatchedTlsConnection if secured else _WatchedConnection,
            **kwargs,
            **secured,
        )
    address, port = host.addresses[0]
    return _tcp_pool(address, port, {**kwargs, **secured})


def _kwargs() -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": COMMAND_SECONDS,
        # At most once: whether a command was carried out is not known after an error.
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        # No CLIENT SETINFO with each connection.
        "driver_info": None,
        "max_connections": _MAX_CONNECTIONS,
    }


def _tcp_pool(address: str, port: int, kwargs: dict[str, Any]) -> redis.ConnectionPool:
    kind = _TlsConnection if "tls" in kwargs else _PlainConnection
    return redis.ConnectionPool(kind, host=address, port=port, **kwargs)


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "CONFIG['tls']",
            [name for name in (tls.ca_file, tls.cert_file, tls.key_file) if name],
            f"must be files in PEM, the key that of the certificate, without a passphrase: {error}",
        ) from None
    return context


def _no_passphrase() -> str:
    """Called for a key that is encrypted, where OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


class _WatchedPool(SentinelConnectionPool):
    """Asks the sentinels now and then, also while its connections work.

    After a fail-over that was asked for, or behind a network that fell apart, the old master
    takes writes for some ten seconds, and all are lost.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ask_at = time.monotonic() + _ASK_SECONDS

    def get_connection(self, *args: Any, **kwargs: Any) -> Connection:
        now = time.monotonic()
        if now >= self._ask_at:
            # One thread asks; the others do not wait for it.
            self._ask_at = now + _ASK_AGAIN_SECONDS
            try:
                with patience.share(2):
                    self.get_master_address()
                self._ask_at = now + _ASK_SECONDS
            except redis.RedisError:
                pass  # the master may well be there without them
        return super().get_connection(*args, **kwargs)


class _Sentinels(Sentinel):
    """Asks the sentinels where the master is, the one first that answered last.

    No connection to a sentinel outlives its question.
    """

    def __init__(self, host: Host, secured: dict[str, Any]) -> None:
        super().__init__([])
        self._addresses = list(host.addresses)
        self._login = {
            **_kwargs(),
            "socket_timeout": CONNECT_SECONDS,
            "username": host.sentinel_username,
            "password": host.sentinel_password,
            "redis_connect_func": _log_in,
            **secured,
        }

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Where the master of the service is.

        Raises:
            MasterNotFoundError: The sentinels know no such service.
            SentinelError: None could be asked.
        """
        failures: list[Exception] = []
        for asked, address in enumerate(list(self._addresses)):
            try:
                with patience.share(len(self._addresses) - asked + 1):  # and one for the master
                    found = self._ask(address, service_name)
            except redis.RedisError as error:
                failures.append(error)
                continue
            if found is not None:
                self._addresses.sort(key=lambda one: one != address)
                return found
        if len(failures) * 2 < len(self._addresses):
            raise MasterNotFoundError(f"the sentinels know no service {service_name!r}")
        # One that can be reached and refuses has more to say than one that cannot.
        telling = [one for one in failures if not _is_network(one)] or failures
        raise SentinelError("no sentinel could be asked") from telling[0]

    def _ask(self, address: tuple[str, int], service: str) -> tuple[str, int] | None:
        with redis.Redis.from_pool(_tcp_pool(*address, self._login)) as client:
            client.set_response_callback(_ASK, as_sent)
            found = client.execute_command(_ASK, service)
        if found is None:
            return None
        try:
            name, port = found
            return name.decode(), int(port)
        except (TypeError, ValueError, AttributeError):
            raise redis.InvalidResponse("what it says is no address") from None


def _is_network(error: Exception) -> bool:
    refused = isinstance(error, redis.AuthenticationError)
    return isinstance(error, redis.ConnectionError | redis.TimeoutError) and not refused


def _become_ready(connection: Connection, *, db: int, at_master: bool) -> None:
    """Log in, choose the database, and see that this is a master where that has to be.

    Sentinels may not know yet that the server they name is none any more.
    """
    _log_in(connection)
    if db:
        connection.send_command("SELECT", db)
        connection.read_response()
    if at_master:
        connection.send_command("ROLE")
        role = connection.read_response()
        if role[0] != b"master":
            raise redis.ReadOnlyError("the sentinels name a replica", status_code="READONLY")


def _log_in(connection: Connection) -> None:
    """What redis-py does with a connection that has no database: AUTH, and nothing else."""
    try:
        connection.on_connect()
    except (redis.ResponseError, redis.AuthenticationError) as error:
        raise LoginError("AUTH was refused") from error
