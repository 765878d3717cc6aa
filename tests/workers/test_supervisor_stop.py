"""The end: nothing is started any more, all finish what they run, nothing is left."""

from __future__ import annotations

import pytest

from tests.workers.supervised import World


def stop(world):
    ended = []
    world.supervisor.stop().addCallback(ended.append)
    return ended


def is_quiet(world):
    """Whether nothing is left that would happen."""
    return world.clock.getDelayedCalls() == []


def test_all_drain_and_it_has_stopped_when_they_have_ended():
    world = World(2).started()
    ended = stop(world)
    assert [one.told for one in world.spawned] == [["begin", "drain"]] * 2
    world.spawned[0].end("exit code 0")
    assert ended == []
    world.spawned[1].end("exit code 0")
    assert ended == [None]
    assert is_quiet(world)
    assert len(world.spawned) == 2


def test_the_caller_bounds_the_time(lines):
    world = World(2, drain_timeout_seconds=5).started()
    ended = stop(world)
    world.spawned[1].running = 1
    world.advance(60)
    assert world.killed == []
    world.spawned[0].end("exit code 0")
    world.supervisor.kill_all()
    assert world.killed == [world.spawned[1]]
    errors = [text for level, text in lines if level == "error"]
    assert any("is killed, and runs site.consumers.echo" in text for text in errors)
    world.end_killed()
    assert ended == [None]
    assert is_quiet(world)


def test_those_that_have_begun_nothing_are_killed():
    world = World(2).start()
    world.spawned[0].ready()
    ended = stop(world)
    assert [one.told for one in world.spawned] == [["begin", "drain"], ["kill"]]
    world.spawned[1].end()
    world.spawned[0].end()
    assert ended == [None]
    assert is_quiet(world)


def test_a_reload_is_given_up():
    world = World(2).started()
    running, queued = world.reload(), world.reload()
    world.starting[0].ready()
    ended = stop(world)
    assert [one[0].ok for one in (running, queued)] == [False, False]
    assert "being stopped" in running[0].reason
    assert len(world.killed) == 2
    for process in world.alive:
        process.end()
    assert ended == [None]
    assert is_quiet(world)
    assert len(world.spawned) == 4


def test_a_replacement_is_given_up():
    world = World(1, max_messages=1).started()
    world.serving[0].work()
    world.advance(2)
    (replacement,) = world.starting
    ended = stop(world)
    assert replacement.told == ["kill"]
    for process in world.alive:
        process.end()
    assert ended == [None]
    assert is_quiet(world)


def test_one_that_waits_to_be_started_is_not():
    world = World(1).start()
    for _ in range(4):
        for process in world.starting:
            process.failed()
        world.clock.advance(0)
    assert not is_quiet(world)
    assert stop(world) == [None]
    assert is_quiet(world)


def test_a_process_that_the_system_has_refused_is_not_waited_for():
    world = World(1)
    world.refusals = 1
    world.start()
    assert stop(world) == [None]
    assert is_quiet(world)


def test_one_that_dies_during_the_drain_has_ended():
    world = World(1).started()
    ended = stop(world)
    world.spawned[0].end("killed by SIGSEGV", lost=3)
    assert ended == [None]
    assert world.supervisor.lost == 3
    assert is_quiet(world)


def test_old_ones_that_drain_already_are_waited_for_and_bounded_as_before():
    world = World(1, drain_timeout_seconds=20).started()
    (old,) = world.serving
    world.reload()
    world.ready_all()
    world.advance(10)
    ended = stop(world)
    world.spawned[1].end("exit code 0")
    world.advance(12)
    assert old.told == ["begin", "drain", "dump", "kill"]
    assert ended == []
    old.end()
    assert ended == [None]
    assert is_quiet(world)


def test_a_stop_is_asked_for_as_often_as_one_likes():
    world = World(1).started()
    first, second = stop(world), stop(world)
    world.spawned[0].end()
    assert first == second == stop(world) == [None]
    assert world.spawned[0].told == ["begin", "drain"]


def test_a_stop_before_the_start_lets_nothing_start():
    world = World(1)
    assert stop(world) == [None]
    world.start()
    assert world.spawned == []
    assert is_quiet(world)


def test_a_reload_afterwards_is_refused():
    world = World(1).started()
    stop(world)
    outcomes = world.reload()
    assert not outcomes[0].ok
    assert len(world.spawned) == 1


@pytest.mark.parametrize("is_ready", [True, False])
def test_what_comes_too_late_changes_nothing(is_ready):
    world = World(1).start()
    (process,) = world.spawned
    stop(world)
    if is_ready:
        process.ready()
    else:
        process.events.failed(process, "ImportError")
    assert process.told == ["kill"]
    process.end()
    assert is_quiet(world)
    assert world.facts == []


def test_a_kill_of_all_without_a_stop_is_mended():
    world = World(2).started()
    world.supervisor.kill_all()
    assert len(world.killed) == 2
