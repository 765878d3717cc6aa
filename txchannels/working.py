"""What both commands of twistd have: the layer's life, and the pool that runs its messages."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import inlineCallbacks, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.threadable import isInIOThread

from txchannels.errors import ConfigurationError, LayerError
from txchannels.lifecycle import Stop, give_up
from txchannels.messages import GAP_CHANNEL, Gap
from txchannels.settings import Settings, WorkerSettings
from txchannels.workers.concurrency import Concurrency
from txchannels.workers.pace import Pace
from txchannels.workers.pool import Pool

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from txchannels.django.bootstrap import LoadedSite

__all__ = [
    "LayerService",
    "WorkerService",
    "join_layer",
    "select_channels",
    "soon_in",
    "worker_orders",
]

log = Logger()

SWEEP_SECONDS = 5.0
PACE_SECONDS = 0.1


def join_layer(loaded: LoadedSite, reactor: Any, *, is_daemon: bool = False) -> Any:
    """The reactor's face of the site's layer; the site's own code uses it as well from now on.

    Args:
        is_daemon: Whether this process is the one that a layer of one host is served by.
    """
    layer = loaded.layer
    join = layer.serve if is_daemon and hasattr(layer, "serve") else layer.reactor
    face = join(soon_in(reactor), reactor)
    loaded.layer_joined()
    return face


def soon_in(reactor: Any) -> Callable[[Callable[[], None]], object]:
    """What `callFromThread` does, without a wake-up where it is the reactor that calls.

    Much of what crosses to the reactor comes from it, if its own threads are not who answers.
    """

    def soon(call: Callable[[], None]) -> None:
        if isInIOThread():
            reactor.callLater(0, call)
        else:
            reactor.callFromThread(call)

    return soon


class LayerService(Service):
    """The layer from its start to its end; says when messages may have been missed.

    Args:
        reactor: The reactor.
        layer: The reactor's face of the layer.
        stop: Bounds how long the layer's end may take.
        messages_lost: Called, after a gap, before the application is told.
    """

    def __init__(
        self, reactor: Any, layer: Any, stop: Stop, messages_lost: Callable[[], None]
    ) -> None:
        self._layer = layer
        self._stop = stop
        self._messages_lost = messages_lost
        self._sweep = LoopingCall(self._sweep_layer)
        self._sweep.clock = reactor
        layer.when_gap(self._gap_seen)

    def startService(self) -> None:
        super().startService()
        try:
            self._layer.start()
        except ConfigurationError as error:
            give_up(error)
        self._sweep.start(SWEEP_SECONDS, now=False)

    def use(self, layer: Any) -> None:
        """Let *layer* take the place of one that nobody has used."""
        self._layer = layer
        layer.when_gap(self._gap_seen)
        layer.start()

    def _sweep_layer(self) -> None:
        if hasattr(self._layer, "sweep"):
            self._layer.sweep()

    @inlineCallbacks
    def stopService(self) -> Any:
        super().stopService()
        if self._sweep.running:
            self._sweep.stop()
        ended: list[Any] = []
        stopping = maybeDeferred(self._layer.stop)
        stopping.addErrback(lambda failure: log.failure("The layer's end failed", failure))
        stopping.addBoth(ended.append)
        yield self._stop.wait_until(lambda: bool(ended))
        if not ended:
            log.warn("The layer has not ended in time")

    def _gap_seen(self, since: float, until: float) -> None:
        """Messages of other hosts may have been missed between these wall-clock times."""
        log.warn(
            "The layer's server was away: messages of other hosts may have been missed "
            "from {since} to {until}",
            since=_written(since),
            until=_written(until),
        )
        self._messages_lost()
        message: Gap = {"since": since, "until": until}
        try:
            is_taken = self._layer.offer(GAP_CHANNEL, message)
        except LayerError as error:
            log.warn("{channel} was not sent: {error!r}", channel=GAP_CHANNEL, error=error)
        else:
            if not is_taken:
                log.warn("{channel} was not sent: it is full", channel=GAP_CHANNEL)


class WorkerService(Service):
    """The thread pool. Stopping it waits until all that was sent to it is done.

    Args:
        reactor: The reactor.
        layer: Where the messages come from.
        settings: How many threads, for which channels.
        site: Runs the messages.
        stop: Bounds how long they may take to end.

    Attributes:
        pool: The threads.
        channels: Whose messages they run.

    Raises: ConfigurationError: There is no such channel, or none is left.
    """

    def __init__(
        self, reactor: Any, layer: Any, settings: WorkerSettings, site: LoadedSite, stop: Stop
    ) -> None:
        self.channels = select_channels(site.channels, settings)
        self.pool = Pool(
            site.run,
            max_threads=settings.threads,
            idle_seconds=settings.idle_seconds,
            thread_ended=site.thread_ended,
        )
        pace = Pace(settings.switch_interval_seconds, lambda: self.pool.done, self.pool.turns)
        self._layer = layer
        self._reactor = reactor
        self._pace = LoopingCall(pace.tick)
        self._pace.clock = reactor
        self._concurrency = Concurrency(self.pool)
        self._look: IDelayedCall | None = None
        self._site = site
        self._stop = stop

    def startService(self) -> None:
        super().startService()
        try:
            self._site.ready()
        except ConfigurationError as error:
            give_up(error)
        self.pool.start(self._layer.subscribe, self.channels)
        self._pace.start(PACE_SECONDS, now=False)
        self._look_at_load()

    def _look_at_load(self) -> None:
        self._look = self._reactor.callLater(self._concurrency.look(), self._look_at_load)

    @inlineCallbacks
    def stopService(self) -> Any:
        super().stopService()
        self._layer.drain()
        yield self._stop.wait_until(lambda: self.pool.is_idle)
        self._report_running()
        self.pool.stop()
        yield self._stop.wait_until(lambda: not self.pool.threads)
        if self._pace.running:
            self._pace.stop()
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _report_running(self) -> None:
        """Say which consumers are given up, and where they are."""
        frames = sys._current_frames()  # noqa: SLF001 - the documented way to a thread's stack
        for name, channel, thread in self.pool.running():
            stack = "".join(traceback.format_stack(frames[thread])) if thread in frames else ""
            log.error(
                "{thread} is still running a message of {channel}; given up\n{stack}",
                thread=name,
                channel=channel,
                stack=stack,
            )


def select_channels(channels: Collection[str], settings: WorkerSettings) -> frozenset[str]:
    """Those of *channels* whose messages the workers run.

    Raises: ConfigurationError: A glob of ``--only-channels`` matches none, or none is left.
    """
    there_are = f"the site's channels are: {', '.join(sorted(channels))}"
    for glob in settings.only_channels:
        if not any(fnmatchcase(channel, glob) for channel in channels):
            raise ConfigurationError("--only-channels", glob, f"matches no channel; {there_are}")
    selected = frozenset(
        channel
        for channel in channels
        if (not settings.only_channels or _matches(channel, settings.only_channels))
        and not _matches(channel, settings.exclude_channels)
    )
    if not selected:
        excluded = ", ".join(settings.exclude_channels)
        raise ConfigurationError("--exclude-channels", excluded, f"leaves no channel; {there_are}")
    return selected


def worker_orders(settings: Settings) -> dict[str, Any]:
    """What *settings* say of a worker process, as it is told: see `txchannels.worker_process`."""
    workers = settings.workers
    return {
        "layer": settings.layer,
        "root_path": settings.http.root_path,
        "threads": workers.threads,
        "idle_seconds": workers.idle_seconds,
        "switch_interval_seconds": workers.switch_interval_seconds,
        "only_channels": list(workers.only_channels),
        "exclude_channels": list(workers.exclude_channels),
    }


def _matches(channel: str, globs: Collection[str]) -> bool:
    return any(fnmatchcase(channel, glob) for glob in globs)


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
