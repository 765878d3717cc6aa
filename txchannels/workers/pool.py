"""Messages into calls: a pool of long-lived threads that grows and shrinks with the load.

A message goes to the thread that was used last, so that no more threads (and database
connections) exist than the load needs. One thread at a time is woken: when it has
begun its message and more wait, it wakes the next. So code that computes, which holds
the interpreter anyway, is run by few threads in long turns, and code that blocks, which
lets the interpreter go, is joined by another thread at once. Or it is serial, while
somebody sees to that (`concurrency`): one thread runs all messages, one after another.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from queue import SimpleQueue
from typing import TYPE_CHECKING

from twisted.logger import Logger

if TYPE_CHECKING:
    from txchannels.layers.interfaces import ISubscription, Message

__all__ = ["Pool"]

log = Logger()

#: A start that the system has refused is tried again, when there is no other thread.
RETRY_SECONDS = 0.5

Run = Callable[[str, "Message"], None]


class _Thread(threading.Thread):
    """One worker thread, parked on its baton while idle."""

    def __init__(self, pool: Pool, number: int) -> None:
        super().__init__(name=f"txchannels-worker-{number}", daemon=True)
        self._pool = pool
        self.baton = threading.Lock()
        self.baton.acquire()
        #: What it runs now: the channel's name.
        self.running: str | None = None
        #: How many messages it has begun.
        self.begun = 0
        #: Whether it is to end, and counts no more.
        self.is_leaving = False

    def run(self) -> None:
        self._pool.work(self)


class Pool:
    """See the module.

    Args:
        run: Called with each message in a worker thread; what it raises is logged.
        max_threads: The most threads there may be.
        idle_seconds: A thread without work for so long ends.
        thread_ended: Called in a thread that is about to end.

    Thread: any, unless a method says otherwise.
    """

    def __init__(
        self,
        run: Run,
        *,
        max_threads: int,
        idle_seconds: float,
        thread_ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._run = run
        self._max_threads = max_threads
        self._idle_seconds = idle_seconds
        self._thread_ended = thread_ended
        self._lock = threading.Lock()
        self._ready: deque[tuple[str, Message]] = deque()
        self._idle: list[_Thread] = []
        self._threads: set[_Thread] = set()
        self._waking = 0  # threads that were woken and have not begun a message
        self._busy = 0
        self._count = 0
        self._is_stopping = False
        self._is_refused = False
        self._stopped = threading.Event()
        self._subscription: ISubscription | None = None
        # A thread is started by a thread: `deliver` is called with the layer's lock held,
        # and a start waits until the new thread has run, behind all that compute.
        self._starts: SimpleQueue[bool] = SimpleQueue()
        self._starter = threading.Thread(
            target=self._start_threads, name="txchannels-worker-starter", daemon=True
        )
        self._is_serial = False
        #: How many messages were begun.
        self.begun = 0
        #: How many messages were run.
        self.done = 0

    def start(
        self,
        subscribe: Callable[[Collection[str], Callable[[str, Message], None]], ISubscription],
        channels: Collection[str],
    ) -> None:
        """Read *channels*, as many messages at a time as there may be threads."""
        self._starter.start()
        self._subscription = subscribe(channels, self.deliver)
        self._subscription.request(self._max_threads)

    def deliver(self, channel: str, message: Message) -> None:
        """Take a message that a thread is free for; the layer calls it."""
        with self._lock:
            self._ready.append((channel, message))
            if not self._waking and not (self._is_serial and self._busy):
                self._wake_one()

    def _wake_one(self) -> None:
        """Wake the thread that was used last, or have one started. With the lock held.

        Only while none is being woken: so no more than one is being started.
        """
        if self._idle:
            self._waking += 1
            self._idle.pop().baton.release()
        elif len(self._threads) < self._max_threads:
            self._waking += 1
            self._starts.put(True)

    def _start_threads(self) -> None:
        """Start a thread whenever one is asked for. Thread: the pool's own for this."""
        while self._starts.get():
            while not self._start_thread():
                self._stopped.wait(RETRY_SECONDS)

    def _start_thread(self) -> bool:
        """Start one thread; False if it has to be tried again."""
        with self._lock:
            self._count += 1
            thread = _Thread(self, self._count)
            self._threads.add(thread)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            self._log_refusal(error)
            return self._do_without(thread)
        self._is_refused = False
        return True

    def _do_without(self, thread: _Thread) -> bool:
        """Leave the messages to the other threads; False if there are none."""
        with self._lock:
            self._threads.discard(thread)
            if not self._threads and self._ready and not self._is_stopping:
                return False
            self._waking -= 1
            # All others are busy or about to look for a message.
            if self._ready and self._idle and not self._waking:
                self._wake_one()
            self._end_starter()
            return True

    def _log_refusal(self, error: BaseException) -> None:
        if not self._is_refused:
            self._is_refused = True
            log.error(
                "No further worker thread can be started, {count} must do: {error}",
                count=len(self._threads) - 1,
                error=error,
            )

    def _end_starter(self) -> None:
        """No thread will be needed any more. With the lock held."""
        if self._is_stopping and not self._threads and not self._waking:
            self._starts.put(False)

    def work(self, thread: _Thread) -> None:
        """Run messages until there are none. Thread: *thread*."""
        try:
            while True:
                item = self._next(thread)
                if item is None:
                    return
                try:
                    self._run(*item)
                except BaseException:
                    log.failure("A message on {channel} was not handled", channel=item[0])
                self._finish_message(thread)
        except BaseException:
            log.failure("A worker thread has died; another takes its place")
        finally:
            self._retire(thread)

    def _next(self, thread: _Thread) -> tuple[str, Message] | None:
        """Wait for a message; None when the thread is to end. The thread counts as woken."""
        while True:
            with self._lock:
                self._waking -= 1
                if self._ready:
                    item = self._ready.popleft()
                    self._busy += 1
                    self.begun += 1
                    thread.begun += 1
                    thread.running = item[0]
                    if self._ready and not self._waking and not self._is_serial:
                        self._wake_one()
                    return item
                if self._is_stopping:
                    thread.is_leaving = True
                    return None
                self._idle.append(thread)
            if not thread.baton.acquire(timeout=self._idle_seconds) and self._leave_idle(thread):
                return None

    def _leave_idle(self, thread: _Thread) -> bool:
        """Whether *thread* may end: nobody has woken it in the meantime."""
        with self._lock:
            if thread in self._idle:
                self._idle.remove(thread)
                thread.is_leaving = True
                return True
        thread.baton.acquire()
        return False

    def _finish_message(self, thread: _Thread) -> None:
        with self._lock:
            thread.running = None
            self._busy -= 1
            self._waking += 1
            self.done += 1
        subscription = self._subscription
        if subscription is not None:
            subscription.request(1)

    def _retire(self, thread: _Thread) -> None:
        """End a thread, whatever it was at. Its place is free when it has let go of all."""
        try:
            self._thread_ended()
        except BaseException:
            log.failure("A worker thread's end failed")
        finally:
            try:
                if thread.running is not None:
                    self._finish_message(thread)
            finally:
                self._give_up_place(thread)

    def _give_up_place(self, thread: _Thread) -> None:
        with self._lock:
            self._threads.discard(thread)
            if thread in self._idle:
                self._idle.remove(thread)
            elif not thread.is_leaving:
                self._waking -= 1
            # What came while this thread could not take it, and no other could be started.
            if self._ready and not self._waking:
                self._wake_one()
            self._end_starter()

    # What others see

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or is about to."""
        with self._lock:
            # A thread between two messages is woken: the layer may be handing it the next.
            return not self._busy and not self._ready and not self._waking

    @property
    def has_ready(self) -> bool:
        """Whether a message waits for a thread: one will take it at once, or the one that runs."""
        return bool(self._ready)

    @property
    def is_serial(self) -> bool:
        """Whether a message waits for those before it, though there are threads."""
        return self._is_serial

    @is_serial.setter
    def is_serial(self, is_serial: bool) -> None:
        with self._lock:
            self._is_serial = is_serial and self._subscription is not None
            if not self._is_serial and self._ready and not self._waking:
                self._wake_one()

    def turns(self) -> set[tuple[int, int]]:
        """What runs now, as values to compare: a thread's identifier and which of its messages."""
        return {(one.ident or 0, one.begun) for one in list(self._threads) if one.running}

    def running(self) -> list[tuple[str, str, int]]:
        """What runs now: (thread's name, channel, thread's identifier)."""
        return [
            (thread.name, channel, thread.ident or 0)
            for thread in list(self._threads)
            if (channel := thread.running) is not None
        ]

    def stop(self) -> None:
        """Take no more messages, and let every thread end when it has finished its own.

        Thread: the reactor's.
        """
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        subscription.cancel()
        self.is_serial = False
        with self._lock:
            self._is_stopping = True
            idle, self._idle = self._idle, []
            self._waking += len(idle)
            self._end_starter()
        self._stopped.set()
        for thread in idle:
            thread.baton.release()

    def join(self, timeout: float) -> bool:
        """Wait for the threads to end; False if some have not. Thread: not one of the pool's."""
        until = time.monotonic() + timeout
        # The starter ends when all others have.
        for thread in [*self._threads, self._starter]:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        return not self._threads
