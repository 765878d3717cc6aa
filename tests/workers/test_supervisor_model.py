"""Whatever happens in whatever order: what must hold of the supervisor always, and at the end."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.workers.supervised import World


class Supervision(RuleBasedStateMachine):
    """Processes get ready, fail, work, get stuck and die; operators reload and stop."""

    picks = st.integers(0, 10**6)

    @initialize(count=st.integers(1, 4), limits=st.booleans())
    def begin(self, count, limits):
        more = {"max_messages": 50, "max_age_seconds": 300.0} if limits else {}
        self.count = count
        self.world = World(count, stuck_timeout_seconds=20.0, **more)
        self.world.start()
        self.asked = 0
        self.outcomes = []
        self.stopped = []
        self.lost = 0

    def pick(self, processes, number):
        return processes[number % len(processes)] if processes else None

    @rule(number=picks)
    def one_gets_ready(self, number):
        if process := self.pick(self.world.starting, number):
            process.ready()

    @rule()
    def all_get_ready(self):
        self.world.ready_all()

    @rule(number=picks)
    def one_fails(self, number):
        if process := self.pick(self.world.starting, number):
            process.failed()

    @rule(number=picks, lost=st.integers(0, 3))
    def one_ends(self, number, lost):
        if process := self.pick(self.world.alive, number):
            self.lost += lost
            process.end(lost=lost)

    @rule()
    def the_killed_end(self):
        self.world.end_killed()

    @rule(number=picks)
    def one_that_drains_ends(self, number):
        if process := self.pick([one for one in self.world.alive if "drain" in one.told], number):
            process.end("exit code 0")

    @rule(number=picks, messages=st.sampled_from([1, 60]))
    def one_works(self, number, messages):
        if process := self.pick(self.world.serving, number):
            process.work(messages)

    @rule(number=picks, is_full=st.booleans())
    def one_is_full_or_not(self, number, is_full):
        if process := self.pick(self.world.serving, number):
            process.is_full, process.running = is_full, 4 * is_full

    @rule(count=st.integers(1, 3))
    def the_system_refuses(self, count):
        self.world.refusals = count

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0, 30.0, 70.0]))
    def time_passes(self, seconds):
        self.world.advance(seconds, 1.0)

    @rule()
    def a_reload_is_asked_for(self):
        self.asked += 1
        self.world.supervisor.reload().addCallback(self.outcomes.append)

    @precondition(lambda self: self.asked > 2)
    @rule()
    def a_stop_is_asked_for(self):
        self.world.supervisor.stop().addCallback(self.stopped.append)

    @invariant()
    def those_that_serve_are_of_one_generation_and_no_more_than_allowed(self):
        serving = self.world.serving
        assert len(serving) <= self.count
        assert len({one.generation for one in serving}) <= 1
        assert len({one.number for one in serving}) == len(serving)

    @invariant()
    def there_are_no_more_processes_than_needed(self):
        at_work = [one for one in self.world.alive if set(one.told) <= {"begin"}]
        at_work = [one for one in at_work if not one.has_failed]
        assert len(at_work) <= 2 * self.count + 1

    @invariant()
    def broken_is_told_and_means_that_nobody_serves(self):
        supervisor, told = self.world.supervisor, self.world.broken
        assert told == [number % 2 == 0 for number in range(len(told))]
        if supervisor.is_broken:
            assert not self.world.serving
        if "stopping" not in supervisor.status():
            assert supervisor.is_broken == (len(told) % 2 == 1)

    @invariant()
    def what_is_lost_is_counted(self):
        assert self.world.supervisor.lost == self.lost

    @invariant()
    def all_that_live_are_known(self):
        known = {id(one.process) for one in self.world.supervisor.processes if one.process}
        assert known == {id(one) for one in self.world.alive}

    def teardown(self):
        if not hasattr(self, "world"):
            return
        world, supervisor = self.world, self.world.supervisor
        world.refusals = 0
        if "stopping" not in supervisor.status():
            self.it_recovers()
        supervisor.stop().addCallback(self.stopped.append)
        while world.alive:
            world.alive[0].end()
        assert self.stopped
        assert set(self.stopped) == {None}
        assert world.clock.getDelayedCalls() == []
        assert len(self.outcomes) == self.asked
        count = len(world.spawned)
        world.advance(200, 10.0)
        assert len(world.spawned) == count

    def it_recovers(self):
        """Once all that start get ready, all places are taken, and nobody waits any more."""
        for process in self.world.serving:
            process.is_full = False
        for _ in range(60):
            self.world.advance(2)
            self.world.end_killed()
            for process in self.world.alive:
                if "drain" in process.told:
                    process.end("exit code 0")
            self.world.ready_all()
        assert len(self.world.serving) == self.count
        assert not self.world.supervisor.is_broken
        assert len(self.outcomes) == self.asked


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
