"""The program of one worker process: ``python -m txchannels.worker_process``.

The daemon starts it, with a connected socket and a board as descriptors; nobody else can.
It is told what to be, imports the site, says that it is ready, begins when it is told to,
and runs messages until it is told to finish or the daemon is gone.

It has no reactor: one thread reads the connection, the pool's threads run the messages and
answer, and the first thread waits for orders.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from twisted.logger import globalLogBeginner, textFileLogObserver

from txchannels.errors import ConfigurationError, LayerError, LayerUnavailable
from txchannels.layers.ipc.layer import AttachedLayer
from txchannels.layers.ipc.link import Link
from txchannels.layers.ipc.subscription import LinkSubscription
from txchannels.settings import WorkerSettings
from txchannels.workers.board import BEGUN, MAX_MARK, Board
from txchannels.workers.concurrency import LOOK_SECONDS, Concurrency
from txchannels.workers.orphan import end_in, end_with_daemon
from txchannels.workers.pace import Pace
from txchannels.workers.pool import Pool
from txchannels.workers.process import BOARD_DESCRIPTOR, LINK_DESCRIPTOR
from txchannels.workers.worker import TERMINATED

__all__ = ["main"]

TICK_SECONDS = LOOK_SECONDS

#: When the daemon is gone, what runs may still finish.
GRACE_SECONDS = 5.0

#: How long threads that the site itself has started may hold up the end.
EXIT_SECONDS = 2.0

#: An order and what goes with it.
Order = tuple[str, Any]


class Worker:
    """What runs the messages, as far as the process is told to.

    Args:
        link: The connection to the daemon.
        board: Where begun messages are noted.
        site: The site's code.
        settings: How many threads.
        channels: Whose messages they run.
    """

    def __init__(
        self,
        link: Link,
        board: Board,
        site: Any,
        settings: WorkerSettings,
        channels: Collection[str],
    ) -> None:
        self._link = link
        self._board = board
        self._site = site
        self._channels = channels
        self._settings = settings
        self._subscription: LinkSubscription | None = None
        self._current = threading.local()
        self._marks: dict[str, int] = {}
        self._marks_lock = threading.Lock()
        self.pool = Pool(
            self._run,
            max_threads=settings.threads,
            idle_seconds=settings.idle_seconds,
            thread_ended=site.thread_ended,
        )
        link.writer.more_follows = self._is_more_due
        self._pace = Pace(settings.switch_interval_seconds, lambda: self.pool.done, self.pool.turns)
        self._concurrency = Concurrency(self.pool)
        self._tick_at = 0.0

    def begin(self) -> None:
        """Ask for messages."""
        self.pool.start(self._subscribe, self._channels)

    def tick(self) -> float:
        """See to what follows the load. Returns: when to call again, in seconds."""
        self._flush()
        seconds = self._concurrency.look()
        now = time.monotonic()
        if now >= self._tick_at:
            self._tick_at = now + 0.9 * TICK_SECONDS
            self._pace.tick()
            self.tell_finished()
        return seconds

    def _is_more_due(self) -> bool:
        """Whether another message is run next, and what is sent may wait for that."""
        return self.pool.is_serial and self.pool.has_ready

    def _flush(self) -> None:
        try:
            self._link.flush()
        except LayerUnavailable:
            pass  # the daemon is gone, and with it whoever waits

    def drain(self) -> None:
        """Ask for no more messages."""
        self.pool.stop()
        self.tell_finished()

    def tell_finished(self) -> None:
        """Say what is finished, though nothing more is asked for."""
        if self._subscription is not None:
            self._subscription.flush()

    def _subscribe(
        self, channels: Collection[str], deliver: Callable[[str, Any], None]
    ) -> LinkSubscription:
        def delivered(number: int, channel: str, message: Any) -> None:
            deliver(channel, (number, message))

        slack = self._settings.threads // 4
        self._subscription = self._link.subscribe(sorted(channels), delivered, slack)
        return self._subscription

    def _run(self, channel: str, item: Any) -> None:
        """Run one message. Thread: one of the pool's."""
        number, message = item
        self._board.begin(number)
        self._current.number = number
        try:
            self._site.run(channel, message)
        finally:
            assert self._subscription is not None
            self._board.finish(number)
            self._subscription.finish(number)
            if not self._is_more_due():
                self._flush()

    def consumer_found(self, name: str) -> None:
        """Note which consumer runs this thread's message."""
        mark = self._marks.get(name)
        if mark is None:
            mark = self._new_mark(name)
        self._board.begin(self._current.number, mark)

    def _new_mark(self, name: str) -> int:
        with self._marks_lock:
            mark = self._marks.get(name)
            if mark is None:
                mark = min(BEGUN + 1 + len(self._marks), MAX_MARK)
                if mark < MAX_MARK:
                    self._marks[name] = mark
                self._link.tell("consumer", [mark, name if mark < MAX_MARK else "a consumer"])
        return mark


class Program:
    """The process from its start to its end."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[Order] = SimpleQueue()
        for descriptor in (LINK_DESCRIPTOR, BOARD_DESCRIPTOR):
            os.set_inheritable(descriptor, False)  # what a consumer starts must not hold them
        self._board = Board(BOARD_DESCRIPTOR)
        self._link = Link(socket.socket(fileno=LINK_DESCRIPTOR))
        self._link.told = lambda topic, value: self._orders.put((topic, value))
        self._link.ended = self._daemon_gone
        self._worker: Worker | None = None

    def run(self) -> int:
        """Do what the daemon says, to the end. Returns: the exit code."""
        self._take_signals()
        try:
            end_with_daemon()
        except OSError as error:
            sys.stderr.write(f"txchannels: this worker may outlive a daemon that dies: {error}\n")
        try:
            self._link.start()
            topic, orders = self._orders.get()
            if topic != "orders":
                return 1
            return self._work(orders)
        except LayerError:
            return 1  # the daemon is gone

    def _take_signals(self) -> None:
        # What a terminal or an operator sends to all is the daemon's to decide.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        faulthandler.enable()
        faulthandler.register(signal.SIGUSR2, all_threads=True)

    def _daemon_gone(self) -> None:
        """What runs may finish, if the first thread ever comes to see to that."""
        end_in(GRACE_SECONDS + EXIT_SECONDS)
        self._orders.put(("gone", None))

    def _work(self, orders: Mapping[str, Any]) -> int:
        try:
            self._worker, facts = self._load(orders)
        except ConfigurationError as error:
            sys.stderr.write(f"txchannels: {error}\n")
            self._tell_files(orders, error)
            self._link.tell("failed", str(error))
            return 1
        # Before, it ends the process at once: nothing has begun.
        signal.signal(signal.SIGTERM, lambda *_: self._orders.put(("terminate", None)))
        self._link.tell("ready", facts)
        return self._obey(self._worker)

    def _tell_files(self, orders: Mapping[str, Any], error: BaseException) -> None:
        """Where to look for an edit that mends it."""
        if orders["with_files"]:
            from txchannels.django.facts import source_files

            self._link.tell("files", source_files(error))

    def _load(self, orders: Mapping[str, Any]) -> tuple[Worker, dict[str, Any]]:
        """The site, ready to run messages.

        Raises: ConfigurationError: It is not fit to.
        """
        from txchannels.django import bootstrap
        from txchannels.django.facts import describe_settings, source_files
        from txchannels.options import build_settings
        from txchannels.working import select_channels, worker_orders

        for path in reversed(orders["pythonpath"]):
            sys.path.insert(0, path)
        code: Any = bootstrap
        if orders.get("development"):
            from txchannels.django.devserver import Development

            code = Development(orders["development"])
        own = code.load_settings(orders["settings"])
        # What concerns workers is as the settings say now, not as when the daemon read them.
        command, given = orders["command_line"]
        orders = {**orders, **worker_orders(build_settings(given, own, command))}
        layer = AttachedLayer(self._link, orders["group_expiry"], orders["socket"])
        site = code.load_layer(orders["layer"], orders["root_path"], layer, self._consumer_found)
        code.check_site()
        code.check_databases()
        settings = WorkerSettings(
            threads=orders["threads"],
            idle_seconds=orders["idle_seconds"],
            switch_interval_seconds=orders["switch_interval_seconds"],
            only_channels=tuple(orders["only_channels"]),
            exclude_channels=tuple(orders["exclude_channels"]),
        )
        channels = select_channels(site.channels, settings)
        site.ready()
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection need look at it again
        facts = describe_settings(orders["layer"]) | {"channels": sorted(channels)}
        if orders["with_files"]:
            more = code.extra_files() if code is not bootstrap else ()
            facts["files"] = [*source_files(), *more]
        return Worker(self._link, self._board, site, settings, channels), facts

    def _consumer_found(self, name: str) -> None:
        if self._worker is not None:
            self._worker.consumer_found(name)

    def _obey(self, worker: Worker) -> int:
        """Wait for orders, until the last."""
        seconds = TICK_SECONDS
        while True:
            try:
                topic, _ = self._orders.get(timeout=seconds)
            except Empty:
                seconds = worker.tick()
                continue
            if topic == "begin":
                worker.begin()
            elif topic == "drain":
                return self._drain(worker)
            elif topic == "terminate":
                return self._drain(worker) or TERMINATED
            elif topic == "gone":
                worker.pool.stop()
                worker.pool.join(GRACE_SECONDS)
                return 1

    def _drain(self, worker: Worker) -> int:
        """Finish what runs."""
        worker.drain()
        while worker.pool.threads:
            try:
                topic, _ = self._orders.get(timeout=TICK_SECONDS)
            except Empty:
                worker.tell_finished()
                continue
            if topic == "gone":
                worker.pool.join(GRACE_SECONDS)
                return 1
        worker.tick()  # what was held back goes out
        self._link.close()
        return 0


def main() -> None:
    """Run the process and end it."""
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    if not _is_ours():
        raise SystemExit("txchannels: this program is started by twistd channels --processes")
    globalLogBeginner.beginLoggingTo(
        [textFileLogObserver(sys.stderr, timeFormat=None)], redirectStandardIO=False
    )
    code = Program().run()
    timer = threading.Timer(EXIT_SECONDS, _exit, [code])
    timer.daemon = True
    timer.start()
    raise SystemExit(code)


def _is_ours() -> bool:
    """Whether the daemon has left a socket where it should be."""
    return Path(f"/proc/self/fd/{LINK_DESCRIPTOR}").is_socket()


def _exit(code: int) -> None:
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    main()
