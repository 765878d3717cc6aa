"""A reload: the new generation as a whole, or the old one goes on."""

from __future__ import annotations

import pytest

from tests.workers.supervised import World


def test_the_new_generation_begins_when_all_of_it_is_ready_and_the_old_one_drains():
    world = World(2).started()
    old = world.serving
    outcomes = world.reload()
    new = world.starting
    assert [(one.number, one.generation) for one in new] == [(1, 2), (2, 2)]
    new[0].ready()
    assert world.serving == old
    new[1].ready()
    assert world.serving == new
    assert [one.told for one in old] == [["begin", "drain"]] * 2
    assert (outcomes[0].ok, outcomes[0].generation) == (True, 2)
    assert world.supervisor.generation == 2


def test_all_of_the_new_one_begin_before_any_of_the_old_one_drains():
    world = World(2).started()
    world.reload()
    order = []
    for process in world.spawned[2:]:
        process.begin = lambda: order.append("begin")
    for process in world.spawned[:2]:
        process.drain = lambda: order.append("drain")
    world.ready_all()
    assert order == ["begin", "begin", "drain", "drain"]


def test_the_facts_of_the_new_generation_are_told():
    world = World(2).started()
    world.reload()
    world.starting[0].ready(new=1)
    assert len(world.facts) == 1
    world.starting[0].ready(new=2)
    assert world.facts[1:] == [{"new": 1}]


def fail(world):
    world.starting[-1].failed("SyntaxError")


def die(world):
    world.starting[-1].end("killed by SIGSEGV")


def die_after_ready(world):
    world.starting[-1].ready().end("killed by SIGSEGV")


def hang(world):
    world.advance(61)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (fail, "SyntaxError"),
        (die, "SIGSEGV"),
        (die_after_ready, "SIGSEGV"),
        (hang, "not ready within 60 s"),
    ],
)
def test_the_old_one_goes_on_when_one_of_the_new_one_cannot(happens, reason, lines):
    world = World(3).started()
    old = world.serving
    outcomes = world.reload()
    world.starting[0].ready()
    happens(world)
    world.advance(2)
    assert world.serving == old
    assert len(outcomes) == 1
    assert not outcomes[0].ok
    assert outcomes[0].generation == 2
    assert reason in outcomes[0].reason
    assert all("kill" in one.told for one in world.alive if one.generation == 2)
    assert all("begin" not in one.told for one in world.spawned[3:])
    world.end_killed()
    assert world.alive == old
    assert world.supervisor.generation == 1
    assert world.broken == []
    assert any("Generation 1 goes on" in text for level, text in lines if level == "error")


def test_the_old_one_goes_on_when_the_system_refuses_a_process():
    world = World(2).started()
    old = world.serving
    world.refusals = 1
    outcomes = world.reload()
    world.clock.advance(0)
    assert not outcomes[0].ok
    world.end_killed()
    assert world.serving == old == world.alive


def test_reloads_that_fail_never_make_the_code_broken():
    world = World(1).started()
    for number in range(30):
        outcomes = world.reload()
        world.starting[0].failed()
        assert outcomes[0].generation == number + 2
        world.clock.advance(0.1)
    assert world.broken == []
    outcomes = world.reload()
    world.starting[0].ready()
    assert outcomes[0].ok
    assert world.supervisor.generation == 32


def test_a_worker_of_the_old_one_that_dies_meanwhile_is_replaced():
    world = World(2).started()
    world.reload()
    died = world.serving[0]
    died.work()
    died.end()
    world.clock.advance(0)
    again = world.spawned[-1]
    assert (again.number, again.generation) == (1, 1)
    again.ready()
    assert again.is_serving
    world.ready_all()
    assert {one.generation for one in world.serving} == {2}
    assert again.told == ["begin", "drain"]


def test_one_of_the_old_one_that_still_starts_is_killed_at_the_switch():
    world = World(2).started()
    world.reload()
    died = world.serving[0]
    died.work()
    died.end()
    world.clock.advance(0)
    again = world.spawned[-1]
    for process in world.starting:
        if process.generation == 2:
            process.ready()
    assert again.told == ["kill"]
    assert {one.generation for one in world.serving} == {2}


def test_one_that_waits_to_be_started_for_the_old_one_is_not_any_more():
    world = World(2).started()
    for _ in range(2):
        next(one for one in world.alive if one.number == 1).end()
        world.clock.advance(0)
    world.reload()
    world.ready_all()
    count = len(world.spawned)
    world.advance(40)
    assert len(world.spawned) == count


# Several at once


def test_who_asks_during_a_reload_gets_the_outcome_of_the_next():
    world = World(1).started()
    first = world.reload()
    second, third = world.reload(), world.reload()
    assert len(world.starting) == 1
    world.ready_all()
    assert (first[0].ok, first[0].generation) == (True, 2)
    assert second == third == []
    assert [one.generation for one in world.starting] == [3]
    fourth = world.reload()
    world.starting[0].failed("bad")
    assert (second[0].ok, second[0].generation) == (False, 3)
    assert third == second
    assert fourth == []
    world.ready_all()
    assert (fourth[0].ok, fourth[0].generation) == (True, 4)
    assert world.supervisor.reload() is not None


def test_a_reload_that_is_asked_for_by_an_outcome_begins_a_further_one():
    world = World(1).started()
    outcomes = []
    asked = world.supervisor.reload()
    asked.addCallback(lambda outcome: outcomes.append(world.reload()))
    world.ready_all()
    assert outcomes == [[]]
    world.ready_all()
    assert outcomes[0][0].generation == 3


def test_a_waiter_that_has_gone_harms_nobody():
    world = World(1).started()
    asked = world.supervisor.reload()
    asked.addErrback(lambda failure: None)
    asked.cancel()
    world.ready_all()
    assert world.supervisor.generation == 2


# The old one drains


def test_a_process_that_does_not_finish_in_time_is_described_dumped_and_killed(lines):
    world = World(1, drain_timeout_seconds=20).started()
    (old,) = world.serving
    old.running = 2
    world.reload()
    world.ready_all()
    world.advance(19.5)
    assert old.told == ["begin", "drain"]
    world.clock.advance(1)
    assert old.told == ["begin", "drain", "dump"]
    world.clock.advance(1)
    assert old.told == ["begin", "drain", "dump", "kill"]
    errors = [text for level, text in lines if level == "error"]
    assert sum("runs site.consumers.echo of websocket.receive" in one for one in errors) == 2


def test_a_process_that_finishes_in_time_is_not_killed():
    world = World(1).started()
    (old,) = world.serving
    world.reload()
    world.ready_all()
    old.end("exit code 0")
    world.advance(60)
    assert old.told == ["begin", "drain"]
    assert len(world.serving) == 1


# While the first generation is still starting


def test_a_generation_that_starts_goes_on_starting_during_a_reload():
    world = World(2).start()
    outcomes = world.reload()
    first, new = world.spawned[:2], world.spawned[2:]
    assert [one.generation for one in new] == [2, 2]
    assert [one.told for one in first] == [[], []]
    for process in first:
        process.ready(first=True)
    assert world.serving == first
    assert world.facts == [{"first": True}]
    world.ready_all()
    assert world.serving == new
    assert [one.told for one in first] == [["begin", "drain"]] * 2
    assert len(world.facts) == 2
    assert outcomes[0].ok


def test_one_that_is_ready_first_takes_the_place_of_one_that_still_starts(lines):
    world = World(1).start()
    outcomes = world.reload()
    first, new = world.spawned
    new.ready()
    assert world.serving == [new]
    assert first.told == ["kill"]
    assert outcomes[0].ok
    assert any(
        "Worker 1 of generation 1" in text and "no longer needed" in text for _, text in lines
    )
    first.end()
    world.advance(40)
    assert world.alive == [new]


def test_one_that_starts_serves_after_a_reload_that_failed(lines):
    world = World(2).start()
    outcomes = world.reload()
    first, new = world.spawned[:2], world.spawned[2:]
    new[0].failed("SyntaxError")
    assert not outcomes[0].ok
    assert outcomes[0].state == "Generation 1 is still starting"
    assert any(text.endswith("Generation 1 is still starting") for _, text in lines)
    assert world.starting == first
    world.ready_all()
    assert world.serving == first
    assert world.supervisor.generation == 1
    assert world.broken == []


def test_what_is_left_after_a_reload_that_failed_is_told():
    world = World(1).started()
    outcomes = world.reload()
    world.starting[0].failed()
    assert outcomes[0].state == "Generation 1 goes on"
    world = World(1).start()
    outcomes = world.reload()
    world.spawned[0].failed()
    world.spawned[1].failed()
    assert outcomes[0].state == "No worker runs"


def test_a_reload_while_one_waits_to_be_started_again_replaces_it():
    world = World(1).start()
    for _ in range(2):
        world.starting[0].failed()
        world.clock.advance(0)
    world.reload()
    world.advance(10)
    assert [one.generation for one in world.starting] == [2]


# Of a site that was never ready, or is broken


def test_a_reload_of_a_broken_site_ends_that_and_the_waits():
    world = World(1).start()
    while not world.supervisor.is_broken:
        for process in world.starting:
            process.failed()
        world.clock.advance(0.1)
    outcomes = world.reload()
    assert world.broken == [True, False]
    assert len(world.starting) == 1
    world.ready_all()
    assert outcomes[0].ok
    assert len(world.serving) == 1
    world.serving[0].end()
    world.clock.advance(0)
    assert len(world.starting) == 1  # the first wait is none


def test_a_broken_site_is_broken_again_after_a_reload_that_failed(lines):
    world = World(3).start()
    while not world.supervisor.is_broken:
        for process in world.starting:
            process.failed()
        world.clock.advance(0.1)
    outcomes = world.reload()
    world.starting[0].failed("SyntaxError")
    assert not outcomes[0].ok
    assert world.broken == [True, False, True]
    world.end_killed()
    assert world.alive == []
    world.advance(31)
    assert len(world.starting) == 1
    world.ready_all()
    assert world.broken == [True, False, True, False]
    world.serving[0].work()
    world.advance(4)
    assert len(world.starting) == 2
    assert len([level for level, _ in lines if level == "critical"]) == 1


def test_a_site_that_was_never_ready_is_tried_on_after_a_reload_that_failed():
    world = World(2).start()
    for process in world.starting:
        process.failed()
    world.reload()
    assert [one.generation for one in world.starting] == [2, 2]
    world.starting[0].failed()
    world.end_killed()
    world.clock.advance(0)
    assert [one.generation for one in world.starting] == [2, 2]
    world.starting[0].ready(found=True)
    assert world.facts == [{"found": True}]
