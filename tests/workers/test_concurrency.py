"""When one thread runs all messages, and when there are many again; by a clock turned by hand."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from txchannels.workers.concurrency import (
    FEW,
    LOOK_SECONDS,
    MAX_SPREAD_SECONDS,
    MIN_SPREAD_SECONDS,
    STALL_SECONDS,
    WATCH_SECONDS,
    Concurrency,
    runnable_seconds,
)


class Machine:
    """A pool and a kernel whose figures are set by hand."""

    def __init__(self) -> None:
        self.is_serial = False
        self.has_ready = False
        self.begun = 0
        self.now = 100.0
        self.used = 0.0
        self.runnable = {"7": 50.0}
        self.concurrency = Concurrency(
            self,
            clock=lambda: self.now,
            process_seconds=lambda: self.used,
            runnable_seconds=lambda: dict(self.runnable),
        )

    def pass_time(
        self,
        seconds: float,
        *,
        per_second: float,
        has_ready: bool = True,
        share: float = 1.0,
        queued: float = 0.0,
    ) -> None:
        """So much time, with so many messages, looked at as often as is asked for.

        Args:
            share: How much of it is computed.
            queued: For how much of it a processor is waited for.
        """
        until = self.now + seconds
        begun = float(self.begun)
        while self.now < until:
            step = self.concurrency.look()
            self.now += step
            begun += per_second * step
            self.begun = int(begun)
            self.has_ready = has_ready
            self.used += share * step
            self.runnable["7"] += (share + queued) * step


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_few_messages_are_run_by_many_threads(machine: Machine) -> None:
    machine.pass_time(5.0, per_second=0.5 * FEW / LOOK_SECONDS)
    assert not machine.is_serial


def test_many_short_ones_are_run_by_one(machine: Machine) -> None:
    machine.pass_time(0.5, per_second=5000)
    assert machine.is_serial
    machine.pass_time(20.0, per_second=5000)
    assert machine.is_serial


def test_it_is_watched_closely_only_while_one_thread_runs_all(machine: Machine) -> None:
    assert machine.concurrency.look() == LOOK_SECONDS
    machine.pass_time(0.5, per_second=5000)
    assert machine.concurrency.look() == WATCH_SECONDS


def test_there_are_many_again_when_the_load_ends(machine: Machine) -> None:
    machine.pass_time(0.5, per_second=5000)
    machine.pass_time(0.3, per_second=0, has_ready=False, share=0.0)
    assert not machine.is_serial
    assert machine.concurrency.look() == LOOK_SECONDS


def test_a_message_that_others_wait_behind_is_joined_by_other_threads(machine: Machine) -> None:
    machine.pass_time(0.5, per_second=5000)
    machine.pass_time(STALL_SECONDS + 3 * WATCH_SECONDS, per_second=0)
    assert not machine.is_serial


def test_a_long_message_that_nobody_waits_behind_changes_nothing(machine: Machine) -> None:
    machine.pass_time(0.5, per_second=5000)
    machine.pass_time(STALL_SECONDS + 3 * WATCH_SECONDS, per_second=0, has_ready=False)
    assert machine.is_serial


def test_messages_that_wait_for_a_little_are_found_by_what_the_process_does_not_use(
    machine: Machine,
) -> None:
    machine.pass_time(0.5, per_second=5000)
    machine.pass_time(0.5, per_second=800, share=0.2)
    assert not machine.is_serial


def test_a_process_that_is_not_given_a_processor_does_not_wait(machine: Machine) -> None:
    machine.pass_time(0.5, per_second=5000)
    machine.pass_time(2.0, per_second=800, share=0.2, queued=0.8)
    assert machine.is_serial


def test_a_thread_without_work_does_not_wait(machine: Machine) -> None:
    machine.pass_time(0.5, per_second=5000)
    machine.pass_time(2.0, per_second=800, has_ready=False, share=0.2)
    assert machine.is_serial


def test_one_thread_is_tried_less_and_less_often(machine: Machine) -> None:
    pauses = []
    for _ in range(8):
        machine.pass_time(0.5, per_second=5000)
        while not machine.is_serial:
            machine.pass_time(LOOK_SECONDS, per_second=5000)
        machine.pass_time(STALL_SECONDS + 3 * WATCH_SECONDS, per_second=0)
        spread_at = machine.now
        while not machine.is_serial:
            machine.pass_time(LOOK_SECONDS, per_second=5000)
        pauses.append(round(machine.now - spread_at))
        machine.pass_time(STALL_SECONDS + 3 * WATCH_SECONDS, per_second=0)
    assert pauses == sorted(pauses)
    assert pauses[0] >= MIN_SPREAD_SECONDS
    assert MAX_SPREAD_SECONDS - 0.5 <= pauses[-1] <= MAX_SPREAD_SECONDS + 1.0


def test_after_a_good_time_it_is_tried_again_soon(machine: Machine) -> None:
    for _ in range(5):
        machine.pass_time(MAX_SPREAD_SECONDS + 1.0, per_second=5000)
        assert machine.is_serial
        machine.pass_time(STALL_SECONDS + 3 * WATCH_SECONDS, per_second=0)
        assert not machine.is_serial
    machine.pass_time(2 * MAX_SPREAD_SECONDS, per_second=5000)
    machine.pass_time(STALL_SECONDS + 3 * WATCH_SECONDS, per_second=0)
    assert not machine.is_serial
    machine.pass_time(MIN_SPREAD_SECONDS + 3 * LOOK_SECONDS, per_second=5000)
    assert machine.is_serial


def test_a_look_that_comes_late_is_no_stall(machine: Machine) -> None:
    machine.pass_time(0.5, per_second=5000)
    machine.has_ready = True
    for _ in range(20):
        machine.now += 10 * STALL_SECONDS
        machine.begun += 500
        machine.used += 10 * STALL_SECONDS
        machine.concurrency.look()
        assert machine.is_serial


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not tell")
def test_the_kernel_tells_who_computes_and_who_waits() -> None:
    may_end = threading.Event()
    waiting = threading.Thread(target=may_end.wait)
    waiting.start()
    try:
        before = runnable_seconds()
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            sum(range(1000))
        may_end.wait(0.001)
        after = runnable_seconds()
    finally:
        may_end.set()
        waiting.join()
    me, other = str(threading.get_native_id()), str(waiting.native_id)
    # The kernel counts at its ticks: up to 10 ms are missing.
    assert after[me] - before[me] >= 0.03
    assert after[other] - before[other] < 0.03
