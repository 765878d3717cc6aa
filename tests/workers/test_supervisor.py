"""Workers are started, and started again when they die; code that is broken is told as such."""

from __future__ import annotations

import pytest

from tests.workers.supervised import FACTS, JITTER, World


def said(lines, level):
    return [text for name, text in lines if name == level]


# Start


def test_all_are_started_at_once_and_each_begins_when_it_is_ready():
    world = World(3).start()
    assert [(one.number, one.generation) for one in world.spawned] == [(1, 1), (2, 1), (3, 1)]
    assert world.serving == []
    world.spawned[1].ready()
    assert world.serving == [world.spawned[1]]
    world.ready_all()
    assert world.serving == world.spawned


def test_without_a_number_there_is_one():
    assert len(World(None).start().spawned) == 1


def test_the_facts_of_the_first_that_is_ready_are_told_before_it_begins():
    world = World(2)
    told = []
    world.facts_told = lambda facts: told.append((facts, len(world.serving)))
    world.start()
    world.spawned[1].ready(first=True)
    world.spawned[0].ready(first=False)
    assert told == [({"first": True}, 0)]


def test_a_listener_that_raises_stops_nothing(lines):
    world = World(1)

    def refuse(facts):
        raise ValueError(facts)

    world.facts_told = refuse
    world.started()
    assert len(world.serving) == 1
    assert any("could not be told" in text for text in said(lines, "critical"))


def test_one_that_is_not_ready_in_time_is_dumped_then_killed_and_another_started():
    world = World(1, start_timeout_seconds=10).start()
    (slow,) = world.spawned
    world.advance(9.9, 0.1)
    assert slow.told == []
    world.clock.advance(0.2)
    assert slow.told == ["dump"]
    world.clock.advance(0.9)
    assert slow.told == ["dump"]
    world.clock.advance(0.2)
    assert slow.told == ["dump", "kill"]
    assert len(world.spawned) == 2
    slow.ready()  # too late
    assert world.serving == []


def test_one_that_cannot_start_and_does_not_exit_is_killed():
    world = World(1).start()
    (process,) = world.spawned
    process.events.failed(process, "ImportError")
    world.clock.advance(4.9)
    assert process.told == []
    world.clock.advance(0.2)
    assert process.told == ["kill"]


def test_a_system_that_refuses_a_process_is_asked_again():
    world = World(2)
    world.refusals = 3
    world.start()
    world.advance(5)
    assert sorted(one.number for one in world.spawned) == [1, 2]
    world.ready_all()
    assert len(world.serving) == 2


# Restarts


def test_one_that_was_of_use_is_started_again_at_once_however_often(lines):
    world = World(1).started()
    for _ in range(200):
        (process,) = world.serving
        process.work()
        process.end()
        world.clock.advance(0)
        world.ready_all()
    assert len(world.serving) == 1
    assert world.supervisor.restarts == 200
    assert world.broken == []
    assert said(lines, "critical") == []


def test_one_that_has_lived_for_long_is_of_use():
    world = World(1).started()
    for _ in range(20):
        (process,) = world.serving
        world.advance(10.5)
        process.end()
        world.clock.advance(0)
        world.ready_all()
    assert len(world.serving) == 1
    assert world.broken == []


def test_the_others_go_on_when_one_dies():
    world = World(3).started()
    first, *others = world.serving
    first.work()
    first.end()
    world.clock.advance(0)
    assert world.serving == others
    assert [(one.number, one.generation) for one in world.starting] == [(1, 1)]


def test_quick_deaths_are_waited_after_for_longer_and_longer():
    world = World(2).started()
    world.spawned[1].work()  # so the code is not broken
    world.clock.advance(5)
    waits = []
    died = next(one for one in world.serving if one.number == 1)
    for _ in range(12):
        died.end()
        before, since = len(world.spawned), world.clock.seconds()
        for _ in range(40_000):
            world.clock.advance(0.001)
            if len(world.spawned) > before:
                break
        waits.append(world.clock.seconds() - since)
        died = world.spawned[-1]
    assert waits[0] <= 0.002
    for number, wait in enumerate(waits[1:]):
        most = min(30.0, 0.1 * 2**number)
        assert JITTER * most - 0.001 <= wait <= most + 0.002


def test_the_wait_is_short_again_after_one_that_was_of_use():
    world = World(1).started()
    for _ in range(4):
        world.serving[0].end()
        world.clock.advance(1)
        world.ready_all()
    world.serving[0].work()
    world.serving[0].end()
    world.clock.advance(0)
    assert len(world.starting) == 1


def test_lost_messages_are_counted_and_logged(lines):
    world = World(2).started()
    for process, lost in zip(world.serving, (3, 4), strict=True):
        process.end("killed by SIGSEGV", lost)
    assert world.supervisor.lost == 7
    assert any(
        text.startswith("Worker 1 of generation 1 (pid 1000) has died: killed by SIGSEGV; 3 mess")
        for text in said(lines, "error")
    )


def test_an_end_that_is_told_twice_counts_once():
    world = World(1).started()
    (process,) = world.spawned
    process.end(lost=2)
    process.end(lost=2)
    world.clock.advance(0)
    assert world.supervisor.lost == 2
    assert len(world.spawned) == 2


# Broken code


def fail_until_broken(world):
    for _ in range(300):
        if world.supervisor.is_broken:
            return
        for process in world.starting:
            process.failed()
        world.clock.advance(0.1)
    pytest.fail("never broken")


@pytest.mark.parametrize("count", [1, 2, 8])
def test_starts_that_fail_three_times_for_every_worker_are_broken_code(count, lines):
    world = World(count).start()
    fail_until_broken(world)
    assert world.broken == [True]
    assert len(world.spawned) == 3 * count
    (loud,) = said(lines, "critical")
    assert "BROKEN" in loud
    assert "answered 503" in loud
    assert "the site's code is broken" in world.supervisor.status()


def test_more_quick_deaths_than_are_borne_are_broken_code(lines):
    world = World(1).started()
    for number in range(6):
        assert world.broken == [], number
        world.serving[0].end()
        world.advance(4)
        world.ready_all()
    assert world.broken == [True]
    assert len(said(lines, "critical")) == 1


def test_quick_deaths_that_are_rare_are_none():
    world = World(1).started()
    for _ in range(20):
        world.serving[0].end()
        world.advance(15)
        world.advance(15)
        world.ready_all()
    assert world.broken == []


def test_of_broken_code_one_worker_at_a_time_is_tried_every_30_seconds():
    world = World(4).start()
    fail_until_broken(world)
    world.advance(60)
    for process in world.starting:
        process.failed()
    world.advance(60)
    tried = []
    for _ in range(5):
        assert len(world.starting) == 1
        world.starting[0].failed()
        since = world.clock.seconds()
        while not world.starting:
            world.clock.advance(0.1)
        tried.append(world.clock.seconds() - since)
    assert all(30 * JITTER <= seconds <= 30.2 for seconds in tried)


def test_broken_ends_when_a_worker_is_ready_and_all_others_are_started_when_it_works():
    world = World(4).start()
    fail_until_broken(world)
    world.advance(60)
    for process in world.starting[1:]:
        process.failed()
    first = world.starting[0].ready()
    assert world.broken == [True, False]
    assert not world.supervisor.is_broken
    assert world.starting == []
    first.work()
    world.advance(2)
    assert "broken" not in world.supervisor.status()
    world.advance(2)
    assert len(world.starting) == 3
    world.ready_all()
    assert len(world.serving) == 4


def quick_deaths_after_every_start(world, seconds):
    """When workers were started meanwhile: all get ready, and die a second later."""
    started = []
    for _ in range(int(seconds * 10)):
        before = len(world.spawned)
        world.clock.advance(0.1)
        started += [world.clock.seconds()] * (len(world.spawned) - before)
        for process in world.serving:
            if world.clock.seconds() - process.ready_at >= 1:
                process.end()
        for process in world.starting:
            process.ready().ready_at = world.clock.seconds()
    return started


@pytest.mark.parametrize("count", [1, 2, 8])
def test_broken_code_that_gets_ready_and_dies_is_tried_no_oftener(count, lines):
    world = World(count).start()
    quick_deaths_after_every_start(world, 120)
    assert world.supervisor._health.is_condemned
    quick_deaths_after_every_start(world, 600)  # all have waited longer and longer
    started = quick_deaths_after_every_start(world, 1000)
    assert 1000 / 34 - 1 <= len(started) <= 1000 / (30 * JITTER) + 1
    assert len(said(lines, "critical")) == 1


def test_while_an_old_worker_works_the_others_of_condemned_code_are_tried_one_at_a_time():
    """It has imported the code before: that it works says nothing of what is there now."""
    world = World(3).start()
    slow = world.starting[0]
    world.clock.advance(0.1)
    for _ in range(40):
        if world.supervisor.is_broken:
            break
        for process in world.starting:
            if process is not slow:
                process.ready().end()
        world.clock.advance(0.5)
    assert world.supervisor.is_broken
    world.advance(1)
    slow.ready()
    world.advance(4)
    slow.work()
    others = [one for one in world.starting if one is not slow]
    assert len(others) <= 1
    world.advance(31)
    assert len(world.starting) == 1
    world.starting[0].ready().work()
    world.advance(4)
    assert len(world.starting) == 1
    world.ready_all()
    assert len(world.serving) == 3


def test_code_that_breaks_again_at_once_is_broken_at_once_and_not_told_as_loudly(lines):
    world = World(1).start()
    fail_until_broken(world)
    world.advance(30)
    world.starting[0].ready()
    world.serving[0].end()
    assert world.broken == [True, False, True]
    assert world.starting == []
    world.advance(30)
    world.starting[0].ready().work()
    world.advance(2)
    world.serving[0].end()
    assert world.broken == [True, False, True, False]
    world.clock.advance(0)
    assert len(world.starting) == 1
    assert len(said(lines, "critical")) == 1


def test_workers_that_work_are_not_given_up_for_others_that_cannot_start(lines):
    world = World(2).started()
    old, died = world.serving
    old.work()
    died.work()
    died.end()
    for _ in range(60):
        for process in world.starting:
            process.failed()
        world.advance(1)
    (loud,) = said(lines, "critical")
    assert "The 1 that run go on" in loud
    assert world.broken == []
    assert "new workers die" in world.supervisor.status()
    old.end()
    assert world.broken == [True]


def test_workers_killed_while_they_work_never_make_the_code_broken():
    world = World(2).started()
    for number in range(300):
        process = world.serving[number % 2] if len(world.serving) == 2 else world.serving[0]
        process.work()
        process.end(lost=1)
        world.clock.advance(0.01)
        if number % 3 == 0 and world.starting:
            world.starting[0].end()  # this one hits a worker that starts
            world.clock.advance(0.2)
        for one in world.starting:
            one.ready().work()
        if not world.serving:
            world.advance(40)
            for one in world.starting:
                one.ready().work()
    assert world.broken == []


def test_deaths_before_a_worker_that_works_was_started_do_not_count(lines):
    world = World(8).started()
    world.clock.advance(0.1)
    worked = world.serving[-1]
    worked.work()
    for _ in range(2):
        for process in world.alive[:]:
            if process.number < 8:
                process.end()
        world.clock.advance(0.001)
    worked.end()
    world.clock.advance(0.001)
    world.starting[-1].ready().work()
    world.clock.advance(0.2)
    for process in world.starting:
        process.end()  # with those before, more than are borne
    assert said(lines, "critical") == []


def test_starts_that_fail_in_turn_with_others_are_not_in_a_row(lines):
    world = World(1).start()
    for happens in ("failed", "failed", "ready", "end", "failed"):
        getattr(world.alive[0], happens)()
        world.clock.advance(2)
    assert world.broken == []
    world.starting[0].ready()


# Messages that kill


def all_are_killed_by_a_message(world, seconds):
    """Whoever begins dies of its first message, as long as a client goes on to send that."""
    for _ in range(int(seconds * 10)):
        for process in world.starting:
            process.ready()
        for process in world.serving:
            process.end("killed by SIGSEGV", lost=1)
        world.clock.advance(0.1)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_message_that_kills_its_worker_does_not_make_code_broken_that_works(count, lines):
    world = World(count).started()
    world.serving[0].work()
    all_are_killed_by_a_message(world, 290)
    assert world.broken == []
    assert said(lines, "critical") == []


def test_nobody_waits_long_for_a_worker_after_messages_that_kill():
    world = World(2).started()
    world.serving[0].work()
    all_are_killed_by_a_message(world, 120)
    for _ in range(20):
        all_are_killed_by_a_message(world, 0.1)
        assert not world.serving
        since = world.clock.seconds()
        while not world.starting:
            world.clock.advance(0.1)
            assert world.clock.seconds() - since <= 1.2


def test_one_that_only_dies_of_its_messages_is_waited_for_while_another_works():
    """The others may have imported other code: this one would lose message after message."""
    world = World(2).started()
    good = world.serving[0]
    starts = []
    for _ in range(1800):
        good.work()
        world.clock.advance(0.1)
        for process in world.starting:
            starts.append(world.clock.seconds())
            process.ready()
        for process in world.serving:
            if process is not good:
                process.end(lost=1)
    assert world.broken == []
    assert len(starts) < 20


def test_code_that_dies_of_its_first_message_everywhere_is_broken(lines):
    world = World(2).started()
    all_are_killed_by_a_message(world, 30)
    assert world.broken[0] is True
    assert len(said(lines, "critical")) == 1


def test_what_was_done_long_ago_or_by_former_code_is_no_excuse():
    for happens in ("time", "reload"):
        world = World(2).started()
        world.serving[0].work()
        if happens == "time":
            world.advance(301)
            for process in world.serving:
                process.end(lost=1)
        else:
            world.reload()
            world.ready_all()
            for process in world.spawned[:2]:
                process.work()
                process.end("exit code 0")
        all_are_killed_by_a_message(world, 30)
        assert world.broken, happens


def test_deaths_between_messages_count_though_others_work():
    world = World(1).started()
    world.serving[0].work()
    world.advance(2)
    world.serving[0].end(lost=1)
    for _ in range(8):
        world.advance(5)
        world.ready_all()
        for process in world.serving:
            process.end()
    assert world.broken[0] is True


# How they end


@pytest.mark.parametrize("how", ["exit code 143", "killed by SIGTERM"])
def test_an_end_by_sigterm_is_no_error_and_told_as_such(how, lines):
    world = World(1).started()
    world.serving[0].end(how)
    assert said(lines, "error") == []
    (warning,) = said(lines, "warn")
    assert warning.endswith("(pid 1000) has been ended by SIGTERM from outside; 0 messages lost")


def test_an_exit_that_nobody_asked_for_is_told_as_such(lines):
    world = World(1).started()
    world.serving[0].end("exit code 0", lost=1)
    assert any(
        "has died: it exited by itself, exit code 0; 1 messages" in text
        for text in said(lines, "error")
    )


def test_an_end_before_it_began_is_told_by_how_far_it_came():
    world = World(2).started()
    for is_ready, how, told in (
        (False, "killed by SIGTERM", "died before it was ready: ended by SIGTERM from outside"),
        (False, "exit code 0", "died before it was ready: it exited by itself, exit code 0"),
        (True, "killed by SIGKILL", "died before it began: killed by SIGKILL"),
    ):
        outcomes = world.reload()
        process = world.starting[0]
        if is_ready:
            process.ready()
        process.end(how)
        world.end_killed()
        assert outcomes[0].reason.endswith(told)


# What people see


def test_the_status_is_one_line():
    world = World(3).start()
    assert world.supervisor.status() == "0 workers of generation 1, 3 starting"
    world.spawned[0].ready()
    assert world.supervisor.status() == "1 worker of generation 1, 2 starting"
    world.ready_all()
    assert world.supervisor.status() == "3 workers of generation 1"
    world.reload()
    assert world.supervisor.status() == (
        "3 workers of generation 1, 3 starting; reloading: generation 2"
    )
    world.ready_all()
    assert world.supervisor.status() == "3 workers of generation 2, 3 draining"
    for process in world.spawned[:3]:
        process.end()
    world.reload()
    world.starting[0].failed("SyntaxError: invalid syntax\nin line 5")
    assert world.supervisor.status() == (
        "3 workers of generation 2, 2 ending; the last reload failed: "
        "worker 1 of generation 3: SyntaxError: invalid syntax"
    )
    world.end_killed()
    world.supervisor.stop()
    assert world.supervisor.status() == "stopping: 0 workers of generation 2, 3 draining"


def test_processes_are_listed_by_generation_and_number():
    world = World(2).started()
    world.reload()
    listed = [(one.generation, one.number, one.state.value) for one in world.supervisor.processes]
    assert listed == [(1, 1, "begun"), (1, 2, "begun"), (2, 1, "starting"), (2, 2, "starting")]
    assert world.supervisor.processes[0].process is world.spawned[0]


def test_a_start_and_its_seconds_are_logged(lines):
    world = World(1).start()
    world.advance(1.5)
    world.ready_all()
    assert ("info", "Worker 1 of generation 1 (pid 1000) is ready, after 1.5 s") in lines
    assert world.facts == [FACTS]
