"""The pool: threads for messages. Times are guards against hanging only."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import Counter

import pytest
from twisted.logger import globalLogPublisher

from txchannels.layers.memory import MemoryLayer
from txchannels.workers import pool as pool_module
from txchannels.workers.pool import Pool

GUARD_SECONDS = 30


class Worked:
    """A pool on a hub; `send` sends it messages. Each runs `run(n)`."""

    def __init__(self, run, *, threads, idle_seconds=GUARD_SECONDS, thread_ended=lambda: None):
        self.hub = MemoryLayer(capacity=100_000).hub
        self.numbers = itertools.count()
        self.pool = Pool(
            lambda channel, message: run(message["n"]),
            max_threads=threads,
            idle_seconds=idle_seconds,
            thread_ended=thread_ended,
        )
        self.pool.start(self.hub.subscribe, ["work"])

    def send(self, count=1):
        for _ in range(count):
            self.hub.send("work", {"n": next(self.numbers)})

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.pool.stop()
        assert self.pool.join(GUARD_SECONDS)
        assert self.pool.is_idle
        # one that has given up its place has a few steps left
        wait_until(
            lambda: (
                not [
                    one for one in threading.enumerate() if one.name.startswith("txchannels-worker")
                ]
            )
        )


class Steps:
    """A run that says when it has begun, and waits until it is let go."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.threads = []

    def __call__(self, n):
        self.threads.append(threading.current_thread())
        self.begun.release()
        assert self.may_end.acquire(timeout=GUARD_SECONDS)

    def wait_begun(self, count=1):
        for _ in range(count):
            assert self.begun.acquire(timeout=GUARD_SECONDS)

    def end(self, count=1):
        self.may_end.release(count)


@pytest.fixture
def steps():
    return Steps()


@pytest.fixture
def logged():
    """The events that were logged."""
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def texts(events):
    return [event["log_format"] for event in events]


def wait_until(is_so):
    """Wait, letting others run, until *is_so*; for what no event tells of."""
    pause = threading.Event()
    for _ in range(GUARD_SECONDS * 1000):
        if is_so():
            return
        pause.wait(0.001)
    pytest.fail("it never came to be so")


# Threads come and go


def test_there_is_no_thread_without_a_message_and_one_is_enough_for_one_at_a_time(steps):
    with Worked(steps, threads=8) as worked:
        assert worked.pool.threads == 0
        for _ in range(20):
            worked.send()
            steps.wait_begun()
            steps.end()
            wait_until(lambda: worked.pool.is_idle)
        assert worked.pool.threads == 1


@pytest.mark.parametrize("count", [2, 8, 64])
def test_as_many_messages_run_at_once_as_there_may_be_threads(count):
    together = threading.Barrier(count)
    with Worked(lambda n: together.wait(GUARD_SECONDS), threads=count) as worked:
        for _ in range(3):
            worked.send(count)
        wait_until(lambda: worked.pool.done == 3 * count)
        assert worked.pool.threads == count
        assert not together.broken


def test_there_are_never_more_threads_than_allowed(steps):
    with Worked(steps, threads=2) as worked:
        worked.send(5)
        steps.wait_begun(2)
        assert worked.pool.threads == 2
        assert worked.hub.accounts()["work"].pending == 3  # not fetched before it can be run
        steps.end(5)
        steps.wait_begun(3)


def test_one_thread_runs_messages_in_order():
    done = []
    with Worked(done.append, threads=1) as worked:
        worked.send(500)
        wait_until(lambda: worked.pool.done == 500)
    assert done == list(range(500))


def test_the_thread_that_was_used_last_works_first(steps):
    with Worked(steps, threads=3) as worked:
        worked.send(3)
        steps.wait_begun(3)
        steps.end(3)
        wait_until(lambda: worked.pool.is_idle)
        last = worked.pool._idle[-1]
        for _ in range(5):
            worked.send()
            steps.wait_begun()
            steps.end()
            wait_until(lambda: worked.pool.is_idle)
        assert set(steps.threads[3:]) == {last}


def test_a_thread_without_work_ends_and_says_so_itself(steps):
    ended = []

    def thread_ended():
        ended.append((threading.current_thread(), worked.pool.threads))

    with Worked(steps, threads=2, idle_seconds=0.01, thread_ended=thread_ended) as worked:
        worked.send(2)
        steps.wait_begun(2)
        steps.end(2)
        wait_until(lambda: worked.pool.threads == 0)
        assert {thread for thread, _ in ended} == set(steps.threads)
        # its place was taken until it had let go of all
        assert [left for _, left in ended].count(0) == 0
        worked.send()
        steps.wait_begun()
        steps.end()
        wait_until(lambda: worked.pool.done == 3)


def test_a_message_that_comes_while_the_last_thread_ends_is_run(steps):
    def thread_ended():
        if worked.pool.done == 1:
            worked.send()

    with Worked(steps, threads=1, idle_seconds=0.01, thread_ended=thread_ended) as worked:
        worked.send()
        steps.end(2)
        wait_until(lambda: worked.pool.done == 2)


def test_a_thread_whose_end_fails_ends_all_the_same(logged):
    with Worked(lambda n: None, threads=1, thread_ended=lambda: 1 / 0) as worked:
        worked.send()
        wait_until(lambda: worked.pool.done == 1)
    assert texts(logged) == ["A worker thread's end failed"]


def test_running_names_threads_and_channels(steps):
    with Worked(steps, threads=2) as worked:
        assert worked.pool.running() == []
        worked.send()
        steps.wait_begun()
        [(name, channel, identifier)] = worked.pool.running()
        [thread] = steps.threads
        assert (name, channel, identifier) == (thread.name, "work", thread.ident)
        assert not worked.pool.is_idle
        steps.end()
        wait_until(lambda: worked.pool.running() == [])


# Nothing is lost


@pytest.mark.parametrize("threads", [1, 2, 8, 64])
def test_every_message_is_run_exactly_once(threads):
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    runs, lock = Counter(), threading.Lock()

    def run(n):
        with lock:
            runs[n] += 1

    try:
        with Worked(run, threads=threads, idle_seconds=0.0005) as worked:
            senders = [threading.Thread(target=worked.send, args=(2500,)) for _ in range(4)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join(GUARD_SECONDS)
            wait_until(lambda: worked.pool.done == 10_000)
    finally:
        sys.setswitchinterval(usual)
    assert len(runs) == 10_000
    assert set(runs.values()) == {1}
    account = worked.hub.accounts()["work"]
    assert (account.sent, account.delivered, account.pending) == (10_000, 10_000, 0)


def test_a_pool_is_not_idle_while_a_message_waits_for_its_thread():
    """Not even in the moment between two messages, when nothing runs."""
    seen = []

    class Watched:
        def __init__(self, subscription):
            self.subscription = subscription
            self.cancel = subscription.cancel

        def request(self, count):
            if hub.accounts()["work"].pending:
                seen.append(pool.is_idle)
            self.subscription.request(count)

    hub = MemoryLayer().hub
    for n in range(5):
        hub.send("work", {"n": n})
    pool = Pool(lambda *message: None, max_threads=1, idle_seconds=GUARD_SECONDS)
    pool.start(lambda *given: Watched(hub.subscribe(*given)), ["work"])
    wait_until(lambda: pool.done == 5)
    pool.stop()
    assert pool.join(GUARD_SECONDS)
    assert seen[1:] == [False] * 4


# Failures


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_run_raises_is_logged_once_and_harms_nothing(error, logged):
    def run(n):
        if n == 0:
            raise error("no")

    with Worked(run, threads=1) as worked:
        worked.send(3)
        wait_until(lambda: worked.pool.done == 3)
        assert worked.pool.threads == 1
    assert texts(logged) == ["A message on {channel} was not handled"]
    assert logged[0]["channel"] == "work"
    assert logged[0]["log_failure"].check(error)


class BrokenLog:
    """A log that fails, some times."""

    def __init__(self, failures):
        self.failures = failures
        self.calls = []

    def failure(self, text, **fields):
        self.calls.append(text)
        if len(self.calls) <= self.failures:
            raise MemoryError("the log is broken")

    error = failure


@pytest.mark.parametrize("threads", [1, 4])
def test_a_thread_that_dies_is_replaced_and_its_demand_is_not_lost(threads, monkeypatch):
    ended = []
    broken = BrokenLog(failures=0)

    def fail(text, **fields):
        broken.calls.append(text)
        if text.startswith("A message"):
            raise MemoryError("the log is broken")

    broken.failure = fail
    monkeypatch.setattr(pool_module, "log", broken)

    def run(n):
        if n % 3 == 0:
            raise ValueError("no")

    with Worked(run, threads=threads, thread_ended=lambda: ended.append(1)) as worked:
        worked.send(60)
        wait_until(lambda: worked.pool.done == 60)
        wait_until(lambda: worked.pool.is_idle)
        assert worked.pool._busy == worked.pool._waking == 0
        assert worked.pool._subscription.requested == threads
        assert worked.pool.threads <= threads
    assert broken.calls.count("A worker thread has died; another takes its place") == 20
    assert len(ended) >= 20


def test_a_death_that_cannot_be_logged_is_survived_too(monkeypatch):
    died = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    monkeypatch.setattr(pool_module, "log", BrokenLog(failures=2))

    def run(n):
        if n == 0:
            raise ValueError("no")

    with Worked(run, threads=1) as worked:
        worked.send(3)
        wait_until(lambda: worked.pool.done == 3 and worked.pool.is_idle)
        assert worked.pool._subscription.requested == 1
    assert [one.exc_type for one in died] == [MemoryError]


class Refusing:
    """The system, which starts no thread of the pool while it is told to refuse."""

    def __init__(self, monkeypatch):
        self.is_refusing = False
        self.refused = threading.Semaphore(0)
        start = threading.Thread.start

        def start_unless_refused(thread):
            if self.is_refusing:
                self.refused.release()
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(pool_module._Thread, "start", start_unless_refused)


def test_a_message_for_which_no_thread_can_be_started_is_run_by_another(steps, monkeypatch, logged):
    system = Refusing(monkeypatch)
    with Worked(steps, threads=4) as worked:
        worked.send()
        steps.wait_begun()
        system.is_refusing = True
        worked.send(3)
        assert system.refused.acquire(timeout=GUARD_SECONDS)
        steps.end(4)
        wait_until(lambda: worked.pool.done == 4)
        assert len(set(steps.threads)) == 1
        assert len(texts(logged)) == 1
        assert "No further worker thread can be started" in texts(logged)[0]
        assert logged[0]["count"] == 1


def test_without_any_thread_a_start_is_tried_until_it_succeeds(monkeypatch, logged):
    monkeypatch.setattr(pool_module, "RETRY_SECONDS", 0.001)
    system = Refusing(monkeypatch)
    system.is_refusing = True
    with Worked(lambda n: None, threads=2) as worked:
        worked.send(3)
        for _ in range(5):
            assert system.refused.acquire(timeout=GUARD_SECONDS)
        assert not worked.pool.is_idle
        system.is_refusing = False
        wait_until(lambda: worked.pool.done == 3)
    assert len(texts(logged)) == 1


def test_a_pool_that_cannot_start_a_thread_can_be_stopped(monkeypatch, logged):
    system = Refusing(monkeypatch)
    system.is_refusing = True
    hub = MemoryLayer().hub
    pool = Pool(lambda *message: None, max_threads=2, idle_seconds=1)
    pool.start(hub.subscribe, ["work"])
    hub.send("work", {})
    assert system.refused.acquire(timeout=GUARD_SECONDS)
    pool.stop()
    assert pool.join(GUARD_SECONDS)
    assert len(logged) == 1


def test_a_thread_is_started_outside_the_layers_lock(monkeypatch):
    """Else a start, which waits for the new thread, would hold up every sender."""
    start = threading.Thread.start
    free = []

    def watched_start(thread):
        for lock in (worked.hub._lock, worked.pool._lock):
            # whoever asked for the start may still hold it for a moment
            free.append(lock.acquire(timeout=GUARD_SECONDS))
            lock.release()
        start(thread)

    monkeypatch.setattr(pool_module._Thread, "start", watched_start)
    with Worked(lambda n: None, threads=2) as worked:
        worked.send()
        wait_until(lambda: worked.pool.done == 1)
    assert free == [True, True]


# The end


def test_stop_lets_running_messages_finish_and_takes_none_after(steps):
    with Worked(steps, threads=1) as worked:
        worked.send(3)
        steps.wait_begun()
        worked.pool.stop()
        worked.send()
        assert worked.pool.threads == 1
        assert not worked.pool.join(0.001)
        steps.end()
        assert worked.pool.join(GUARD_SECONDS)
        assert worked.pool.done == 1
        assert worked.hub.accounts()["work"].pending == 3


def test_stop_ends_idle_threads_at_once(steps):
    ended = []
    with Worked(steps, threads=3, thread_ended=lambda: ended.append(1)) as worked:
        worked.send(3)
        steps.wait_begun(3)
        steps.end(3)
        wait_until(lambda: worked.pool.is_idle)
        worked.pool.stop()
        worked.pool.stop()
        assert worked.pool.join(GUARD_SECONDS)
    assert len(ended) == 3


def test_a_pool_that_was_never_started_stops():
    pool = Pool(lambda *message: None, max_threads=1, idle_seconds=1)
    pool.stop()
    assert pool.join(0)
    assert pool.is_idle


def test_messages_that_were_taken_before_the_stop_are_run():
    first = threading.Event()
    done = []

    def run(n):
        assert first.wait(GUARD_SECONDS)
        done.append(n)

    with Worked(run, threads=4) as worked:
        worked.send(4)
        worked.pool.stop()
        first.set()
        assert worked.pool.join(GUARD_SECONDS)
    assert sorted(done) == [0, 1, 2, 3]


def test_what_runs_can_be_told_from_what_ran_before(steps):
    with Worked(steps, threads=1) as worked:
        worked.send(2)
        steps.wait_begun()
        first = worked.pool.turns()
        assert first == worked.pool.turns()
        steps.end()
        steps.wait_begun()
        second = worked.pool.turns()
        assert len(first) == len(second) == 1
        assert first != second
        steps.end()


# Serial: one thread runs all


def test_serial_one_thread_runs_what_waits_though_others_are_allowed(steps):
    with Worked(steps, threads=8) as worked:
        worked.pool.is_serial = True
        worked.send(5)
        for count in range(1, 6):
            steps.wait_begun()
            assert worked.pool.has_ready == (count < 5)
            assert worked.pool.threads == 1
            steps.end()
        wait_until(lambda: worked.pool.done == 5)
        assert set(steps.threads) == {steps.threads[0]}


def test_serial_ends_at_once_for_what_waits_behind_a_message(steps):
    with Worked(steps, threads=8) as worked:
        worked.pool.is_serial = True
        worked.send(4)
        steps.wait_begun()
        worked.pool.is_serial = False
        steps.wait_begun(3)
        assert worked.pool.threads == 4
        steps.end(4)


def test_serial_takes_what_comes_between_two_messages():
    ran = []
    with Worked(ran.append, threads=4) as worked:
        worked.pool.is_serial = True
        for _ in range(2000):
            worked.send()
        wait_until(lambda: worked.pool.done == 2000)
        assert ran == sorted(ran)


def test_serial_or_not_may_change_at_any_moment():
    done = []
    with Worked(done.append, threads=8) as worked:
        for turn in range(3000):
            worked.send()
            worked.pool.is_serial = turn % 3 == 0
        wait_until(lambda: worked.pool.done == 3000)
    assert sorted(done) == list(range(3000))


def test_a_pool_that_stops_is_serial_no_more(steps):
    with Worked(steps, threads=4) as worked:
        worked.pool.is_serial = True
        worked.send(3)
        steps.wait_begun()
        worked.pool.stop()
        steps.wait_begun(2)
        worked.pool.is_serial = True
        assert not worked.pool.is_serial
        steps.end(3)


def test_a_pool_counts_what_was_begun(steps):
    with Worked(steps, threads=2) as worked:
        worked.send(3)
        steps.wait_begun(2)
        assert (worked.pool.begun, worked.pool.done) == (2, 0)
        steps.end(3)
        wait_until(lambda: worked.pool.done == 3)
        assert worked.pool.begun == 3
