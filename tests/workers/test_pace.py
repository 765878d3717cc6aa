"""The switch interval follows what the worker threads do."""

import threading

from txchannels.workers.pace import LONG_SECONDS, Machine, Pace, thread_seconds


class Work:
    """A process whose time, CPU use and work are set by hand."""

    def __init__(self) -> None:
        self.now = self.process = self.own = 0.0
        self.done = 0
        self.interval = 0.0
        self.timeslice = 0.0
        self.changes = 0
        self.turns: dict[tuple[int, int], float] = {}
        self.pace = Pace(
            0.0002,
            lambda: self.done,
            lambda: self.turns,
            Machine(
                clock=lambda: self.now,
                process_seconds=lambda: self.process,
                own_seconds=lambda: self.own,
                thread_seconds=lambda thread: self.turns[thread, 1],
                set_interval=self.set_interval,
                wish_timeslice=self.wish_timeslice,
            ),
        )

    def wish_timeslice(self, seconds: float) -> None:
        self.timeslice = seconds

    def set_interval(self, seconds: float) -> None:
        self.interval = seconds
        self.changes += 1

    def run(self, *, workers: float, own: float = 0.0, done: int) -> None:
        """A tenth of a second with so many CPU seconds used and messages done."""
        self.now += 0.1
        self.process += workers + own
        self.own += own
        self.done += done
        self.pace.tick()


def test_many_short_messages_get_long_turns() -> None:
    machine = Work()
    machine.run(workers=0.07, own=0.03, done=700)
    assert machine.interval == LONG_SECONDS


def test_a_message_that_computes_without_end_makes_turns_short() -> None:
    machine = Work()
    machine.run(workers=0.1, done=0)
    assert machine.interval == 0.0002
    assert machine.timeslice == 0.0002


def test_messages_that_compute_for_long_make_turns_short() -> None:
    machine = Work()
    machine.run(workers=0.09, done=3)
    assert machine.interval == 0.0002


def test_one_message_that_computes_beside_many_short_ones_makes_turns_short() -> None:
    machine = Work()
    machine.turns = {(7, 1): 0.0}
    machine.run(workers=0.09, done=500)
    assert machine.interval == LONG_SECONDS
    machine.turns = {(7, 1): 0.05}
    machine.run(workers=0.09, done=500)
    assert machine.interval == 0.0002


def test_a_message_that_only_waits_beside_many_short_ones_changes_nothing() -> None:
    machine = Work()
    machine.turns = {(7, 1): 0.0}
    machine.run(workers=0.09, done=500)
    machine.turns = {(7, 1): 0.001}
    machine.run(workers=0.09, done=500)
    assert machine.interval == LONG_SECONDS


def test_a_thread_s_own_seconds_are_read() -> None:
    before = thread_seconds(threading.get_ident())
    while thread_seconds(threading.get_ident()) <= before:
        pass


def test_turns_are_long_again_when_the_computing_ends() -> None:
    machine = Work()
    machine.run(workers=0.1, done=0)
    machine.run(workers=0.001, done=1)
    assert machine.interval == LONG_SECONDS
    assert machine.timeslice == 0.0


def test_what_the_reactor_itself_uses_does_not_count() -> None:
    machine = Work()
    machine.run(workers=0.0, own=0.1, done=0)
    assert machine.interval == LONG_SECONDS


def test_the_interval_is_set_only_when_it_changes() -> None:
    machine = Work()
    for _ in range(5):
        machine.run(workers=0.1, done=0)
    assert machine.changes == 2


def test_the_short_interval_is_never_longer_than_pythons_own() -> None:
    intervals: list[float] = []
    machine = Machine(
        clock=iter([0.0, 1.0]).__next__,
        process_seconds=iter([0.0, 9.0]).__next__,
        own_seconds=lambda: 0.0,
        set_interval=intervals.append,
        wish_timeslice=lambda seconds: None,
    )
    Pace(1.0, lambda: 0, lambda: (), machine).tick()
    assert intervals == [LONG_SECONDS, LONG_SECONDS]
