"""The composition root: builds the rooms, joins them, orders their start and stop.

Start: layer, workers, servers. Stop, the other way: accept nothing more, finish running
requests and close sockets with 1012, run what they still send, end the threads.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from txchannels import __version__
from txchannels.django.bootstrap import LoadedSite, check_site, load_layer, load_settings
from txchannels.errors import ConfigurationError
from txchannels.lifecycle import OrderedService, Stop, give_up, on_rotation
from txchannels.listening import ServerService, parse_endpoint
from txchannels.options import OPTIONS, build_settings
from txchannels.protocols.access_log import AccessLog
from txchannels.protocols.site import Site
from txchannels.settings import Settings
from txchannels.workers.pace import Pace
from txchannels.workers.pool import Pool

__all__ = ["Daemon", "build", "check"]

log = Logger()

#: Files that are kept for others than connections: a quarter of all, within these bounds.
MIN_RESERVE_FILES = 32
MAX_RESERVE_FILES = 512

SWEEP_SECONDS = 5.0
PACE_SECONDS = 0.1


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
        if self._sweep.running:
            self._sweep.stop()


class WorkerService(Service):
    """The thread pool. Stopping it waits until all that was sent to it is done."""

    def __init__(
        self, reactor: Any, layer: Any, pool: Pool, pace: Pace, site: LoadedSite, stop: Stop
    ) -> None:
        self._layer = layer
        self._pace = LoopingCall(pace.tick)
        self._pace.clock = reactor
        self._pool = pool
        self._site = site
        self._stop = stop

    def startService(self) -> None:
        super().startService()
        try:
            self._site.ready()
        except ConfigurationError as error:
            give_up(error)
        self._pool.start(self._layer.subscribe, self._site.channels)
        self._pace.start(PACE_SECONDS, now=False)

    @inlineCallbacks
    def stopService(self) -> Any:
        super().stopService()
        yield self._stop.wait_until(lambda: self._pool.is_idle)
        self._report_running()
        self._pool.stop()
        yield self._stop.wait_until(lambda: not self._pool.threads)
        if self._pace.running:
            self._pace.stop()

    def _report_running(self) -> None:
        """Say which consumers are given up, and where they are."""
        frames = sys._current_frames()  # noqa: SLF001 - the documented way to a thread's stack
        for name, channel, thread in self._pool.running():
            stack = "".join(traceback.format_stack(frames[thread])) if thread in frames else ""
            log.error(
                "{thread} is still running a message of {channel}; given up\n{stack}",
                thread=name,
                channel=channel,
                stack=stack,
            )


class Daemon(OrderedService):
    """``twistd channels``: layer, workers and servers of one site.

    Attributes:
        site: The connections' side, with its counters.
        pool: The workers' side.

    Raises: ConfigurationError: An endpoint or the access log cannot work.
    """

    def __init__(self, reactor: Any, settings: Settings, loaded: LoadedSite) -> None:
        self._stop = stop = Stop(reactor, settings.drain_timeout_seconds)
        self._reactor = reactor
        layer = loaded.layer.reactor(reactor.callFromThread, reactor)
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
        self.pool = Pool(
            loaded.run,
            max_threads=settings.workers.threads,
            idle_seconds=settings.workers.idle_seconds,
            thread_ended=loaded.thread_ended,
        )
        pace = Pace(
            settings.workers.switch_interval_seconds, lambda: self.pool.done, self.pool.turns
        )
        super().__init__(
            [
                LayerService(reactor, layer),
                WorkerService(reactor, layer, self.pool, pace, loaded, stop),
                ServerService(reactor, settings.endpoints, self.site, stop),
            ]
        )

    def privilegedStartService(self) -> None:
        self._stop.install()
        on_rotation(self._reactor, self._rotated)
        super().privilegedStartService()

    def startService(self) -> None:
        super().startService()
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection need look at it again

    def _rotated(self) -> None:
        if self._access_log is not None:
            self._access_log.reopen()


def build(given: Mapping[str, Any], reactor: Any) -> Daemon:
    """The daemon, from the options that were given by name.

    Raises: ConfigurationError: It cannot work so.
    """
    return Daemon(reactor, *_load(given))


def check(given: Mapping[str, Any], reactor: Any) -> str:
    """Try everything but to listen; returns what would be done, in a few lines.

    Raises: ConfigurationError: It cannot work so.
    """
    settings, loaded = _load(given)
    for endpoint in settings.endpoints:
        parse_endpoint(reactor, endpoint)
    _open_access_log(settings.access_log)
    check_site()
    return "\n".join(_report(settings, loaded))


def _load(given: Mapping[str, Any]) -> tuple[Settings, LoadedSite]:
    for path in reversed(given.get("pythonpath") or []):
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise ConfigurationError("--pythonpath", path, "is no folder")
        sys.path.insert(0, str(folder))
    settings = build_settings(given, load_settings(given.get("settings")))
    _raise_file_limit()
    settings = _fit_to_file_limit(settings)
    loaded = load_layer(settings.layer, settings.http.root_path)
    if not hasattr(loaded.layer, "reactor"):
        raise ConfigurationError(
            "--layer", settings.layer, f"{loaded.layer_name} cannot be used by the daemon itself"
        )
    return settings, loaded


def _report(settings: Settings, loaded: LoadedSite) -> Iterator[str]:
    yield f"txchannels {__version__} would serve {loaded.settings_module}:"
    yield f"  layer      {loaded.layer_name}"
    for endpoint in settings.endpoints:
        yield f"  endpoint   {endpoint}"
    yield f"  threads    up to {settings.workers.threads}"
    for channel in sorted(loaded.channels):
        yield f"  channel    {channel}"
    for option in OPTIONS:
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


def _raise_file_limit() -> None:
    """Each connection is a file: take as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            log.warn("Only {soft} files, and so connections, can be open", soft=soft)


def _fit_to_file_limit(settings: Settings) -> Settings:
    """No more connections than files can be open, less what all else needs of these.

    Without a descriptor left, a connection could be neither answered nor refused.

    Raises: ConfigurationError: Nothing is left for connections.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.http.max_connections
    if files == resource.RLIM_INFINITY:
        return settings
    reserve = min(MAX_RESERVE_FILES, max(MIN_RESERVE_FILES, files // 4))
    allowed = files - reserve
    if allowed >= wanted:
        return settings
    if allowed < 1:
        raise ConfigurationError(
            "--max-connections",
            wanted,
            f"only {files} files can be open, and {reserve} are needed for others than "
            "connections; raise the limit (ulimit -n, LimitNOFILE)",
        )
    log.warn(
        "--max-connections is {allowed} instead of {wanted}: only {files} files can be open, "
        "and {reserve} are for others",
        allowed=allowed,
        wanted=wanted,
        files=files,
        reserve=reserve,
    )
    return replace(settings, http=replace(settings.http, max_connections=allowed))
