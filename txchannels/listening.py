"""Endpoint strings into listening ports, and their end: connections finish or are dropped."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txchannels.errors import ConfigurationError
from txchannels.lifecycle import Stop, give_up, tell_operator
from txchannels.protocols.access_log import AccessLog
from txchannels.protocols.factory import SiteFactory
from txchannels.protocols.site import Site
from txchannels.settings import Settings

if TYPE_CHECKING:
    from txchannels.layers.interfaces import IReactorLayer

__all__ = ["ServerService", "make_site", "open_access_log", "parse_endpoint"]

log = Logger()

CHECK_SECONDS = 1.0

#: Connections that the system takes before we do; Twisted's 50 are too few for a rush.
BACKLOG = 1024

#: How much of a stop's time connections may have; the rest is for what they send at last.
CONNECTIONS_PART = 0.9

#: And how much until the last socket is told to close: its client must answer, too.
SOCKETS_PART = 0.5

_REMEDIES = {
    errno.EADDRINUSE: "another program listens there; stop it, or listen elsewhere",
    errno.EACCES: "it is not allowed to this user; ports below 1024 need a right of their own",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class ServerService(Service):
    """The listening ports and all connections.

    Args:
        reactor: The reactor.
        endpoints: Twisted server endpoint strings.
        site: What all connections share.
        stop: Bounds how long they may take to end.

    Raises: ConfigurationError: An endpoint is none.
    """

    def __init__(self, reactor: Any, endpoints: tuple[str, ...], site: Site, stop: Stop) -> None:
        self._reactor = reactor
        self._site = site
        self._stop = stop
        self._ports: list[Any] = []
        self._failures: list[ConfigurationError] = []
        self._is_starting = False
        self._endpoints = [(one, parse_endpoint(reactor, one)) for one in endpoints]
        self._is_ending = False
        self._check = LoopingCall(self._check_site)
        self._check.clock = reactor
        self._factory = SiteFactory(site)

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._is_starting = True
        for description, endpoint in self._endpoints:
            listening = maybeDeferred(endpoint.listen, self._factory)
            listening.addCallbacks(
                self._listening,
                self._cannot_listen,
                callbackArgs=(description,),
                errbackArgs=(description,),
            )
        self._is_starting = False
        if self._failures:
            give_up(*self._failures)

    def startService(self) -> None:
        super().startService()
        self._check.start(CHECK_SECONDS, now=False)

    def _check_site(self) -> None:
        self._site.check()
        if self._is_ending:
            self._give_up_receipts()

    def _give_up_receipts(self) -> None:
        """While the layer's server is away, sockets would wait in vain, to the stop's end."""
        if not self._site.can_be_answered:
            self._site.messages_lost()

    def _listening(self, port: Any, description: str) -> None:
        self._ports.append(port)
        # Said when it is true: connections are taken once the reactor runs.
        self._reactor.callWhenRunning(
            log.info, "Listening on {address}", address=_address(port, description)
        )

    def _cannot_listen(self, failure: Failure, description: str) -> None:
        error: Any = failure.value
        reason = getattr(error, "socketError", error)
        remedy = _REMEDIES.get(getattr(reason, "errno", None) or 0)
        text = f"cannot listen there: {str(reason) or repr(reason)}"
        if remedy:
            text += f" ({remedy})"
        problem = ConfigurationError("--endpoint", description, text)
        if self._is_starting:
            self._failures.append(problem)
        else:
            tell_operator(problem)
            self._stop.fail()

    @inlineCallbacks
    def stopService(self) -> Any:
        """Close the ports; let requests end, and sockets a few at a time; drop what is left."""
        super().stopService()
        yield DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        self._site.stop(self._stop.seconds_left(SOCKETS_PART))
        self._is_ending = True
        self._give_up_receipts()
        yield self._stop.wait_until(self._site.close_sockets, SOCKETS_PART)
        self._site.stop()  # those that are left, if a second signal has cut this short
        yield self._stop.wait_until(self._is_done, CONNECTIONS_PART)
        if self._site.connections:
            log.warn("{count} connections are dropped", count=self._site.connections)
            self._site.abort()
        if self._check.running:
            self._check.stop()

    def _is_done(self) -> bool:
        return not self._site.connections and not self._site.late_messages


def parse_endpoint(reactor: Any, description: str) -> Any:
    """The endpoint that *description* names.

    Raises: ConfigurationError: It names none, or one whose files cannot be read.
    """
    kind = description.partition(":")[0]
    more = ""
    if kind in ("tcp", "tcp6", "unix", "ssl") and ":backlog=" not in description:
        more = f":backlog={BACKLOG}"
    try:
        return serverFromString(reactor, description + more)
    except OSError as error:
        raise ConfigurationError("--endpoint", description, f"cannot be used: {error}") from None
    except Exception as error:
        remedy = f"is no Twisted endpoint, as tcp:8000 or unix:/run/site.sock are ({error})"
        if kind == "systemd":
            remedy = f"systemd has passed no such socket: start its socket unit ({error})"
        raise ConfigurationError("--endpoint", description, remedy) from None


def _address(port: Any, description: str) -> str:
    host = port.getHost()
    if hasattr(host, "host"):
        scheme = "https" if description.startswith(("ssl:", "tls:")) else "http"
        name = f"[{host.host}]" if ":" in host.host else host.host
        return f"{scheme}://{name}:{host.port}"
    name = getattr(host, "name", host)
    return f"unix:{name.decode() if isinstance(name, bytes) else name}"


def make_site(
    reactor: Any,
    settings: Settings,
    layer: IReactorLayer,
    access_log: AccessLog | None,
    is_host_allowed: Callable[[str], bool] | None,
) -> Site:
    """What all connections share."""
    return Site(
        settings.http,
        settings.websocket,
        layer,
        clock=reactor.seconds,
        wall_clock=_wall_clock,
        access_log=access_log,
        is_host_allowed=is_host_allowed,
    )


def open_access_log(path: str) -> AccessLog | None:
    """The log that ``--access-log`` names, if it names one.

    Raises: ConfigurationError: It cannot be written.
    """
    if not path:
        return None
    if path == "-":
        return AccessLog(sys.stdout, _local_time)
    file = Path(path).absolute()

    def open_file() -> TextIO:
        return file.open("a", buffering=1, encoding="ascii", errors="backslashreplace")

    try:
        return AccessLog(open_file(), _local_time, open_file)
    except OSError as error:
        raise ConfigurationError("--access-log", path, f"cannot be opened: {error}") from None


def _local_time() -> datetime:
    return datetime.now().astimezone()


def _wall_clock() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
