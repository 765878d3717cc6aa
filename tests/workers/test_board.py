"""What a worker has begun, as the daemon sees it when the worker is dead."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from txchannels.layers.ipc.server import MAX_NUMBER
from txchannels.workers.board import BEGUN, FINISHED, MAX_MARK, SIZE, UNTOUCHED, Board


@pytest.fixture
def board():
    board = Board()
    yield board
    board.close()


def test_a_message_is_untouched_until_it_is_begun(board):
    board.assign(5)
    assert not board.has_begun(5)
    assert not board.is_finished(5)
    assert board.mark_of(5) == UNTOUCHED
    board.begin(5)
    assert board.has_begun(5)
    assert not board.is_finished(5)
    assert board.mark_of(5) == BEGUN


def test_its_consumer_is_known(board):
    board.begin(5)
    board.begin(5, MAX_MARK)
    assert board.mark_of(5) == MAX_MARK
    assert board.has_begun(5)
    assert not board.is_finished(5)


def test_what_is_finished_is_begun(board):
    board.begin(5, MAX_MARK)
    board.finish(5)
    assert board.has_begun(5)
    assert board.is_finished(5)
    assert board.mark_of(5) == FINISHED


def test_messages_do_not_touch_each_other(board):
    board.begin(5)
    assert not board.has_begun(4)
    assert not board.has_begun(6)


def test_a_number_is_used_again_for_another_message(board):
    board.begin(5)
    board.finish(5)
    board.assign(5 + SIZE)
    assert not board.has_begun(5 + SIZE)
    board.begin(SIZE - 1)
    assert board.has_begun(SIZE - 1)
    board.begin(SIZE)
    assert board.has_begun(0)


def test_every_mark_of_a_consumer_fits(board):
    for mark in range(BEGUN, MAX_MARK + 1):
        board.begin(mark, mark)
    assert [board.mark_of(mark) for mark in range(BEGUN, MAX_MARK + 1)] == list(
        range(BEGUN, MAX_MARK + 1)
    )


def test_the_numbers_of_the_layer_have_a_place_each():
    assert MAX_NUMBER < SIZE


PROGRAM = """
import os, signal
from txchannels.layers.ipc.server import MAX_NUMBER
from txchannels.workers.board import Board
board = Board({descriptor})
board.begin(1)
board.begin(2, 9)
board.begin(3)
board.finish(3)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_process_has_noted_outlives_it(board):
    program = PROGRAM.format(descriptor=board.descriptor)
    subprocess.run([sys.executable, "-c", program], pass_fds=[board.descriptor], check=False)
    assert [board.mark_of(number) for number in range(5)] == [0, BEGUN, 9, FINISHED, 0]


def test_other_programs_do_not_inherit_it(board):
    assert not os.get_inheritable(board.descriptor)


def test_it_lets_go_of_its_memory():
    board = Board()
    board.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(board.descriptor)
