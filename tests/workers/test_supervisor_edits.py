"""In development: what cannot start is shown once, and tried again when it is edited."""

from __future__ import annotations

from tests.workers.supervised import World


def make(count=1):
    world = World(count, reload=True)
    world.supervisor.start()
    return world


def test_code_that_cannot_start_is_condemned_at_once_and_left_alone():
    world = make()
    world.starting[0].failed("SyntaxError")
    assert world.broken == [True]
    world.advance(3600)
    assert len(world.spawned) == 1


def test_an_edit_tries_it_again():
    world = make()
    world.starting[0].failed("SyntaxError")
    outcomes = world.reload()
    world.starting[0].ready()
    assert outcomes[0].ok
    assert world.broken == [True, False]


def test_an_edit_that_mends_nothing_is_left_alone_as_well():
    world = make()
    world.starting[0].failed("SyntaxError")
    outcomes = world.reload()
    world.starting[0].failed("ImportError")
    assert not outcomes[0].ok
    world.advance(3600)
    assert len(world.spawned) == 2
    assert world.supervisor.is_broken


def test_a_worker_that_dies_at_work_is_replaced_at_once():
    world = make()
    world.starting[0].ready().end("killed by SIGSEGV")
    world.advance(1)
    assert len(world.spawned) == 2
    world.starting[0].ready()
    assert world.supervisor.restarts == 1


def test_the_former_code_is_not_replaced_by_code_that_is_broken():
    world = make()
    process = world.starting[0].ready()
    outcomes = world.reload()
    world.starting[0].failed("SyntaxError")
    assert not outcomes[0].ok
    world.advance(3600)
    assert process.is_serving
    assert len(world.spawned) == 2
