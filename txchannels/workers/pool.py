"""Messages into calls: a pool of long-lived threads that grows and shrinks with the load.

A message goes to the thread that was used last, so that no more threads (and database
connections) exist than the load needs. One thread at a time is woken: when it has
begun its message and more wait, it wakes the next. So code that computes, which holds
the interpreter anyway, is run by few threads in long turns, and code that blocks, which
lets the interpreter go, is joined by another thread at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from twisted.logger import Logger

if TYPE_CHECKING:
    from txchannels.layers.interfaces import ISubscription, Message

__all__ = ["Pool"]

log = Logger()

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
        self._subscription: ISubscription | None = None
        #: How many messages were run.
        self.done = 0

    def start(
        self,
        subscribe: Callable[[Collection[str], Callable[[str, Message], None]], ISubscription],
        channels: Collection[str],
    ) -> None:
        """Read *channels*, as many messages at a time as there may be threads."""
        self._subscription = subscribe(channels, self.deliver)
        self._subscription.request(self._max_threads)

    def deliver(self, channel: str, message: Message) -> None:
        """Take a message that a thread is free for; the layer calls it."""
        with self._lock:
            self._ready.append((channel, message))
            if not self._waking:
                self._wake_one()

    def _wake_one(self) -> None:
        """Wake the thread that was used last, or start one. With the lock held."""
        if self._idle:
            self._waking += 1
            self._idle.pop().baton.release()
        elif len(self._threads) < self._max_threads:
            self._waking += 1
            self._count += 1
            thread = _Thread(self, self._count)
            self._threads.add(thread)
            thread.start()

    def work(self, thread: _Thread) -> None:
        """A thread's life."""
        try:
            while True:
                item = self._next(thread)
                if item is None:
                    return
                thread.running = item[0]
                try:
                    self._run(*item)
                except BaseException:
                    log.failure("A message on {channel} was not handled", channel=item[0])
                thread.running = None
                self._finish_message()
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
                    if self._ready and not self._waking:
                        self._wake_one()
                    return item
                if self._is_stopping:
                    return None
                self._idle.append(thread)
            if not thread.baton.acquire(timeout=self._idle_seconds) and self._leave_idle(thread):
                return None

    def _leave_idle(self, thread: _Thread) -> bool:
        """Whether *thread* may end: nobody has woken it in the meantime."""
        with self._lock:
            if thread in self._idle:
                self._idle.remove(thread)
                return True
        thread.baton.acquire()
        return False

    def _finish_message(self) -> None:
        with self._lock:
            self._busy -= 1
            self._waking += 1
            self.done += 1
        if self._subscription is not None:
            self._subscription.request(1)

    def _retire(self, thread: _Thread) -> None:
        with self._lock:
            self._threads.discard(thread)
        try:
            self._thread_ended()
        except Exception:
            log.failure("A worker thread's end failed")

    # What others see

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or is about to."""
        with self._lock:
            return not self._busy and not self._ready

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
        if self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
        with self._lock:
            self._is_stopping = True
            idle, self._idle = self._idle, []
            self._waking += len(idle)
        for thread in idle:
            thread.baton.release()

    def join(self, timeout: float) -> bool:
        """Wait for the threads to end; False if some have not. Thread: not one of the pool's."""
        for thread in list(self._threads):
            thread.join(timeout)
        return not self._threads
