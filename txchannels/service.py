"""The composition root: builds the rooms, joins them, orders their start and stop.

Start: layer, workers, servers. Stop, the other way: accept nothing more, finish running
requests and close sockets with 1012, run what they still send, end the threads.
"""

from __future__ import annotations

import gc
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from txchannels.django.bootstrap import LoadedSite, load_layer, load_settings
from txchannels.errors import ConfigurationError
from txchannels.lifecycle import OrderedService
from txchannels.options import build_settings
from txchannels.protocols.access_log import AccessLog
from txchannels.protocols.factory import SiteFactory
from txchannels.protocols.site import Site
from txchannels.settings import Settings
from txchannels.workers.pool import Pool

__all__ = ["Daemon", "build"]

log = Logger()

CHECK_SECONDS = 1.0
SWEEP_SECONDS = 5.0
POLL_SECONDS = 0.02


class LayerService(Service):
    """Keeps the layer clean: drops what has expired."""

    def __init__(self, reactor: Any, layer: Any) -> None:
        self._sweep = LoopingCall(layer.sweep)
        self._sweep.clock = reactor

    def startService(self) -> None:
        super().startService()
        self._sweep.start(SWEEP_SECONDS, now=False)

    def stopService(self) -> None:
        super().stopService()
        self._sweep.stop()


class WorkerService(Service):
    """The thread pool. Stopping it waits until all that was sent to it is done."""

    def __init__(self, reactor: Any, layer: Any, pool: Pool, site: LoadedSite, stop: Stop) -> None:
        self._reactor = reactor
        self._layer = layer
        self._pool = pool
        self._site = site
        self._stop = stop

    def startService(self) -> None:
        super().startService()
        self._site.ready()
        self._pool.start(self._layer.subscribe, self._site.channels)

    @inlineCallbacks
    def stopService(self) -> Any:
        super().stopService()
        yield self._stop.wait_until(lambda: self._pool.is_idle)
        self._report_running()
        self._pool.stop()
        yield self._stop.wait_until(lambda: not self._pool.threads)

    def _report_running(self) -> None:
        """Say which consumers are given up, and where they are."""
        frames = sys._current_frames()
        for name, channel, thread in self._pool.running():
            stack = "".join(traceback.format_stack(frames[thread])) if thread in frames else ""
            log.error(
                "{thread} is still running a message of {channel}; given up\n{stack}",
                thread=name,
                channel=channel,
                stack=stack,
            )


class ServerService(Service):
    """The listening ports and all connections."""

    def __init__(self, reactor: Any, settings: Settings, site: Site, stop: Stop) -> None:
        self._reactor = reactor
        self._site = site
        self._stop = stop
        self._ports: list[Any] = []
        self._endpoints = [(one, _endpoint(reactor, one)) for one in settings.endpoints]
        self._check = LoopingCall(site.check)
        self._check.clock = reactor
        self._factory = SiteFactory(site)

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        for description, endpoint in self._endpoints:
            listening = maybeDeferred(endpoint.listen, self._factory)
            listening.addCallbacks(self._listening, self._cannot_listen, errbackArgs=(description,))

    def startService(self) -> None:
        super().startService()
        self._check.start(CHECK_SECONDS, now=False)

    def _listening(self, port: Any) -> None:
        self._ports.append(port)
        log.info("Listening on {address}", address=_url(port))

    def _cannot_listen(self, failure: Failure, description: str) -> None:
        error = failure.value
        reason = getattr(error, "socketError", error)
        known = isinstance(error, CannotListenError | OSError)
        what = f"cannot listen there: {reason}" if known else f"cannot listen there: {error!r}"
        message = f"txchannels: {ConfigurationError('--endpoint', description, what)}"
        if not self._reactor.running:
            raise SystemExit(message)
        log.critical("{message}", message=message)
        self._stop.fail()

    @inlineCallbacks
    def stopService(self) -> Any:
        super().stopService()
        yield DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        self._site.stop()
        yield self._stop.wait_until(
            lambda: not self._site.connections and not self._site.late_messages
        )
        if self._site.connections:
            log.warn("{count} connections are dropped", count=self._site.connections)
            self._site.abort()
        self._check.stop()


class Stop:
    """How the daemon ends: by signals, in bounded time.

    Args:
        reactor: The reactor.
        seconds: How long a stop may take, all its steps together.
    """

    def __init__(self, reactor: Any, seconds: float) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._until: float | None = None
        self._exit_code = 0

    def install(self) -> None:
        """Take SIGTERM and SIGINT, once the reactor has set its own handlers."""
        self._reactor.callWhenRunning(self._take_signals)

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: Any) -> None:
        self._reactor.callFromThread(self._asked, signal.Signals(number).name)

    def _asked(self, name: str) -> None:
        if self._until is None:
            log.info(
                "{name}: stopping, within {seconds:g} s; once more stops now",
                name=name,
                seconds=self._seconds,
            )
            self.begin()
            self._reactor.stop()
        else:
            log.info("{name}: stopping now", name=name)
            self._until = self._reactor.seconds()

    def begin(self) -> None:
        """Start the time that a stop may take."""
        if self._until is None:
            self._until = self._reactor.seconds() + self._seconds

    def fail(self) -> None:
        """Stop with exit code 1."""
        self._reactor.addSystemEventTrigger("after", "shutdown", _exit_failed)
        self._reactor.callWhenRunning(self._reactor.stop)

    def wait_until(self, is_done: Callable[[], bool]) -> Deferred[None]:
        """Fires when *is_done*, or when the stop's time is up."""
        self.begin()
        return self._poll(is_done)

    @inlineCallbacks
    def _poll(self, is_done: Callable[[], bool]) -> Any:
        while not is_done() and self._until is not None and self._reactor.seconds() < self._until:
            yield deferLater(self._reactor, POLL_SECONDS)


class Daemon(OrderedService):
    """``twistd channels``: layer, workers and servers of one site.

    Attributes:
        site: The connections' side, with its counters.
        pool: The workers' side.
    """

    def __init__(self, reactor: Any, settings: Settings, loaded: LoadedSite) -> None:
        self._settings = settings
        self._stop = stop = Stop(reactor, settings.drain_timeout_seconds)
        layer = loaded.layer.reactor(reactor.callFromThread)
        self.site = Site(
            settings.http,
            settings.websocket,
            layer,
            clock=reactor.seconds,
            wall_clock=_wall_clock,
            access_log=_open_access_log(settings.access_log),
        )
        self.pool = Pool(
            loaded.run,
            max_threads=settings.workers.threads,
            idle_seconds=settings.workers.idle_seconds,
            thread_ended=loaded.thread_ended,
        )
        super().__init__(
            [
                LayerService(reactor, layer),
                WorkerService(reactor, layer, self.pool, loaded, stop),
                ServerService(reactor, settings, self.site, stop),
            ]
        )

    def startService(self) -> None:
        sys.setswitchinterval(self._settings.workers.switch_interval_seconds)
        _raise_file_limit()
        self._stop.install()
        super().startService()
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection need look at it again


def build(given: Mapping[str, Any], reactor: Any) -> tuple[Settings, LoadedSite, Daemon]:
    """The daemon, from the options that were given by name.

    Raises: ConfigurationError: It cannot work so.
    """
    for path in reversed(given.get("pythonpath") or []):
        sys.path.insert(0, path)
    settings = build_settings(given, load_settings(given.get("settings")))
    loaded = load_layer(settings.layer)
    if not hasattr(loaded.layer, "reactor"):
        raise ConfigurationError(
            "--layer", settings.layer, f"{loaded.layer_name} cannot be used by the daemon itself"
        )
    return settings, loaded, Daemon(reactor, settings, loaded)


def _endpoint(reactor: Any, description: str) -> Any:
    try:
        return serverFromString(reactor, description)
    except Exception as error:
        raise ConfigurationError(
            "--endpoint",
            description,
            f"is no Twisted endpoint, like tcp:8000 or unix:/run/site.sock ({error})",
        ) from None


def _url(port: Any) -> str:
    host = port.getHost()
    if hasattr(host, "host"):
        name = f"[{host.host}]" if ":" in host.host else host.host
        return f"http://{name}:{host.port}"
    return f"unix:{getattr(host, 'name', host)}"


def _open_access_log(path: str) -> AccessLog | None:
    if not path:
        return None
    if path == "-":
        return AccessLog(sys.stdout, _local_time)
    try:
        return AccessLog(open(path, "a", buffering=1, encoding="ascii"), _local_time)
    except OSError as error:
        raise ConfigurationError("--access-log", path, f"cannot be opened: {error}") from None


def _local_time() -> datetime:
    return datetime.now().astimezone()


def _wall_clock() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def _raise_file_limit() -> None:
    """Each connection is a file: take as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            log.warn("Only {soft} files, and so connections, can be open", soft=soft)


def _exit_failed() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    import os

    os._exit(1)
