"""Workers that have done enough are replaced one at a time; those that are stuck are killed."""

from __future__ import annotations

import pytest

from tests.workers.supervised import World

SWEEP = 2.0


def sweep(world, seconds=SWEEP):
    world.advance(seconds)


# Recycling


def enough_messages(process):
    process.work(1000)


def enough_memory(process):
    process.memory = 2**30


def no_more(process):
    """By age: nothing is to be done."""


@pytest.mark.parametrize(
    ("limits", "make_due", "said"),
    [
        ({"max_messages": 1000}, enough_messages, "it has done 1000 messages"),
        ({"max_rss_bytes": 2**30}, enough_memory, "it takes 1073741824 bytes of memory"),
        ({"max_age_seconds": 50}, no_more, "s old"),
    ],
)
def test_a_worker_that_is_due_goes_when_its_replacement_is_ready(limits, make_due, said, lines):
    world = World(1, **limits).started()
    (old,) = world.serving
    sweep(world, 44)
    assert world.starting == []
    make_due(old)
    sweep(world, 8)
    (new,) = world.starting
    assert (new.number, new.generation) == (1, 1)
    assert world.serving == [old]
    new.ready()
    assert world.serving == [new]
    assert old.told == ["begin", "drain"]
    assert world.supervisor.recycled == 1
    assert any(said in text for _, text in lines)


def test_one_that_is_too_large_at_first_is_not_replaced_for_that_and_told_once(lines):
    """Its successor would be as large, and be replaced as well, without end."""
    world = World(2, max_rss_bytes=2**30).start()
    for process in world.starting:
        process.memory = 2**30
        process.ready()
    sweep(world, 60)
    for process in world.serving:
        process.memory *= 2
    sweep(world, 60)
    assert len(world.spawned) == 2
    assert world.supervisor.recycled == 0
    (warning,) = [text for level, text in lines if level == "warn"]
    assert "--max-rss 1073741824 bytes is too little" in warning
    assert "took 1073741824 when it began" in warning


def test_one_that_is_too_large_at_first_is_replaced_for_all_else():
    world = World(1, max_rss_bytes=2**30, max_messages=100).start()
    world.starting[0].memory = 2**30
    world.ready_all()
    world.serving[0].work(100)
    sweep(world)
    assert len(world.starting) == 1


def test_without_limits_nobody_is_replaced():
    world = World(2).started()
    for process in world.serving:
        process.work(10**9)
        process.memory = 2**50
    sweep(world, 1000)
    assert len(world.spawned) == 2


def test_one_at_a_time_is_replaced_until_the_old_one_has_ended():
    world = World(3, max_messages=100).started()
    old = world.serving
    for process in old:
        process.work(100)
    for number in range(3):
        sweep(world, 10)
        assert len(world.starting) == 1
        world.ready_all()
        sweep(world, 10)
        assert world.starting == []  # the one before still finishes what it runs
        draining = [one for one in world.alive if "drain" in one.told]
        assert len(draining) == 1
        draining[0].end("exit code 0")
        assert world.supervisor.recycled == number + 1
    assert not any(one.is_serving for one in old)
    assert len(world.serving) == 3


def test_the_oldest_is_replaced_first():
    world = World(2, max_messages=100).started()
    young, old = world.serving
    young.work()
    young.end()
    world.advance(1)
    world.ready_all()
    for process in world.serving:
        process.work(100)
    sweep(world)
    assert [one.number for one in world.starting] == [old.number]


def test_limits_differ_by_up_to_a_tenth_and_are_never_exceeded():
    world = World(64, max_messages=1000).started()
    jitters = [one.jitter for one in world.supervisor.processes]
    assert all(0.9 <= jitter <= 1.0 for jitter in jitters)
    assert len(set(jitters)) > 32


def test_the_old_one_goes_on_when_its_replacement_cannot_start_and_it_is_tried_again_later():
    world = World(1, max_messages=10).started()
    (old,) = world.serving
    old.work(10)
    tried = []
    for _ in range(10):
        since = world.clock.seconds()
        while not world.starting:
            sweep(world)
        tried.append(world.clock.seconds() - since)
        world.starting[0].failed()
        assert world.serving == [old]
    assert tried[1] <= 5 + SWEEP
    assert tried[1] < tried[4] < tried[8] <= 300 + SWEEP
    assert world.broken == []
    assert world.supervisor.recycled == world.supervisor.restarts == 0


def test_a_replacement_that_is_too_late_is_killed():
    world = World(1, max_messages=10).started()
    (old,) = world.serving
    old.work(10)
    sweep(world)
    (new,) = world.starting
    world.advance(62)
    assert new.told == ["dump", "kill"]
    assert world.serving == [old]


def test_a_replacement_takes_the_place_of_one_that_dies_before_it_is_ready():
    world = World(2, max_messages=10).started()
    old = world.serving[0]
    old.work(10)
    sweep(world)
    (new,) = world.starting
    old.end()
    world.advance(5)
    assert world.starting == [new]
    new.ready()
    assert len(world.serving) == 2
    assert new.is_serving
    assert (world.supervisor.restarts, world.supervisor.recycled) == (1, 0)


def test_another_that_dies_meanwhile_gets_one_of_its_own():
    world = World(2, max_messages=10).started()
    old, other = world.serving
    old.work(10)
    sweep(world)
    other.end()
    world.clock.advance(0)
    assert sorted(one.number for one in world.starting) == [1, 2]


def test_nobody_is_replaced_during_a_reload():
    world = World(1, max_messages=10).started()
    (old,) = world.serving
    world.reload()
    old.work(10)
    sweep(world, 20)
    assert len(world.starting) == 1
    assert world.starting[0].generation == 2


def test_a_reload_gives_up_a_replacement_that_starts():
    world = World(1, max_messages=10).started()
    world.serving[0].work(10)
    sweep(world)
    (replacement,) = world.starting
    world.reload()
    assert replacement.told == ["kill"]
    assert [one.generation for one in world.starting] == [2]


# Stuck


def test_a_full_worker_with_nothing_done_is_dumped_killed_and_replaced_at_once(lines):
    world = World(1, stuck_timeout_seconds=60).started()
    (stuck,) = world.serving
    stuck.is_full, stuck.running = True, 2
    world.advance(60)
    assert stuck.told == ["begin"]
    world.advance(SWEEP)
    assert stuck.told == ["begin", "dump"]
    world.advance(1)
    assert stuck.told == ["begin", "dump", "kill"]
    stuck.end(lost=2)
    world.clock.advance(0)
    assert len(world.starting) == 1
    errors = [text for level, text in lines if level == "error"]
    assert any("is stuck" in text and "no thread is free" in text for text in errors)
    assert sum("runs site.consumers.echo" in text for text in errors) == 2
    assert world.supervisor.lost == 2


def test_one_that_became_full_a_moment_ago_is_not_stuck_however_long_it_was_idle():
    world = World(1, stuck_timeout_seconds=60).started()
    (process,) = world.serving
    world.advance(1000)
    process.is_full = True
    world.advance(58)
    assert process.is_serving


def test_one_that_is_full_and_does_messages_is_not_stuck():
    world = World(1, stuck_timeout_seconds=60).started()
    (process,) = world.serving
    process.is_full = True
    for _ in range(20):
        world.advance(50)
        process.work()
    assert process.is_serving


def test_one_with_a_free_thread_is_not_stuck_by_a_long_message():
    world = World(1, stuck_timeout_seconds=60).started()
    (process,) = world.serving
    process.running = 1
    world.advance(1000)
    assert process.is_serving


def test_one_that_shows_no_life_is_stuck(lines):
    world = World(1, stuck_timeout_seconds=60).started()
    (process,) = world.serving
    world.clock.pump([1] * 64)
    assert process.told == ["begin", "dump", "kill"]
    assert any("shows no life" in text for level, text in lines if level == "error")


def test_nobody_is_stuck_with_a_timeout_of_0():
    world = World(1, stuck_timeout_seconds=0).started()
    (process,) = world.serving
    process.is_full = True
    world.clock.pump([10] * 1000)
    assert process.is_serving


def test_many_that_get_stuck_are_no_broken_code():
    world = World(1, stuck_timeout_seconds=1).started()
    for _ in range(50):
        (process,) = world.serving
        process.is_full = True
        world.advance(8)
        process.end()
        world.clock.advance(0)
        world.ready_all()
    assert world.broken == []
    assert len(world.serving) == 1


def test_one_that_is_stuck_is_killed_in_a_reload_too():
    world = World(1, stuck_timeout_seconds=10).started()
    (stuck,) = world.serving
    stuck.is_full = True
    world.reload()
    world.advance(12.5)
    assert stuck.told == ["begin", "dump"]
    world.ready_all()
    world.advance(1)
    assert stuck.told == ["begin", "dump", "kill"]
    stuck.end()
    assert len(world.serving) == len(world.alive) == 1


def test_a_watch_that_fails_goes_on(lines):
    world = World(1, max_rss_bytes=2**30).started()
    (process,) = world.serving
    process.rss = lambda: 1 // 0
    sweep(world, 10)
    assert any("could not be looked at" in text for _, text in lines)
    del process.rss
    process.memory = 2**30
    sweep(world, 4)
    assert len(world.starting) == 1
