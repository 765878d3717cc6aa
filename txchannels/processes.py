"""What both commands have with ``--processes``: worker processes, and who may talk to the daemon.

The daemon loads no code of the site. What it has to know of it, it is told by the workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from txchannels.asking import Facts
from txchannels.errors import ConfigurationError, LayerError
from txchannels.layers.ipc.places import working_folder
from txchannels.layers.ipc.server import Peer, Served
from txchannels.layers.ipc.serving import HubServer
from txchannels.lifecycle import Stop, give_up
from txchannels.messages import DELAY_TICK_CHANNEL
from txchannels.settings import Settings
from txchannels.workers.interfaces import WorkerEvents, WorkerProcess
from txchannels.workers.process import Program
from txchannels.workers.supervisor import Outcome, Supervisor
from txchannels.working import worker_orders

__all__ = ["FleetService", "SocketService", "refuse_orders", "serve_hub"]

log = Logger()

PING_SECONDS = 5.0

#: What is killed is gone at once, unless the system holds it.
KILLED_SECONDS = 2.0

#: Threads of the daemon for calls that wait for other hosts, if the layer has such.
MAX_CALL_THREADS = 32

#: What sockets and requests wait in, before the site's own channels are known.
FIRST_CHANNELS = (
    "http.request",
    "websocket.connect",
    "websocket.receive",
    "websocket.disconnect",
)

#: What begins a request or a socket: answered at once where nobody will run it.
FIRST_OF_CLIENTS = ("http.request", "websocket.connect")

#: Channels whose messages have an answerer at their reply channel: it hears of their loss.
_ANSWERED = frozenset((*FIRST_CHANNELS, DELAY_TICK_CHANNEL))


def serve_hub(reactor: Any, layer: Any, face: Any) -> Served:
    """What other processes are served of *layer*, whose reactor's face is *face*."""
    hub = face.hub
    is_local = type(face).__module__ == "txchannels.layers.reactor"
    in_thread = _run_now if is_local else partial(_run_in_thread, reactor, _Threads(reactor))
    return Served(hub, face, layer.blocking, reactor, in_thread)


def _run_now(call: Callable[[], Any], tell: Callable[[Any], None]) -> None:
    try:
        outcome = call()
    except Exception as error:
        outcome = error
    tell(outcome)


class _Threads:
    """A pool of threads from its first use on."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool: ThreadPool | None = None

    def get(self) -> ThreadPool:
        """The pool."""
        if self._pool is None:
            self._pool = ThreadPool(0, MAX_CALL_THREADS, "txchannels-calls")
            self._pool.start()
            self._reactor.addSystemEventTrigger("during", "shutdown", self._pool.stop)
        return self._pool


def _run_in_thread(
    reactor: Any, threads: _Threads, call: Callable[[], Any], tell: Callable[[Any], None]
) -> None:
    called = deferToThreadPool(reactor, threads.get(), call)
    called.addErrback(lambda failure: failure.value)
    called.addCallback(tell)


class SocketService(Service):
    """The daemon's Unix socket: for programs that use the layer, ``reload`` and ``status``.

    Args:
        served: The hub.
        path: Where it is.
        setting: Who has named it; nobody, if it is None: then the daemon can do without.
        told: Called with what a program tells that is not for the layer: peer, topic, value.

    Attributes:
        server: Serves worker processes, too.
        refused: Called when another daemon serves there, and this one does without.
    """

    def __init__(
        self,
        served: Served,
        path: str,
        setting: str | None,
        told: Callable[[Peer, str, Any], None],
    ) -> None:
        self.refused: Callable[[], None] = lambda: None
        self.server = HubServer(served, told)
        self._path = path
        self._setting = setting

    def startService(self) -> None:
        super().startService()
        try:
            self.server.claim(self._path, self._setting or "--socket or TXCHANNELS['SOCKET']")
        except ConfigurationError as error:
            if self._setting is not None:
                give_up(error)
            log.warn(
                "{error}. This daemon serves all the same, but python -m txchannels reload and "
                "status do not reach it: kill -HUP {pid} reloads it",
                error=error,
                pid=os.getpid(),
            )
            self.refused()
            return
        self.server.listen()

    def stopService(self) -> Any:
        super().stopService()
        return self.server.stop()


class FleetService(Service):
    """The worker processes. Stopping it waits until all that was sent to them is done.

    Args:
        reactor: The reactor.
        served: The hub; another takes its place by `Served`'s attributes.
        server: Serves the processes.
        settings: Those of the daemon.
        orders: What each process is told to be, but for what `settings` say.
        stop: Bounds how long they may take to end.
        facts_changed: Called with what a generation says of the site, before it begins.
        has_no_workers: Called when nobody will run anything any more, and when somebody will.

    Attributes:
        supervisor: Keeps them at work.
        files_found: Called with the files that were imported by one that cannot start.
        starting: Called at each start of one, with the seconds that it may take.
    """

    def __init__(  # noqa: PLR0913 - it joins what others have made, each by name
        self,
        reactor: Any,
        *,
        served: Served,
        server: HubServer,
        settings: Settings,
        orders: Mapping[str, Any],
        stop: Stop,
        facts_changed: Callable[[Facts], None],
        has_no_workers: Callable[[bool], None],
    ) -> None:
        self.files_found: Callable[[list[str]], None] = lambda _: None
        self.starting: Callable[[float], None] = lambda _: None
        self._has_no_workers = has_no_workers
        self._reactor = reactor
        self._served = served
        self._server = server
        self._stop = stop
        self._facts_changed = facts_changed
        self._channels: tuple[str, ...] = FIRST_CHANNELS
        self._waiting: Any = None
        self._programs: set[Program] = set()
        self._folder = ""
        self._orders = {
            **worker_orders(settings),
            **orders,
            "with_files": settings.processes.reload,
        }
        self._limits = settings.processes
        self.supervisor = Supervisor(
            reactor,
            self._spawn,
            settings.processes,
            drain_timeout_seconds=settings.drain_timeout_seconds,
            broken_changed=self._broken_changed,
            facts_changed=self._facts_told,
        )
        self._pings = LoopingCall(self._ping)
        self._pings.clock = reactor
        self._pinged_at = 0.0
        self._ping_seconds = _ping_seconds(settings)

    def startService(self) -> None:
        super().startService()
        self._folder = working_folder()  # twistd is where its --rundir has led it
        # Children are reaped once the reactor runs.
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> None:
        self._hold()
        self.supervisor.start()
        self._pinged_at = self._reactor.seconds()
        self._pings.start(self._ping_seconds, now=False)

    @inlineCallbacks
    def stopService(self) -> Any:
        super().stopService()
        self._served.layer.drain()
        yield self._stop.wait_until(self._is_idle)
        if self._pings.running:
            self._pings.stop()
        ended: list[None] = []
        self.supervisor.stop().addBoth(ended.append)
        yield self._stop.wait_until(lambda: bool(ended))
        if not ended:
            self.supervisor.kill_all()
            yield self._stop.wait_for(lambda: bool(ended), KILLED_SECONDS)
        self._release()

    def _is_idle(self) -> bool:
        """Whether nothing runs or waits, or nobody is there who could run it."""
        if any(program.running for program in self._programs):
            return False
        waiting = self._waiting is not None and any(one.waiting for one in self._waiting.queues)
        return not waiting or not self._programs

    # The channels, while no process reads them

    def _hold(self) -> None:
        """Let messages wait though no process is there for them now: one will be."""
        if self._waiting is None:
            self._waiting = self._served.layer.subscribe(self._channels, _never)

    def _release(self) -> None:
        """Let nothing wait: nobody will come."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def _broken_changed(self, is_broken: bool) -> None:
        self._has_no_workers(is_broken)
        if is_broken:
            self._release()
            for channel in FIRST_OF_CLIENTS:
                self._served.hub.expire_all(channel)
        else:
            self._hold()

    def _facts_told(self, found: Mapping[str, Any]) -> None:
        facts = Facts.read(found)
        self._facts_changed(facts)  # may change what is served
        self._release()
        self._channels = facts.channels or FIRST_CHANNELS
        if not self.supervisor.is_broken:
            self._hold()

    # The processes

    def _spawn(self, number: int, generation: int, events: WorkerEvents) -> WorkerProcess:
        program = Program(
            self._reactor,
            f"worker {number}.{generation}",
            _Told(events, self._programs),
            self._server.adopt,
            self._orders | {"group_expiry": self._served.hub.group_expiry},
            self._lost,
            self._folder,
        )
        program.files_told = self.files_found
        self._programs.add(program)
        self.starting(self._limits.start_timeout_seconds)
        return program

    def _ping(self) -> None:
        now = self._reactor.seconds()
        was_away = now - self._pinged_at > 3 * self._ping_seconds
        self._pinged_at = now
        for program in self._programs:
            if was_away:
                program.seen_alive(now)
            program.ping()

    def _lost(self, program: Program, consumer: str, channel: str, message: Any) -> None:
        """A message has died with its process."""
        log.error(
            "Lost with {worker}: {consumer} was running a message of {channel}",
            worker=program,
            consumer=consumer,
            channel=channel,
        )
        reply_channel = message.get("reply_channel")
        if channel in _ANSWERED and isinstance(reply_channel, str):
            self._tell_lost(reply_channel, {"lost": message.get("order") or 0})

    def _tell_lost(self, reply_channel: str, message: dict[str, Any]) -> None:
        """Tell whoever waits for an answer; again when there is room."""
        try:
            if not self._served.layer.offer(reply_channel, message):
                again = partial(self._tell_lost, reply_channel, message)
                self._served.layer.when_room(reply_channel, again)
        except (LayerError, TypeError):
            pass  # nobody waits any more

    # What others ask

    def do_without_socket(self) -> None:
        """Let no process that is forked by a worker talk to whoever serves at the path."""
        self._orders["socket"] = ""

    def order(self, **more: Any) -> None:
        """Tell processes *more* from now on; see `txchannels.worker_process`."""
        self._orders |= more

    def use(self, settings: Settings) -> None:
        """Start processes with these settings from now on; all are held to their limits."""
        self._orders |= worker_orders(settings)
        self._limits = settings.processes
        self.supervisor.use(settings.processes)
        seconds = _ping_seconds(settings)
        if self._pings.running and seconds != self._ping_seconds:
            # Who was asked rarely until now has not been silent.
            for program in self._programs:
                program.seen_alive(self._reactor.seconds())
            self._pings.stop()
            self._pings.start(seconds, now=False)
            self._pinged_at = self._reactor.seconds()
        self._ping_seconds = seconds

    def reload(self) -> Deferred[Outcome]:
        """A Deferred of how a reload goes."""
        return self.supervisor.reload()

    def describe(self) -> list[dict[str, Any]]:
        """Every process, for people."""
        return [
            {
                "name": program.name,
                "pid": program.pid,
                "done": program.done,
                "running": program.running,
                "rss": program.rss(),
                "runs": program.describe_running(),
            }
            for program in sorted(self._programs, key=lambda one: one.pid)
        ]


def _ping_seconds(settings: Settings) -> float:
    """How often processes are asked for a sign of life."""
    stuck = settings.processes.stuck_timeout_seconds
    return min(PING_SECONDS, stuck / 4) if stuck else PING_SECONDS


class _Told:
    """Passes events on, and lets go of a process at its end."""

    def __init__(self, events: WorkerEvents, programs: set[Program]) -> None:
        self.ready = events.ready
        self.failed = events.failed
        self._events = events
        self._programs = programs

    def ended(self, process: Any, how: str, lost: int) -> None:
        """See `WorkerEvents`."""
        self._programs.discard(process)
        self._events.ended(process, how, lost)


def refuse_orders(peer: Peer, topic: str, _value: Any) -> None:
    """What a daemon without worker processes says to `python -m txchannels`."""
    peer.tell("refused", f"{topic!r:.40}: this daemon runs without --processes")


def _never(_channel: str, message: object) -> None:
    """It is asked for nothing, so nothing comes."""
    raise AssertionError(f"Nobody has asked for {message!r:.80}")
