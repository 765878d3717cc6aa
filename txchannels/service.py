"""The composition root: builds the rooms, joins them, orders their start and stop.

Start: layer, workers, servers. Stop, the other way: accept nothing more, finish running
requests and close sockets with 1012, run what they still send, end the threads, then the
layer. ``twistd channels-worker`` has no servers, ``--no-workers`` no threads.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.logger import Logger

from txchannels import __version__
from txchannels.django.bootstrap import LoadedSite, check_site, load_layer, load_settings
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.file_limit import fit_to_file_limit, raise_file_limit
from txchannels.lifecycle import OrderedService, Stop, on_rotation
from txchannels.listening import ServerService, parse_endpoint
from txchannels.options import DAEMON, WORKER, build_settings, options_of
from txchannels.protocols.access_log import AccessLog
from txchannels.protocols.site import Site
from txchannels.settings import Settings
from txchannels.working import LayerService, WorkerService, join_layer, select_channels

__all__ = ["Command", "Daemon", "Worker", "build", "check"]

log = Logger()

SHARED_LAYER = "txchannels.layers.redis.RedisLayer"


class Command(OrderedService):
    """One of twistd's commands: its signals, and its parts in their order."""

    def __init__(self, reactor: Any, stop: Stop, parts: Sequence[Service]) -> None:
        super().__init__(parts)
        self._reactor = reactor
        self._stop = stop

    def privilegedStartService(self) -> None:
        self._stop.install()
        on_rotation(self._reactor, self._rotated)
        super().privilegedStartService()

    def startService(self) -> None:
        super().startService()
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection need look at it again

    def _rotated(self) -> None:
        """Open anew what is written to. SIGUSR1 ends no command, even if nothing is."""


class Daemon(Command):
    """``twistd channels``: layer, workers and servers of one site.

    Attributes:
        site: The connections' side, with its counters.
        pool: The workers' side; None with ``--no-workers``.

    Raises: ConfigurationError: An endpoint, the access log or a channel's name cannot work.
    """

    def __init__(self, reactor: Any, settings: Settings, loaded: LoadedSite) -> None:
        stop = Stop(reactor, settings.drain_timeout_seconds)
        layer = join_layer(loaded, reactor)
        self._access_log = _open_access_log(settings.access_log)
        self.site = Site(
            settings.http,
            settings.websocket,
            layer,
            clock=reactor.seconds,
            wall_clock=_wall_clock,
            access_log=self._access_log,
            is_host_allowed=loaded.is_host_allowed,
        )
        parts: list[Service] = [LayerService(reactor, layer, stop, self.site.messages_lost)]
        self.pool = None
        if not settings.no_workers:
            workers = WorkerService(reactor, layer, settings.workers, loaded, stop)
            self.pool = workers.pool
            parts.append(workers)
        parts.append(ServerService(reactor, settings.endpoints, self.site, stop))
        super().__init__(reactor, stop, parts)

    def _rotated(self) -> None:
        if self._access_log is not None:
            self._access_log.reopen()


class Worker(Command):
    """``twistd channels-worker``: layer and workers of one site.

    Attributes:
        pool: The threads.

    Raises: ConfigurationError: A channel's name cannot work.
    """

    def __init__(self, reactor: Any, settings: Settings, loaded: LoadedSite) -> None:
        stop = Stop(reactor, settings.drain_timeout_seconds)
        layer = join_layer(loaded, reactor)
        workers = WorkerService(reactor, layer, settings.workers, loaded, stop)
        self.pool = workers.pool
        self._channels = sorted(workers.channels)
        parts = [LayerService(reactor, layer, stop, _no_sockets), workers]
        super().__init__(reactor, stop, parts)

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(
            log.info, "Working for {channels}", channels=", ".join(self._channels)
        )


def build(given: Mapping[str, Any], reactor: Any, command: str = DAEMON) -> Command:
    """*command*, from the options that were given by name.

    Raises: ConfigurationError: It cannot work so.
    """
    settings, loaded = _load(given, command)
    try:
        _servers(loaded)
    except LayerUnavailable as error:
        log.warn("{error}; trying again until it answers", error=error)
    if command == WORKER:
        return Worker(reactor, settings, loaded)
    return Daemon(reactor, settings, loaded)


def check(given: Mapping[str, Any], reactor: Any, command: str = DAEMON) -> str:
    """Try everything but to listen and to work; returns what would be done, in a few lines.

    Raises: ConfigurationError: It cannot work so.
    """
    settings, loaded = _load(given, command)
    if command == DAEMON:
        for endpoint in settings.endpoints:
            parse_endpoint(reactor, endpoint)
        _open_access_log(settings.access_log)
    lines = list(_report(settings, loaded, command))
    check_site()
    try:
        lines[2:2] = [f"  server     {server}" for server in _servers(loaded)]
    except LayerUnavailable as error:
        raise ConfigurationError(f"CHANNEL_LAYERS[{settings.layer!r}]", None, str(error)) from None
    return "\n".join(lines)


def _load(given: Mapping[str, Any], command: str) -> tuple[Settings, LoadedSite]:
    for path in reversed(given.get("pythonpath") or []):
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise ConfigurationError("--pythonpath", path, "is no folder")
        sys.path.insert(0, str(folder))
    settings = build_settings(given, load_settings(given.get("settings")))
    raise_file_limit()
    if command == DAEMON:
        settings = fit_to_file_limit(settings)
    loaded = load_layer(settings.layer, settings.http.root_path)
    _check_layer(settings, loaded, command)
    return settings, loaded


def _check_layer(settings: Settings, loaded: LoadedSite, command: str) -> None:
    """Refuse a layer that cannot do what *command* needs.

    Raises: ConfigurationError: It says what would.
    """
    if not hasattr(loaded.layer, "reactor"):
        raise ConfigurationError(
            "--layer", settings.layer, f"{loaded.layer_name} cannot be used by the daemon itself"
        )
    if loaded.is_local and (command == WORKER or settings.no_workers):
        alone = f"twistd {WORKER}" if command == WORKER else "--no-workers"
        raise ConfigurationError(
            "--layer",
            settings.layer,
            f"{loaded.layer_name} reaches no other process, which {alone} needs; "
            f"{SHARED_LAYER} does",
        )


def _servers(loaded: LoadedSite) -> list[str]:
    """The layer's servers, each of which has just answered.

    Raises: ConfigurationError: One can never work. LayerUnavailable: One may later.
    """
    servers: list[str] = loaded.layer.check() if hasattr(loaded.layer, "check") else []
    return servers


def _report(settings: Settings, loaded: LoadedSite, command: str) -> Iterator[str]:
    does = "work for" if command == WORKER else "serve"
    yield f"txchannels {__version__} would {does} {loaded.settings_module}:"
    yield f"  layer      {loaded.layer_name}"
    if command == DAEMON:
        for endpoint in settings.endpoints:
            yield f"  endpoint   {endpoint}"
    if command == DAEMON and settings.no_workers:
        yield f"  threads    none: twistd {WORKER} runs views and consumers"
    else:
        yield f"  threads    up to {settings.workers.threads}"
        for channel in sorted(select_channels(loaded.channels, settings.workers)):
            yield f"  channel    {channel}"
    for option in options_of(command):
        if option.default is not None:
            value = reduce(getattr, option.field.split("."), settings)
            if value != option.default:
                yield f"  changed    --{option.name} {value!r} (default: {option.default!r})"


def _open_access_log(path: str) -> AccessLog | None:
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


def _no_sockets() -> None:
    """Nobody here waits for receipts."""
