"""Both commands with their workers' threads in their own process, which loads the site.

Start: layer, workers, servers. Stop, the other way: accept nothing more, finish running
requests and close sockets with 1012, run what they still send, end the threads, then the
layer. ``twistd channels-worker`` has no servers, ``--no-workers`` no threads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from txchannels import __version__
from txchannels.command import Command
from txchannels.delaying import DelayService
from txchannels.django.bootstrap import LoadedSite, check_site, load_layer, load_settings
from txchannels.django.checks import register_all
from txchannels.errors import ConfigurationError, LayerUnavailable
from txchannels.file_limit import fit_to_file_limit, raise_file_limit
from txchannels.lifecycle import Stop
from txchannels.listening import ServerService, make_site, open_access_log, parse_endpoint
from txchannels.options import DAEMON, WORKER, build_settings, options_of
from txchannels.processes import SocketService, refuse_orders, serve_hub
from txchannels.settings import Settings
from txchannels.workers.pool import Pool
from txchannels.working import LayerService, WorkerService, join_layer, select_channels

__all__ = ["Daemon", "Worker", "build", "check", "load"]

log = Logger()

SHARED_LAYER = "txchannels.layers.redis.RedisLayer"


class Daemon(Command):
    """``twistd channels``: layer, workers and servers of one site.

    Attributes:
        site: The connections' side, with its counters.
        pool: The workers' side; None with ``--no-workers``.

    Raises: ConfigurationError: An endpoint, the access log or a channel's name cannot work.
    """

    def __init__(self, reactor: Any, settings: Settings, loaded: LoadedSite) -> None:
        stop = Stop(reactor, settings.drain_timeout_seconds)
        layer = join_layer(loaded, reactor, is_daemon=True)
        self._access_log = open_access_log(settings.access_log)
        allowed = loaded.is_host_allowed
        self.site = make_site(reactor, settings, layer, self._access_log, allowed)
        parts: list[Service] = [LayerService(reactor, layer, stop, self.site.messages_lost)]
        if hasattr(loaded.layer, "serve"):
            served = serve_hub(reactor, loaded.layer, layer)
            parts.append(SocketService(served, loaded.layer.path, "CONFIG['path']", refuse_orders))
        self.pool = None
        if not settings.no_workers:
            workers = WorkerService(reactor, layer, settings.workers, loaded, stop)
            self.pool = workers.pool
            delay = DelayService(reactor, layer, settings.workers, workers.channels)
            parts += [workers, delay]
        parts.append(ServerService(reactor, settings.endpoints, self.site, stop))
        super().__init__(reactor, stop, parts)

    def status(self) -> str:
        """What there is to say of it now, in one line for people."""
        text = f"{self.site.connections} connections"
        return text if self.pool is None else f"{text}, {_threads(self.pool)}"

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
        delay = DelayService(reactor, layer, settings.workers, workers.channels)
        parts = [LayerService(reactor, layer, stop, _no_sockets), workers, delay]
        super().__init__(reactor, stop, parts)

    def status(self) -> str:
        """What there is to say of it now, in one line for people."""
        return _threads(self.pool)

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(
            log.info, "Working for {channels}", channels=", ".join(self._channels)
        )


def build(settings: Settings, loaded: LoadedSite, reactor: Any, command: str) -> Command:
    """*command* for a site that was loaded.

    Raises: ConfigurationError: It cannot work so.
    """
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
    settings, loaded = load(given, command)
    if command == DAEMON:
        for endpoint in settings.endpoints:
            parse_endpoint(reactor, endpoint)
        open_access_log(settings.access_log)
    lines = list(_report(settings, loaded, command))
    register_all()  # for a site that has not installed us, too
    warnings = [f"  warning    {one}" for one in check_site()]
    try:
        lines[2:2] = [f"  server     {server}" for server in _servers(loaded)]
    except LayerUnavailable as error:
        raise ConfigurationError(f"CHANNEL_LAYERS[{settings.layer!r}]", None, str(error)) from None
    return "\n".join([*lines, *warnings])


def load(
    given: Mapping[str, Any], command: str, views: Callable[[], Any] | None = None
) -> tuple[Settings, LoadedSite]:
    """The settings and the site; see `load_layer`.

    Raises: ConfigurationError: One of them cannot work.
    """
    for path in reversed(given.get("pythonpath") or []):
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise ConfigurationError("--pythonpath", path, "is no folder")
        sys.path.insert(0, str(folder))
    settings = build_settings(given, load_settings(given.get("settings")), command)
    raise_file_limit()
    if command == DAEMON:
        settings = fit_to_file_limit(settings)
    chosen: Any = {} if views is None else {"views": views}
    loaded = load_layer(settings.layer, settings.http.root_path, **chosen)
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
        if settings.processes.count is not None:
            yield f"  processes  {settings.processes.count}, each with threads of its own"
        yield f"  threads    up to {settings.workers.threads}"
        for channel in sorted(select_channels(loaded.channels, settings.workers)):
            yield f"  channel    {channel}"
    for option in options_of(command):
        if option.default is not None:
            value = reduce(getattr, option.field.split("."), settings)
            if value != option.default:
                yield f"  changed    --{option.name} {value!r} (default: {option.default!r})"


def _threads(pool: Pool) -> str:
    return f"{pool.done} messages done, {len(pool.running())} running in {pool.threads} threads"


def _no_sockets() -> None:
    """Nobody here waits for receipts."""
