"""The outbox: order in lines, batches, bounds."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from txchannels.errors import LayerUnavailable
from txchannels.layers.redis import outbox
from txchannels.layers.redis.outbox import Outbox


def numbers(batch):
    return [asked.operation[0] for asked in batch]


@pytest.fixture
def box():
    box = Outbox()
    box.open([])
    return box


def test_operations_leave_in_the_order_in_which_they_came(box):
    for n in range(3):
        box.put((n,), None, None)
    assert numbers(box.take()) == [0, 1, 2]
    assert box.take() == []


def test_only_the_first_of_a_batch_has_somebody_told(box):
    assert [box.put((n,), None, None) for n in range(3)] == [True, False, False]
    box.take()
    assert box.put((3,), None, None)


def test_a_line_has_one_batch_on_its_way(box):
    box.put((0,), None, "a")
    first = box.take()
    box.put((1,), None, "a")
    box.put((2,), None, "b")
    assert numbers(box.take()) == [2]
    box.settle(first)
    assert numbers(box.take()) == [1]


def test_what_was_held_goes_before_what_came_later(box):
    box.put((0,), None, "a")
    first = box.take()
    box.put((1,), None, "a")
    assert box.take() == []
    box.put((2,), None, "a")
    box.settle(first)
    assert numbers(box.take()) == [1, 2]


def test_what_goes_again_goes_first(box):
    for n in range(3):
        box.put((n,), None, "a")
    first = box.take()
    box.put((3,), None, "a")
    lines = box.settle(first, first[1:])
    assert lines == {"a"}
    assert box.take() == []
    box.release(lines)
    assert numbers(box.take()) == [1, 2, 3]


def test_a_batch_is_bounded_by_number_and_bytes(box, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_BATCH", 2)
    monkeypatch.setattr(outbox, "MAX_BATCH_BYTES", 10)
    for data in (b"", b"", b"", b"x" * 20, b""):
        box.put((data,), None, None)
    sizes = []
    while batch := box.take():
        sizes.append(len(batch))
    assert sizes == [2, 2, 1]


def test_what_waits_and_what_is_not_answered_is_bounded(box, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_BYTES", 100)
    box.put((b"x" * 60,), None, "a")
    batch = box.take()
    with pytest.raises(LayerUnavailable, match="too slow"):
        box.put((b"x" * 60,), None, None)
    box.settle(batch, batch)
    with pytest.raises(LayerUnavailable, match="too slow"):
        box.put((b"x" * 60,), None, None)
    box.release({"a"})
    box.settle(box.take())
    box.put((b"x" * 60,), None, None)
    monkeypatch.setattr(outbox, "MAX_WAITING", 1)
    with pytest.raises(LayerUnavailable, match="too slow"):
        box.put((b"",), None, None)


def test_a_shut_box_gives_back_what_was_not_sent(box):
    box.put((0,), None, "a")
    box.take()
    box.put((1,), None, "a")
    box.take()
    box.put((2,), None, None)
    assert sorted(numbers(box.shut())) == [1, 2]
    with pytest.raises(LayerUnavailable):
        box.put((3,), None, None)
    box.open([(9,)])
    box.put((4,), None, "a")
    assert numbers(box.take()) == [9, 4]


class OutboxMachine(RuleBasedStateMachine):
    """Whatever is put, taken, answered and refused: each line comes out in order, once."""

    def __init__(self):
        super().__init__()
        self.box = Outbox()
        self.box.open([])
        self.count = 0
        self.flying = []
        self.held = []
        self.done = {"a": [], "b": []}
        self.put = {"a": [], "b": []}

    @rule(line=st.sampled_from("ab"))
    def put_one(self, line):
        self.box.put((self.count, b"x"), None, line)
        self.put[line].append(self.count)
        self.count += 1

    @rule()
    def take(self):
        if batch := self.box.take():
            self.flying.append(batch)

    @rule(data=st.data())
    def answer(self, data):
        if not self.flying:
            return
        batch = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        accepted = data.draw(st.integers(0, len(batch)))
        refused_lines = {asked.line for asked in batch[accepted:]}
        again = batch[accepted:]
        for asked in batch[:accepted]:
            self.done[asked.line].append(asked.operation[0])
        lines = self.box.settle(batch, again)
        assert lines == refused_lines
        self.held.append(lines)

    @rule()
    def release(self):
        if self.held:
            self.box.release(self.held.pop())

    @invariant()
    def lines_keep_their_order(self):
        for line, done in self.done.items():
            assert done == self.put[line][: len(done)]

    def teardown(self):
        while self.held or self.flying or len(self.box):
            for lines in self.held:
                self.box.release(lines)
            self.held.clear()
            self.take()
            for batch in self.flying:
                for asked in batch:
                    self.done[asked.line].append(asked.operation[0])
                self.box.settle(batch)
            self.flying.clear()
        assert self.done == self.put
        assert self.box._bytes == 0


TestOutbox = OutboxMachine.TestCase
